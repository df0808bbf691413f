"""Files and functions stay short enough to be read in one go."""

from __future__ import annotations

import statistics
from pathlib import Path

from tests.house.sources import FRONTEND, files_of_tests, functions, lines, name_of, package_files

FUNCTION_LINES_MAX = 50
FUNCTION_LINES_P90 = 25
FILE_LINES_MAX = 300
FILE_LINES_MEDIAN = 80
TEST_FILE_LINES_MAX = 400
FRONTEND_FILE_LINES_MAX = 250


def test_no_function_is_too_long() -> None:
    found = [
        f"{name_of(path)}: {function.name} has {length} lines"
        for path in [*package_files(), *files_of_tests()]
        for function, length in functions(path)
        if length > FUNCTION_LINES_MAX
    ]
    assert found == []


def test_nine_of_ten_functions_are_short() -> None:
    lengths = [length for path in package_files() for _, length in functions(path)]
    assert len(lengths) > 100
    assert statistics.quantiles(lengths, n=10)[-1] <= FUNCTION_LINES_P90


def test_no_file_is_too_long() -> None:
    assert _too_long(package_files(), FILE_LINES_MAX) == []
    assert _too_long(files_of_tests(), TEST_FILE_LINES_MAX) == []


def test_the_median_file_is_short() -> None:
    assert statistics.median(lines(path) for path in package_files()) <= FILE_LINES_MEDIAN


def test_no_file_of_the_dashboard_is_too_long() -> None:
    files = [
        path
        for folder in ("src", "build")
        for path in (FRONTEND / folder).rglob("*")
        if path.suffix in (".ts", ".js", ".svelte", ".css") and not path.name.endswith(".d.ts")  # those are generated
    ]
    assert len(files) > 10
    assert _too_long(files, FRONTEND_FILE_LINES_MAX) == []


def _too_long(files: list[Path], most: int) -> list[str]:
    return [f"{name_of(path)} has {lines(path)} lines" for path in files if lines(path) > most]
