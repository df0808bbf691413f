"""Puts bytecode in the place of sources, without what nobody reads on AWS: `python compiling.py folder`.

Run by the Python of the functions, which may be another than the one that synthesises; so it needs nothing else.
"""

from __future__ import annotations

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
        code = compile(tree, f"/opt/{path.relative_to(folder).as_posix()}", "exec", dont_inherit=True)
        head = importlib.util.MAGIC_NUMBER + UNCHECKED + importlib.util.source_hash(source)
        path.with_suffix(".pyc").write_bytes(head + marshal.dumps(code))
        path.unlink()


def terse(module: ast.Module, *, annotated: bool = False) -> ast.Module:
    """Remove docstrings, and annotations of functions unless `annotated`; each line stays where it was.

    The docstring of a class that inherits stays: an error says its own to people. One that does not says a dot, because
    a dataclass without any makes one, which takes long.
    """
    for node in ast.walk(module):
        if isinstance(node, ast.Module | ast.FunctionDef | ast.AsyncFunctionDef):
            _say(node, "")
        elif isinstance(node, ast.ClassDef) and not node.bases:
            _say(node, ".")
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not annotated:
            node.returns = None
            given = node.args
            for each in (*given.posonlyargs, *given.args, *given.kwonlyargs, given.vararg, given.kwarg):
                if each is not None:
                    each.annotation = None
    return module


def _say(node: ast.Module | ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef, text: str) -> None:
    first = node.body[0] if node.body else None
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
        first.value.value = text


if __name__ == "__main__":
    replace(Path(sys.argv[1]))
