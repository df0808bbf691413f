"""The layers: small enough, for the right processor, the same from the same, and able to start."""

from __future__ import annotations

import ast
import io
import json
import os
import struct
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
from tests.cdk import synth

from kira_cdk import compiling, layers, trimming
from kira_cdk.reach import reached

KB = 1_000
MB = 1_000_000
AARCH64 = 183
MODULES = (
    "aiohttp", "argon2", "aws_lambda_powertools", "aws_lambda_powertools.utilities.batch", "fastapi", "fastapi.sse",
    "httptools", "mangum", "psycopg", "psycopg_pool", "pydantic", "uuid_utils", "uvicorn.main",
    "cryptography.hazmat.primitives.ciphers.aead",
)  # fmt: skip
START = "import importlib, sys\nfor name in sys.argv[1:]: importlib.import_module(name)\n"


def _sizes(folder: Path) -> tuple[int, int]:
    """Return the size of a folder as it lies in a zip and unpacked."""
    packed = io.BytesIO()
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for path in files:
            archive.write(path, path.relative_to(folder))
    return len(packed.getvalue()), sum(path.stat().st_size for path in files)


def _layers() -> dict[str, Path]:
    found = {}
    for name, each in synth.resources("AWS::Lambda::LayerVersion").items():
        found[name.partition("/")[2][:4]] = synth.asset(
            "dev", each["Properties"]["Content"]["S3Key"].removesuffix(".zip")
        )
    return {"dependencies": found["Depe"], "kira": found["Kira"]}


def test_the_layers_are_small() -> None:
    zipped, unzipped = _sizes(_layers()["dependencies"])
    assert zipped <= 16 * MB
    assert unzipped <= 60 * MB
    assert _sizes(_layers()["kira"])[0] <= 400 * KB


def test_every_library_is_for_the_processor_of_the_functions() -> None:
    libraries = list(_layers()["dependencies"].rglob("*.so*"))
    assert len(libraries) > 20
    for path in libraries:
        header = path.read_bytes()[:20]
        assert header.startswith(trimming.ELF), path.name
        assert struct.unpack_from("<H", header, 18)[0] == AARCH64, path.name
    for each in synth.resources("AWS::Lambda::LayerVersion").values():
        assert each["Properties"]["CompatibleArchitectures"] == ["arm64"]
        assert each["Properties"]["CompatibleRuntimes"] == [f"python{layers.python_here()}"]


def test_there_is_bytecode_for_everything_and_it_names_no_place_of_this_computer() -> None:
    for folder in _layers().values():
        compiled = list(folder.rglob("*.pyc"))
        assert compiled
        assert not list(folder.rglob("*.py"))
        here = str(layers.ROOT).encode()
        for path in compiled:
            body = path.read_bytes()
            assert struct.unpack_from("<I", body, 4)[0] == 0b01, path  # by hash, and never compared with its source
            assert here not in body


def test_the_same_gives_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = layers.kira(layers.python_here())
    monkeypatch.setattr(layers, "BUILD", tmp_path)
    second = layers.kira(layers.python_here())
    assert second != first
    assert second.name == first.name
    files = {path.relative_to(first): path.read_bytes() for path in first.rglob("*") if path.is_file()}
    assert files == {path.relative_to(second): path.read_bytes() for path in second.rglob("*") if path.is_file()}


def test_the_libraries_load_after_trimming() -> None:
    """On this computer's processor; what is trimmed is the same for both."""
    folder = layers.dependencies(layers.python_here(), "x86_64")
    managed = [path for path in sys.path if path.endswith("site-packages")]
    runtime = folder.parent / "runtime"
    runtime.mkdir(exist_ok=True)
    for name in ("botocore", "jmespath", "urllib3", "dateutil", "six.py"):
        link = runtime / name
        if not link.exists():
            link.symlink_to(Path(managed[0]) / name)
    command = [sys.executable, "-S", "-s", "-W", "ignore", "-c", START, *MODULES]
    environment = {"PYTHONPATH": f"{folder / 'python'}:{runtime}", "PATH": os.environ["PATH"]}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_what_a_python_cannot_load_is_refused_by_the_template_itself() -> None:
    needed, there = layers.glibc_needed(_layers()["dependencies"]), layers.GLIBC[layers.python_here()]
    rules = synth.templates()["kira-api"].get("Rules", {})
    assert ("PythonIsNewEnough" in rules) == (needed > there)
    assert all(needed <= glibc for python, glibc in layers.GLIBC.items() if python != "3.11")


def test_kira_on_aws_is_what_its_functions_reach() -> None:
    names = {path.as_posix() for path in _layers()["kira"].rglob("*")}
    assert not [name for name in names if "/kira/local/" in name or "/kira/testing/" in name]
    assert [name for name in names if name.endswith("kira/web/streams.pyc")]
    assert [name for name in names if name.endswith(".sql")]


def test_reaching_follows_imports_in_functions_and_skips_those_for_types(tmp_path: Path) -> None:
    package = tmp_path / "kira"
    package.mkdir()
    for name, text in {
        "__init__": "",
        "a": "def f():\n    from kira import b\n",
        "b": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from kira.c import C\n",
        "c": "",
    }.items():
        (package / f"{name}.py").write_text(text)
    root = tmp_path / "handler.py"
    root.write_text("import kira.a\n")
    assert {path.stem for path in reached(package, [root])} == {"__init__", "a", "b"}


def test_the_database_is_believed_only_with_a_certificate_of_aws() -> None:
    text = (_layers()["dependencies"] / layers.CA_FILE).read_text()
    assert text == layers.authorities()
    subjects = [layers._subject(pem) for pem in layers._certificates("defaults.js")]
    assert all("Amazon Web Services" in subject for subject in subjects)
    for region in ("us-east-1", "eu-central-1"):
        assert [subject for subject in subjects if f"{region} Root CA RSA2048 G1" in subject]
    variables = synth.function("chat")["Environment"]["Variables"]
    assert variables["KIRA_DATABASE_CA"] == f"/opt/{layers.CA_FILE}"


def test_the_lock_of_the_cdk_names_no_address() -> None:
    lock = json.loads((layers.ROOT / "cdk" / "package-lock.json").read_text())
    assert not [name for name, each in lock["packages"].items() if "resolved" in each]
    assert lock["packages"]["node_modules/aws-cdk"]["version"].startswith("2.")


def test_a_terse_module_does_the_same_on_the_same_lines() -> None:
    source = (
        'from dataclasses import dataclass\n\n\nclass Gone(Exception):\n    """It is gone."""\n\n\n'
        '@dataclass\nclass Row:\n    """A row."""\n\n    n: int\n\n\n'
        'def f(row: Row) -> int:\n    """Say\n\n    more."""\n    return row.n / 0\n'
    )
    found: dict[str, Any] = {}
    exec(compile(compiling.terse(ast.parse(source)), "made", "exec"), found)
    assert found["Gone"].__doc__ == "It is gone."
    assert found["Row"].__doc__ == "."
    assert (found["f"].__doc__, found["f"].__annotations__) == ("", {})
    with pytest.raises(ZeroDivisionError) as failed:
        found["f"](found["Row"](1))
    assert failed.traceback[-1].lineno + 1 == len(source.splitlines())


def test_routes_keep_what_fastapi_reads() -> None:
    source = "def route(id: int) -> str: ..."
    assert ast.unparse(compiling.terse(ast.parse(source), annotated=True)) == ast.unparse(ast.parse(source))
