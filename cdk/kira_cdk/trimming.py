"""What the libraries carry that no function ever uses: tools, stubs, pages, and the symbols of debuggers."""

from __future__ import annotations

import shutil
import struct
from pathlib import Path

TOOLS = (
    "bin",
    "cffi",  # the part that is needed is a library beside it
    "wrapt-stubs",
    "aws_lambda_powertools/event_handler",
    "aws_lambda_powertools/utilities/auth_alpha",
    "aws_lambda_powertools/utilities/circuit_breaker",
    "aws_lambda_powertools/utilities/feature_flags",
    "aws_lambda_powertools/utilities/idempotency",
    "aws_lambda_powertools/utilities/kafka",
    "pydantic/mypy.py",
    "pydantic/v1",
    "aiohttp/pytest_plugin.py",
    "aiohttp/test_utils.py",
)
SUFFIXES = (".pyi", ".pyx", ".pxd", ".c", ".h", ".pyc", ".typed")
NAMES = ("RECORD", "INSTALLER", "REQUESTED", "AUTHORS", "NOTICE")
HEADER = struct.Struct("<16sHHIQQQIHHHHHH")  # of a 64-bit ELF file
SEGMENT = struct.Struct("<IIQQQQQQ")
ELF = b"\x7fELF\x02\x01"


def trim(folder: Path) -> None:
    """Remove it all from `folder`."""
    for name in TOOLS:
        place = folder / name
        if place.is_dir():
            shutil.rmtree(place)
        else:
            place.unlink(missing_ok=True)
    for path in sorted(folder.rglob("*")):
        if not path.is_file():
            continue
        if path.suffix in SUFFIXES or path.name in NAMES or "sboms" in path.parts or path.name.startswith("_testcapi"):
            path.unlink()
        elif path.read_bytes()[: len(ELF)] == ELF:
            path.write_bytes(loadable(path.read_bytes()))


def loadable(library: bytes) -> bytes:
    """Return what is loaded of a library: its segments. What lies behind them is for linkers and debuggers."""
    header = list(HEADER.unpack_from(library))
    begin, size, count = header[5], header[9], header[10]
    segments = [SEGMENT.unpack_from(library, begin + number * size) for number in range(count)]
    end = max(offset + length for _, _, offset, _, _, length, _, _ in segments)
    header[6] = header[12] = header[13] = 0  # there is no table of sections any more
    return HEADER.pack(*header) + library[HEADER.size : end]
