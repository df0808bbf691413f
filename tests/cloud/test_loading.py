"""While a function loads, nobody looks for garbage; afterwards somebody does, whatever happened."""

from __future__ import annotations

import gc

import pytest

from kira.cloud.loading import loading


def test_garbage_is_looked_for_again_and_never_among_what_was_loaded() -> None:
    with loading():
        assert not gc.isenabled()
    frozen = gc.get_freeze_count()
    gc.unfreeze()
    assert frozen > 1_000
    assert gc.isenabled()


def test_a_function_that_cannot_be_loaded_leaves_it_on() -> None:
    with pytest.raises(ImportError), loading():
        raise ImportError
    gc.unfreeze()
    assert gc.isenabled()
