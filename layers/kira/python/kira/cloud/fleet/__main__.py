"""`python -m kira.cloud.fleet boot`: what user data, units and the health timer of an instance call."""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path

from kira.adapters.host.ec2 import Ec2Config, Ec2Host
from kira.cloud.fleet.boot import boot
from kira.cloud.fleet.health import look
from kira.cloud.fleet.parameters import Parameters, read_parameters
from kira.cloud.fleet.settings_file import write_settings
from kira.cloud.fleet.store import Store
from kira.domain.errors import KiraError, WrongSetting


def main() -> None:
    """Do what is named; what went wrong is told in one sentence, and to the Auto Scaling group."""
    parser = argparse.ArgumentParser(prog="kira.cloud.fleet", description="Make an instance of the fleet ready.")
    parser.add_argument("task", choices=["boot", "settings", "health", "unfit"])
    parser.add_argument("reason", nargs="?", default="It was asked for.", help="why the instance is unfit")
    parser.add_argument("--root", type=Path, default=Path("/"), help="folder under which the instance's files lie")
    parser.add_argument("--metadata", default=None, help="where EC2 answers an instance about itself")
    asked = parser.parse_args()
    try:
        given = read_parameters(asked.root, asked.metadata)
        _do(asked.task, given, asked.reason)
    except WrongSetting as error:
        sys.exit(f"kira: {error.message}")


def _do(task: str, given: Parameters, reason: str) -> None:
    if task == "unfit":
        asyncio.run(_unfit(given, reason))
        return
    try:
        if task == "boot":
            boot(given)
        elif task == "settings":
            write_settings(given, Store(given.weights, given.region))
        elif trouble := look(given):
            print(f"kira: {trouble}")
    except KiraError as error:
        print(f"kira: {error.message}", file=sys.stderr)
        if task != "settings":  # systemd does that again; the health timer says when it is too often
            asyncio.run(_unfit(given, error.message))
        sys.exit(1)


async def _unfit(given: Parameters, reason: str) -> None:
    host = Ec2Host(Ec2Config(given.fleet, metadata=given.metadata))
    await host.unfit(reason)
    await host.close()


if __name__ == "__main__":
    main()
