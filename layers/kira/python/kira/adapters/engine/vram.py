"""The memory of this computer's graphics card, as NVIDIA's driver tells it."""

from __future__ import annotations

from functools import cache

import pynvml

MIB = 1 << 20


@cache
def card_mib() -> int | None:
    """Return the memory of the largest card in MiB; None without a card or without its driver."""
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return None
    try:
        handles = [pynvml.nvmlDeviceGetHandleByIndex(at) for at in range(pynvml.nvmlDeviceGetCount())]
        sizes = [int(pynvml.nvmlDeviceGetMemoryInfo(handle).total) // MIB for handle in handles]
        return max(sizes, default=None)
    except pynvml.NVMLError:
        return None
    finally:
        pynvml.nvmlShutdown()
