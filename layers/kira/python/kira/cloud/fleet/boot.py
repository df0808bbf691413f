"""The steps from an empty instance to a worker that serves; each may be done again."""

from __future__ import annotations

from collections.abc import Callable

from kira.cloud.fleet import programs, weights
from kira.cloud.fleet.parameters import Parameters, read_environment, write_environment
from kira.cloud.fleet.settings_file import write_settings
from kira.cloud.fleet.slots import slots_of, wait_for
from kira.cloud.fleet.store import Store
from kira.cloud.fleet.units import is_active, systemctl

SERVICES = ("ollama.service", "kira-worker.service", "kira-health.timer")


def boot(given: Parameters) -> None:
    """Do every step and say so. Raises a KiraError that says what to do."""
    store = Store(given.weights, given.region)
    steps: list[tuple[str, Callable[[], None]]] = [
        (f"install Ollama {given.ollama_version}", lambda: _ollama(given, store)),
        (f"copy {', '.join(given.models)} to {given.nvme}", lambda: _weights(given, store)),
        ("find how many answers go at once", lambda: _slots(given)),
        ("write the settings of the worker", lambda: write_settings(given, store)),
        ("start the worker, which loads its models first", _start),
    ]
    for number, (told, step) in enumerate(steps, 1):
        print(f"kira: {number} of {len(steps)}: {told}", flush=True)
        step()
    print("kira: this instance is ready", flush=True)


def _ollama(given: Parameters, store: Store) -> None:
    if programs.install_ollama(store, given.ollama_version, given.root / "opt/ollama") and is_active("ollama"):
        systemctl("restart", "ollama.service")


def _weights(given: Parameters, store: Store) -> None:
    for model in given.models:
        weights.copy(store, model, given.nvme / "models")


def _slots(given: Parameters) -> None:
    """Start Ollama to ask it what the models are; it takes its parallelism from a file, and only at its start."""
    path = given.settings / "ollama.env"
    before = read_environment(path) if path.is_file() else {}
    host = {"OLLAMA_HOST": given.ollama.partition("://")[2]}
    if not before:
        write_environment(path, {**host, "OLLAMA_NUM_PARALLEL": "1"})
    systemctl("daemon-reload")
    systemctl("start", "ollama.service")
    wait_for(given.ollama)
    slots = str(slots_of(given))
    print(f"  {slots} at once", flush=True)
    if before.get("OLLAMA_NUM_PARALLEL") != slots:
        write_environment(path, {**host, "OLLAMA_NUM_PARALLEL": slots})
        systemctl("restart", "ollama.service")
        wait_for(given.ollama)


def _start() -> None:
    for unit in SERVICES:
        systemctl("enable", "--now", unit)
