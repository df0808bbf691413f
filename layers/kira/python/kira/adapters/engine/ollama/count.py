"""How many slots are believed in, and how far the search for them is."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Count:
    """How many slots a model has on a server.

    `slots` are believed now; `is_found` when they were stated or found out; `is_held` while they are being found
    out, and no run may begin; `hint` is what was found before; no search begins before `not_before` (loop time).
    """

    slots: int = 1
    is_found: bool = False
    is_held: bool = False
    hint: int | None = None
    not_before: float = 0.0
