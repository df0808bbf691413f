"""Every error can be told to a person, has a status, and a code that means one thing."""

from __future__ import annotations

import importlib
from collections import defaultdict

from tests.house.sources import PACKAGE, package_files

from kira.domain.errors import EngineError, KiraError, UnprovenStatement, Waits
from kira.web.errors import STATUS, status_of

SAME_MEANING = {
    # The root stands for a defect; so does a statement that was not proven.
    "INTERNAL": {"KiraError", "UnprovenStatement"},
    # Waits is the root of what comes back by itself.
    "UNAVAILABLE": {"Waits", "Unavailable"},
}


def _errors() -> list[type[KiraError]]:
    for path in package_files():
        if path.name != "__main__.py":
            importlib.import_module(".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts))
    found, waiting = [], [KiraError]
    while waiting:
        kind = waiting.pop()
        found.append(kind)
        waiting += kind.__subclasses__()
    return found


def test_every_error_says_a_sentence() -> None:
    for kind in _errors():
        told = (kind.__doc__ or "").strip().splitlines()[0]
        assert told.endswith("."), kind
        assert kind.__doc__ is not KiraError.__doc__ or kind is KiraError, kind


def test_every_error_has_a_status() -> None:
    waits = {kind: (kind(retry_after_s=1) if issubclass(kind, Waits) else None) for kind in STATUS}
    for kind in _errors():
        if kind.__module__ == "kira.domain.errors":
            error = waits.get(kind) or (kind(retry_after_s=1) if issubclass(kind, Waits) else kind())
            assert 400 <= status_of(error) < 600, kind
    # What has no row of its own has that of its parent; the root's alone would say nothing.
    unlisted = [kind for kind in _errors() if kind.__module__ == "kira.domain.errors" and kind not in STATUS]
    assert all(issubclass(kind, EngineError) for kind in unlisted)


def test_the_table_lists_nothing_that_is_gone() -> None:
    assert set(STATUS) <= set(_errors())


def test_a_code_means_one_thing() -> None:
    kinds = defaultdict(set)
    for kind in _errors():
        if kind.__module__ == "kira.domain.errors":
            kinds[kind.code].add(kind.__name__)
    shared = {code: names for code, names in kinds.items() if len(names) > 1}
    assert shared == SAME_MEANING
    assert UnprovenStatement.code == KiraError.code
    assert all(code == code.upper() and code.replace("_", "").isalpha() for code in kinds)
