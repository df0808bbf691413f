"""Starts and stops the services of an instance by `systemctl`."""

from __future__ import annotations

import subprocess

from kira.cloud.fleet.store import NotReady


def systemctl(*arguments: str) -> None:
    """Do it. Raises NotReady with what systemd said."""
    done = subprocess.run(["systemctl", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise NotReady(f"systemctl {' '.join(arguments)} failed: {done.stderr.strip() or done.stdout.strip()}")


def is_active(unit: str) -> bool:
    """Say whether a service runs, or is just starting."""
    done = subprocess.run(["systemctl", "is-active", unit], capture_output=True, text=True, check=False)
    return done.stdout.strip() in ("active", "activating", "reloading")
