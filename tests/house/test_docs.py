"""What is there is documented, and what is documented is there."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest
import typer.main
from tests.house.sources import DOCS, PACKAGE, ROOT, name_of, package_files

from kira import __version__
from kira.cloud import documents as functions
from kira.cloud.fleet.parameters import Parameters
from kira.cloud.settings import CloudSettings, variable
from kira.domain import errors, limits
from kira.domain.limits import DEFAULTS, Limit
from kira.local import documents
from kira.local.command import app
from kira.local.settings import LocalSettings
from kira.web.errors import STATUS, status_of

PAGES = sorted(
    [*DOCS.glob("*.md"), *(ROOT / name for name in ("README.md", "SECURITY.md", "CONTRIBUTING.md", "CHANGELOG.md"))]
)
README_LINES_MAX = 60
SCHEMA = PACKAGE / "adapters" / "database" / "sql" / "schema" / "sqlite"


def _text(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


def _variables() -> set[str]:
    aliases = {name: field.validation_alias for name, field in LocalSettings.model_fields.items()}
    fleet = {f"KIRA_{name.upper()}" for name in Parameters.__dataclass_fields__} | {"KIRA_WHEEL"}  # user data reads it
    cloud = {variable(each.name) for each in fields(CloudSettings)}
    return (
        fleet | cloud | {alias if isinstance(alias, str) else f"KIRA_{name.upper()}" for name, alias in aliases.items()}
    )


def _commands(command: object, path: str = "kira") -> set[str]:
    inner: dict[str, object] = getattr(command, "commands", {})
    if not inner:
        return {path}
    return {found for name, each in inner.items() for found in _commands(each, f"{path} {name}")}


def test_the_written_pages_are_what_the_code_says() -> None:
    again = "run `python -m kira.local.documents`"
    assert _text("settings.md") == documents.settings_page(), again
    assert _text("limits.md") == documents.limits_page(), again
    assert _text("functions.md") == functions.page(), "run `python -m kira.cloud.documents`"


def test_every_setting_is_described() -> None:
    assert [name for name, field in LocalSettings.model_fields.items() if not field.description] == []


def test_settings_that_are_named_exist() -> None:
    known = _variables()
    for page in PAGES:
        named = set(re.findall(r"\b(?:KIRA|OLLAMA)_[A-Z_]+[A-Z]\b", page.read_text()))
        assert named - known == set(), name_of(page)


def test_every_limit_says_what_it_bounds() -> None:
    assert list(documents.FIXED) and set(documents.FIXED) == set(documents.numbers())
    assert set(documents.COUNTED) == set(DEFAULTS)
    assert set(documents.ATTEMPTS) == {name for name, value in vars(limits).items() if isinstance(value, Limit)}


@pytest.mark.parametrize("name", documents.numbers())
def test_every_limit_is_kept_somewhere(name: str) -> None:
    told = (PACKAGE / "domain" / "limits.py", PACKAGE / "local" / "documents.py")
    used = [path for path in package_files() if path not in told and re.search(rf"\b{name}\b", path.read_text())]
    assert used, f"{name} bounds nothing"


def test_every_command_is_documented_and_no_other() -> None:
    root = typer.main.get_command(app)
    there = _commands(root)
    table = set(re.findall(r"^\| `(kira [a-z ]+)` \|", _text("one-computer.md"), re.MULTILINE))
    assert table == there
    words = {command.split()[1] for command in there}
    for page in PAGES:
        named = set(re.findall(r"`kira ([a-z]+)", page.read_text()))
        assert named - words == set(), name_of(page)


def test_every_target_of_make_is_documented_and_no_other() -> None:
    there = set(re.findall(r"^([a-z]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {target for page in PAGES for target in re.findall(r"(?:`|^)make ([a-z]+)", page.read_text(), re.MULTILINE)}
    assert named <= there
    documented = set(re.findall(r"^\| `make ([a-z]+)` \|", (ROOT / "CONTRIBUTING.md").read_text(), re.MULTILINE))
    assert there - documented <= {"help", "programs"}  # the list itself, and a part of `make test`


def test_every_error_code_is_documented_and_no_other() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.KiraError)]
    there = {kind.code for kind in kinds} | {"METHOD_NOT_ALLOWED"}
    rows = re.findall(r"^\| `([A-Z_]+)` \|(?: (\d{3}) \|)?", _text("api.md"), re.MULTILINE)
    assert {code for code, _ in rows} == there
    assert len(rows) == len(there)
    told = {code: int(status) for code, status in rows if status and code != "METHOD_NOT_ALLOWED"}
    said = {kind.code: STATUS[kind] for kind in kinds if kind in STATUS and not issubclass(kind, errors.EngineError)}
    assert told == said
    assert status_of(errors.NoModel()) >= 500


def test_the_glossary_has_every_table_and_every_port() -> None:
    text = _text("glossary.md")
    created = "".join(path.read_text() for path in SCHEMA.glob("*.sql"))
    tables = set(re.findall(r"CREATE TABLE (?:IF NOT EXISTS )?(\w+)", created)) | {"schema_steps"}
    assert {table for table in tables if f"`{table}`" not in text} == set()
    ports = {path.stem for path in (PACKAGE / "ports").glob("*.py")} - {"__init__", "world"}
    assert {port for port in ports if f"`{port}`" not in text} == set()


def test_every_word_of_the_glossary_is_used() -> None:
    words = re.findall(r"^- \*\*([a-z ]+)\*\*", _text("glossary.md"), re.MULTILINE)
    assert len(words) == len(set(words)) > 30
    code = "\n".join(path.read_text().lower() for path in package_files())
    assert [word for word in words if word not in code and word.replace(" ", "_") not in code] == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if not target.startswith(("http://", "https://", "#")) and not target.endswith("screenshot.png"):
            assert (page.parent / target.partition("#")[0]).exists(), target
    for path in re.findall(r"`(tests/[\w./]+)`", page.read_text()):
        assert (ROOT / path).exists(), path


def test_the_readme_fits_on_one_screen() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= README_LINES_MAX


def test_every_house_test_is_named_beside_its_rule() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text()
    assert [path.name for path in Path(__file__).parent.glob("test_*.py") if path.name not in text] == []


def test_the_changes_begin_with_this_version() -> None:
    first = re.search(r"^## ([\d.]+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert first is not None
    assert first[1] == __version__
