"""Run the test model server: `python -m kira.testing.model_server --port 11434 --slots 4`."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys

from kira.testing.model_server.behaviour import Behaviour
from kira.testing.model_server.models import FakeModel
from kira.testing.model_server.server import ModelServer


def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(description="A model server for tests that speaks Ollama's protocol.")
    standard = Behaviour()
    parser.add_argument("--port", type=int, default=0, help="0 takes any free port; it is printed")
    parser.add_argument("--slots", type=int, default=standard.slots, help="answers at once; others wait in line")
    parser.add_argument("--first", type=float, default=standard.first, help="seconds to the first token")
    parser.add_argument("--rate", type=float, default=standard.rate, help="tokens per second of each answer")
    parser.add_argument("--tokens", type=int, default=standard.tokens, help="tokens per answer")
    parser.add_argument("--load", type=float, default=standard.load, help="seconds that loading a model takes")
    parser.add_argument("--context", type=int, default=standard.context, help="tokens of context per slot")
    parser.add_argument("--gpu-share", type=float, default=standard.gpu_share, help="part of a model on the card")
    parser.add_argument("--models", default="test:latest", help="names, separated by commas; empty for none")
    given = parser.parse_args()
    names = [name.strip() for name in given.models.split(",") if name.strip()]
    values = {name: value for name, value in vars(given).items() if name not in ("port", "models")}
    behaviour = Behaviour(**values, models=tuple(FakeModel(name) for name in names))
    asyncio.run(_serve(ModelServer(behaviour, port=given.port)))


async def _serve(server: ModelServer) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with server:
        sys.stdout.write(f"Listening on {server.address}\n")
        sys.stdout.flush()
        await stop.wait()


if __name__ == "__main__":
    main()
