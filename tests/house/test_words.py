"""Every word means one thing, every file says in one sentence what it is, and no drawer is nameless."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.house.sources import FRONTEND, PACKAGE, Function, files_of_tests, lines, name_of, package_files, tree

DRAWERS = frozenset({"utils", "util", "helpers", "helper", "common", "misc", "manager", "managers", "base", "shared"})

# Left: what somebody might write; right: the word that Kira has for it.
SYNONYMS = {
    "turn": "run",
    "turns": "runs",
    "person": "user",
    "people": "users",
    "member": "user",
    "customer": "user",
    "chatroom": "conversation",
    "dialog": "conversation",
    "dialogue": "conversation",
    "thread_id": "conversation_id",
    "chat_id": "conversation_id",
    "job_id": "run_id",
    "task_id": "run_id",
    "reply_id": "answer_id",
    "utterance": "message",
    "apikey": "API token",
    "api_key": "API token",
    "byok": "provider key",
    "cronjob": "schedule",
    "reminder": "schedule",
    "tile": "widget",
    "gadget": "widget",
    "panel": "widget",
}
COMMENT_SHARE_MAX = 0.06


def test_no_file_has_a_name_that_says_nothing() -> None:
    places = [path.relative_to(PACKAGE.parent) for path in package_files()]
    places += [path.relative_to(FRONTEND) for path in (FRONTEND / "src").rglob("*") if path.is_file()]
    found = [str(place) for place in places if {part.partition(".")[0].lower() for part in place.parts} & DRAWERS]
    assert found == []


@pytest.mark.parametrize("path", [*package_files(), *files_of_tests()], ids=name_of)
def test_a_module_opens_with_one_sentence(path: Path) -> None:
    told = ast.get_docstring(tree(path), clean=False)
    assert told, "it has no docstring"
    first = told.splitlines()[0]
    assert first == first.strip()
    assert first.endswith(".")
    assert first[0].isupper() or first[0] in "`/"


def test_what_others_may_call_says_what_it_does() -> None:
    found = [
        f"{name_of(path)}: {name}"
        for path in package_files()
        for name, node in _public(tree(path))
        if not ast.get_docstring(node)
    ]
    assert found == []


def test_words_have_no_synonyms() -> None:
    found = []
    for path in package_files():
        for name, line in _names(tree(path)):
            words = {name.lower(), *_words(name)}
            found += [
                f"{name_of(path)}:{line}: {name}; say {SYNONYMS[word]}" for word in sorted(words & SYNONYMS.keys())
            ]
    assert found == []


def test_comments_say_why_and_are_few() -> None:
    in_all = sum(lines(path) for path in package_files())
    comments = sum(line.lstrip().startswith("#") for path in package_files() for line in path.read_text().splitlines())
    assert comments / in_all < COMMENT_SHARE_MAX


def _public(module: ast.Module) -> Iterator[tuple[str, ast.ClassDef | Function]]:
    """Yield public classes, functions and methods; a port's one-line properties say it by their type."""
    for node in module.body:
        if isinstance(node, ast.ClassDef | Function) and not node.name.startswith("_"):
            yield node.name, node
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            for method in node.body:
                if isinstance(method, Function) and not method.name.startswith("_") and not _is_bare(method):
                    yield f"{node.name}.{method.name}", method


def _is_bare(method: Function) -> bool:
    only = method.body[0]
    return len(method.body) == 1 and isinstance(only, ast.Expr) and getattr(only.value, "value", 0) is ...


def _names(module: ast.Module) -> Iterator[tuple[str, int]]:
    for node in ast.walk(module):
        if isinstance(node, ast.ClassDef | Function):
            yield node.name, node.lineno
        elif isinstance(node, ast.arg):
            yield node.arg, node.lineno
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id, node.lineno
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.attr, node.lineno


def _words(name: str) -> set[str]:
    """Return the words of an identifier in either style: `WorkerTask` and `worker_task` have the same two."""
    return {word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", name)}
