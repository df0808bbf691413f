"""A small `systemctl` for a folder: starts what units say with the environment that they say, and knows what runs.

Paths of the units lie below KIRA_ROOT. It restarts nothing by itself and confines nobody.
"""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(os.environ["KIRA_ROOT"])
OURS = ("/opt/", "/etc/", "/var/")
STOP_SECONDS = 60


def main() -> None:
    action, *units = [each for each in sys.argv[1:] if each != "--now"]
    if action == "is-active":
        print("active" if all(map(_is_active, units)) else "inactive")
        sys.exit(0 if all(map(_is_active, units)) else 3)
    for unit in units:
        if action in ("stop", "restart"):
            _stop(unit)
        if action in ("start", "restart", "enable") and not _is_active(unit):
            _start(unit)


def _start(unit: str) -> None:
    section = _section(unit)
    if not section:  # a timer: the test looks at its clock instead
        return
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("KIRA_", "OLLAMA_"))}
    environment |= dict(_split(each) for each in section.get("Environment", []))
    for command in section.get("ExecStartPre", []):
        subprocess.run(_command(command.lstrip("+")), env=environment, check=True)
    for path in section.get("EnvironmentFile", []):
        lines = Path(_placed(path)).read_text().splitlines()
        environment |= dict(_split(line) for line in lines if line and not line.startswith("#"))
    log = ROOT / "var/log" / f"{_name(unit)}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as written:
        started = subprocess.Popen(
            _command(section["ExecStart"][0]), env=environment, stdout=written, stderr=written, start_new_session=True
        )
    pid_file = _pid_file(unit)
    pid_file.parent.mkdir(parents=True, exist_ok=True)
    pid_file.write_text(str(started.pid))


def _stop(unit: str) -> None:
    if _is_active(unit):
        os.kill(int(_pid_file(unit).read_text()), signal.SIGTERM)
        until = time.monotonic() + STOP_SECONDS
        while _is_active(unit) and time.monotonic() < until:
            time.sleep(0.05)


def _is_active(unit: str) -> bool:
    try:
        pid = int(_pid_file(unit).read_text())
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _section(unit: str) -> dict[str, list[str]]:
    """Return the section Service; a key may stand there more than once."""
    found: dict[str, list[str]] = {}
    name = unit if "." in unit else f"{unit}.service"
    current = ""
    for line in (ROOT / "etc/systemd/system" / name).read_text().splitlines():
        if line.startswith("["):
            current = line
        elif current == "[Service]" and "=" in line and not line.startswith("#"):
            key, _, value = line.partition("=")
            found.setdefault(key, []).append(value)
    return found


def _command(text: str) -> list[str]:
    command = [_placed(each) for each in shlex.split(text)]
    if "kira.cloud.fleet" in command:
        command += ["--root", str(ROOT), "--metadata", os.environ["AWS_EC2_METADATA_SERVICE_ENDPOINT"]]
    return command


def _split(line: str) -> tuple[str, str]:
    name, _, value = line.partition("=")
    return name, _placed("".join(shlex.split(value)))


def _placed(text: str) -> str:
    return f"{ROOT}{text}" if text.startswith(OURS) else text


def _pid_file(unit: str) -> Path:
    return ROOT / "run/systemctl" / _name(unit)


def _name(unit: str) -> str:
    return unit.removesuffix(".service")


if __name__ == "__main__":
    main()
