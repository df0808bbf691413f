"""Copies models from the bucket to the fast disk, in the layout in which Ollama keeps them."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path

from kira.cloud.fleet.store import MIB, NotReady, Store

REGISTRY, NAMESPACE, TAG = "registry.ollama.ai", "library", "latest"
TOLD_SECONDS = 5


class Progress:
    """Says every few seconds how far a copy is."""

    def __init__(self, name: str, total: int) -> None:
        """Copy `total` bytes of `name`."""
        self._name, self._total, self._done = name, total, 0
        self._began = self._told = time.monotonic()
        self._lock = threading.Lock()

    def __call__(self, size: int) -> None:
        """Take note of further bytes."""
        with self._lock:  # parts of one object come in several threads
            self._done += size
            if time.monotonic() - self._told >= TOLD_SECONDS:
                self._told = time.monotonic()
                self.tell()

    def tell(self) -> None:
        """Say it now."""
        seconds = max(0.001, time.monotonic() - self._began)
        done, total, rate = self._done // MIB, self._total // MIB, self._done / MIB / seconds
        print(f"  {self._name}: {done:,} of {total:,} MiB, {rate:,.0f} MiB/s", flush=True)


def manifest_of(model: str) -> str:
    """Return where Ollama keeps the manifest of a model, such as `llama3.1:8b`, below its folder of models."""
    name, _, tag = model.partition(":")
    parts = name.split("/")
    place = [*[REGISTRY, NAMESPACE][: 3 - len(parts)], *parts] if len(parts) < 3 else parts
    return "/".join(["manifests", *place, tag or TAG])


def copy(store: Store, model: str, to: Path) -> None:
    """Copy what of `model` is not there yet, the manifest last: a half copy is no model. Raises NotReady."""
    place = manifest_of(model)
    text = store.text(f"models/{place}")
    if text is None:
        raise NotReady(f"The bucket of weights has no models/{place}. Upload {model} there (docs/fleet.md).")
    manifest = json.loads(text)
    parts = {str(each["digest"]): int(each["size"]) for each in [manifest["config"], *manifest["layers"]]}
    missing = {digest: size for digest, size in parts.items() if not _is_there(to, digest, size)}
    progress = Progress(model, sum(missing.values()))
    for digest in missing:
        name = digest.replace(":", "-")
        store.fetch(f"models/blobs/{name}", to / "blobs" / name, digest.partition(":")[2], progress)
    progress.tell()
    (to / place).parent.mkdir(parents=True, exist_ok=True)
    (to / place).write_text(text)


def _is_there(to: Path, digest: str, size: int) -> bool:
    """Say whether a part was copied before: a file has its name only once its sum was right."""
    path = to / "blobs" / digest.replace(":", "-")
    return path.is_file() and path.stat().st_size == size
