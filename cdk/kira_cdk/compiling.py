"""Puts bytecode in the place of sources, without what nobody reads on AWS: `python compiling.py folder`.

Run by the Python of the functions, which may be another than the one that synthesises; so it needs nothing else.
"""

from __future__ import annotations
import __future__

import ast
import importlib.util
import marshal
import struct
import sys
from pathlib import Path

UNCHECKED = struct.pack("<I", 0b01)  # by hash, and never compared with its source
READS_ANNOTATIONS = "web"  # there FastAPI makes routes of them


def replace(folder: Path) -> None:
    """Compile every module in `folder`, and remove its source."""
    for path in sorted(folder.rglob("*.py")):
        source = path.read_bytes()
        tree = terse(ast.parse(source), annotated=READS_ANNOTATIONS in path.parts)
        said = _take_from_future(tree)
        name = f"/opt/{path.relative_to(folder).as_posix()}"
        code = compile(tree, name, "exec", flags=__future__.annotations.compiler_flag if said else 0, dont_inherit=True)
        head = importlib.util.MAGIC_NUMBER + UNCHECKED + importlib.util.source_hash(source)
        path.with_suffix(".pyc").write_bytes(head + marshal.dumps(code))
        path.unlink()


def terse(module: ast.Module, *, annotated: bool = False) -> ast.Module:
    """Remove docstrings, imports for annotations, and annotations of functions unless `annotated`.

    Each line stays where it was. The docstring of a class that inherits stays: an error says its own to people. One
    that does not says a dot, because a dataclass without any makes one, which takes long.
    """
    for node in ast.walk(module):
        if isinstance(node, ast.Module | ast.FunctionDef | ast.AsyncFunctionDef):
            _say(node, "")
        elif isinstance(node, ast.ClassDef) and not node.bases:
            _say(node, ".")
        elif isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            node.body = [ast.copy_location(ast.Pass(), node)]
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not annotated:
            node.returns = None
            given = node.args
            for each in (*given.posonlyargs, *given.args, *given.kwonlyargs, given.vararg, given.kwarg):
                if each is not None:
                    each.annotation = None
    return module


def _take_from_future(module: ast.Module) -> bool:
    """Remove what tells the compiler to leave annotations alone, and say whether it was there."""
    said = [each for each in module.body if isinstance(each, ast.ImportFrom) and each.module == "__future__"]
    said = [each for each in said if [alias.name for alias in each.names] == ["annotations"]]
    for each in said:
        module.body.remove(each)
    return bool(said)


def _say(node: ast.Module | ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef, text: str) -> None:
    first = node.body[0] if node.body else None
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
        first.value.value = text


if __name__ == "__main__":
    replace(Path(sys.argv[1]))
