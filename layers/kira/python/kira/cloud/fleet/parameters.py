"""What the stack tells an instance: the lines of /etc/kira/fleet.env."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

from kira.domain.errors import WrongSetting

FILE = "etc/kira/fleet.env"
OLLAMA = "http://127.0.0.1:11434"
METADATA = "http://169.254.169.254"


@dataclass(frozen=True, slots=True)
class Parameters:
    """The parameters by their names, and `root`, under which the instance's files lie."""

    root: Path
    region: str
    database_host: str
    database_secret: str
    master_key_secret: str
    queue: str
    fleet: str
    models: tuple[str, ...]
    weights: str
    ollama_version: str
    database_name: str = "kira"
    database_port: int = 5432
    queue_hosted: str = ""
    hosted_models: str = ""
    stream: str = "table"
    lifecycle_hook: str = ""
    ollama: str = OLLAMA
    vram_mib: int | None = None
    metadata: str = METADATA

    @property
    def nvme(self) -> Path:
        """Where the fast disk of the instance is."""
        return self.root / "opt/dlami/nvme"

    @property
    def home(self) -> Path:
        """Where Kira is installed."""
        return self.root / "opt/kira"

    @property
    def settings(self) -> Path:
        """Where Kira's settings are."""
        return self.root / "etc/kira"


def read_parameters(root: Path, metadata: str | None) -> Parameters:
    """Read the file under `root`; `metadata` is where EC2 answers. Raises WrongSetting that names what is missing."""
    path = root / FILE
    try:
        found = read_environment(path)
    except OSError as error:
        raise WrongSetting(
            f"{path} cannot be read ({error.strerror}). The stack writes it before this begins."
        ) from None
    given = {name.removeprefix("KIRA_").lower(): value for name, value in found.items() if value}
    given |= {"metadata": metadata} if metadata else {}
    fields = Parameters.__dataclass_fields__
    needed = [name for name in list(fields)[1:10] if name not in given]
    if needed:
        raise WrongSetting(f"{path} has no KIRA_{needed[0].upper()}. Deploy the stack again; it writes this file.")
    known: dict[str, object] = {name: value for name, value in given.items() if name in fields}
    known["models"] = tuple(part.strip() for part in given["models"].split(",") if part.strip())
    for name in ("database_port", "vram_mib"):
        if name in known:
            known[name] = int(given[name])
    return Parameters(root=root, **known)  # type: ignore[arg-type]


def read_environment(path: Path) -> dict[str, str]:
    """Read a file of NAME=value lines as systemd does."""
    lines = (line.strip() for line in path.read_text().splitlines())
    pairs = (line.partition("=") for line in lines if line and not line.startswith("#"))
    return {name: "".join(shlex.split(value)) for name, _, value in pairs}


def write_environment(path: Path, values: dict[str, str]) -> None:
    """Write such a file, readable by root alone; whoever reads it meanwhile sees the old one or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(".new")
    fresh.touch(mode=0o600)
    fresh.chmod(0o600)
    fresh.write_text("".join(f"{name}={_quoted(value)}\n" for name, value in values.items()))
    fresh.replace(path)


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
