"""Statement files: one form, one meaning of each name, an engine's own text in front of the common one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from kira.adapters.database.catalogue import FOLDER, parse, read
from kira.domain.errors import UnprovenStatement

FILES = sorted(path for way in ("queries", "system") for path in (FOLDER / way).rglob("*.sql"))


def test_a_file_gives_names_and_texts() -> None:
    text = "-- one --\n-- First.\nSELECT 1\nFROM a;\n\n-- two --\n-- Second.\nDELETE FROM a;\n"
    assert list(parse(text)) == [("one", "SELECT 1\nFROM a"), ("two", "DELETE FROM a")]


@pytest.mark.parametrize(
    "text",
    [
        "SELECT 1;\n-- one --\n-- First.\nSELECT 1;\n",
        "-- one --\n-- First.\nSELECT 1;\n-- one --\n-- Again.\nSELECT 2;\n",
        "-- one --\n-- First.\nSELECT 1; DELETE FROM a;\n",
        "-- one --\n-- Nothing.\n",
    ],
)
def test_another_form_is_refused(text: str) -> None:
    with pytest.raises(UnprovenStatement):
        list(parse(text))


def test_the_own_text_of_an_engine_takes_the_place_of_the_common_one(tmp_path: Path) -> None:
    (tmp_path / "sqlite").mkdir()
    (tmp_path / "a.sql").write_text("-- x --\n-- One.\nSELECT 1;\n-- y --\n-- Two.\nSELECT 2;\n")
    (tmp_path / "sqlite" / "a.sql").write_text("-- x --\n-- Own.\nSELECT 3;\n-- z --\n-- More.\nSELECT 4;\n")
    assert {name: one.sql for name, one in read(tmp_path, "sqlite").items()} == {
        "a.x": "SELECT 3",
        "a.y": "SELECT 2",
        "a.z": "SELECT 4",
    }
    assert {name: one.sql for name, one in read(tmp_path, "postgres").items()} == {"a.x": "SELECT 1", "a.y": "SELECT 2"}


@pytest.mark.parametrize(
    ("sql", "writes"),
    [
        ("SELECT updated_at, 'DELETE FROM a' FROM a", False),
        ("select deleted FROM a", False),
        ("WITH n AS (SELECT 1) SELECT * FROM n", False),
        ("WITH n AS (SELECT 1)\nUPDATE a SET b = 1", True),
        ("insert INTO a (b) VALUES (1)", True),
        ("DELETE FROM a", True),
    ],
)
def test_it_is_known_what_writes(tmp_path: Path, sql: str, writes: bool) -> None:
    (tmp_path / "a.sql").write_text(f"-- x --\n-- One.\n{sql};\n")
    assert read(tmp_path, "sqlite")["a.x"].writes is writes


def test_blanks_do_not_change_a_digest_but_words_do(tmp_path: Path) -> None:
    (tmp_path / "a.sql").write_text(
        "-- x --\n-- One.\nSELECT  1\n FROM a;\n"
        "-- y --\n-- Two.\nSELECT 1 FROM a;\n"
        "-- z --\n-- Three.\nSELECT 1 FROM b;\n"
    )
    one, two, three = (read(tmp_path, "sqlite")[f"a.{name}"].digest for name in "xyz")
    assert one == two != three


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_a_statement_says_in_one_sentence_what_it_is_for(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    heads = [number for number, line in enumerate(lines) if re.fullmatch(r"-- \w+ --", line)]
    assert heads
    for number in heads:
        assert re.fullmatch(r"-- [A-Z].*\.", lines[number + 1]), lines[number]
        assert not lines[number + 2].startswith("--"), lines[number]
