"""What import-linter cannot see: imports inside functions, and who reads the environment."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

from tests.house.sources import PACKAGE, ROOT, Function, name_of, package_files, tree

WORLDS = {PACKAGE / name for name in ("local/world.py", "local/command.py", "cloud/world.py", "services/kira.py")}
"""What is loaded when is decided here, for the sake of the start."""

SETTINGS = {PACKAGE / "local" / "settings.py", PACKAGE / "cloud" / "settings.py"}
"""The only places that read the environment."""

ENVIRONMENT = frozenset({"environ", "environb", "getenv", "getenvb", "putenv", "unsetenv"})


def test_every_import_points_down() -> None:
    linter = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([linter, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_imports_inside_functions_are_only_where_a_world_is_made() -> None:
    found = [
        f"{name_of(path)}:{node.lineno}"
        for path in package_files()
        if path not in WORLDS
        for function in ast.walk(tree(path))
        if isinstance(function, Function)
        for node in ast.walk(function)
        if isinstance(node, ast.Import | ast.ImportFrom)
    ]
    assert found == []


def test_nothing_is_imported_by_a_name_that_a_linter_cannot_read() -> None:
    found = [
        f"{name_of(path)}:{node.lineno}"
        for path in package_files()
        for node in ast.walk(tree(path))
        if (isinstance(node, ast.Name) and node.id == "__import__")
        or (isinstance(node, ast.Attribute) and node.attr in ("import_module", "syspath_prepend"))
        or (isinstance(node, ast.Attribute) and node.attr == "path" and getattr(node.value, "id", "") == "sys")
    ]
    assert found == []


def test_the_environment_is_read_in_one_place() -> None:
    found = [
        f"{name_of(path)}:{node.lineno}"
        for path in package_files()
        if path not in SETTINGS
        for node in ast.walk(tree(path))
        if (isinstance(node, ast.Attribute) and node.attr in ENVIRONMENT)
        or (isinstance(node, ast.ImportFrom) and node.module == "os" and {a.name for a in node.names} & ENVIRONMENT)
    ]
    assert found == []


def test_a_broad_except_says_why_or_raises_again() -> None:
    found = []
    for path in package_files():
        told = path.read_text().splitlines()
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.ExceptHandler) and _is_broad(node) and not _raises(node):
                block = told[node.lineno - 1 : (node.end_lineno or node.lineno)]
                if not any("#" in line for line in block):
                    found.append(f"{name_of(path)}:{node.lineno}")
    assert found == []


def _is_broad(handler: ast.ExceptHandler) -> bool:
    return handler.type is None or getattr(handler.type, "id", "") in ("Exception", "BaseException")


def _raises(handler: ast.ExceptHandler) -> bool:
    return any(isinstance(node, ast.Raise) for node in ast.walk(handler))
