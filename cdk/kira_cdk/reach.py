"""Which modules of Kira the functions can reach: what a laptop needs besides is not sent to AWS with every change."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path


def reached(package: Path, roots: list[Path]) -> set[Path]:
    """Return every file of `package` that is imported, at once or on first use, from the files `roots`."""
    found = {root for root in roots if root.is_relative_to(package)}
    waiting = [name for root in roots for name in _imported(root, package.name)]
    waiting += [name for root in found for name in _parents(root, package)]
    while waiting:
        path = _file_of(package, waiting.pop())
        if path is not None and path not in found:
            found.add(path)
            waiting += [*_imported(path, package.name), *_parents(path, package)]
    return found


def _imported(path: Path, package: str) -> Iterator[str]:
    for node in _without_types(ast.parse(path.read_text(encoding="utf-8"), str(path))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.split(".")[0] == package)
        elif isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == package:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _without_types(module: ast.AST) -> Iterator[ast.AST]:
    """Walk over everything but what only a type checker reads."""
    for node in ast.iter_child_nodes(module):
        if isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING":
            continue
        yield node
        yield from _without_types(node)


def _file_of(package: Path, module: str) -> Path | None:
    """Return the file of a module; None where the name is not a module but something in one."""
    place = package.parent.joinpath(*module.split("."))
    for path in (place.with_suffix(".py"), place / "__init__.py"):
        if path.is_file():
            return path
    return None


def _parents(path: Path, package: Path) -> Iterator[str]:
    parts = path.relative_to(package.parent).parent.parts
    yield from (".".join(parts[:length]) for length in range(1, len(parts) + 1))
