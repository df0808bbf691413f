"""The house rules count for the stacks as they count for the package."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from tests.house.sources import ROOT, Function, functions, lines, name_of, tree

FILES = sorted((ROOT / "cdk").glob("kira_cdk/**/*.py"))


def test_files_and_functions_are_short() -> None:
    assert len(FILES) > 20
    assert [name_of(path) for path in FILES if lines(path) > 300] == []
    assert [f"{name_of(path)}: {each.name}" for path in FILES for each, length in functions(path) if length > 50] == []


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_a_file_and_what_others_may_call_say_what_they_are(path: Path) -> None:
    module = tree(path)
    told = (ast.get_docstring(module, clean=False) or "").splitlines()
    assert told
    assert told[0].endswith(".")
    public = [
        node for node in module.body if isinstance(node, ast.ClassDef | Function) and not node.name.startswith("_")
    ]
    assert [node.name for node in public if not ast.get_docstring(node)] == []
