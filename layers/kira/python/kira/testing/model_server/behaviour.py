"""How the test model server behaves and how it fails."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Literal

from kira.testing.model_server.models import FakeModel

FaultKind = Literal[
    "down",
    "500",
    "busy",
    "memory",
    "missing",
    "error-line",
    "cut",
    "stall",
    "slow",
    "garbage",
    "split",
    "silent",
    "bound",
]

SLOW_DOWN = 20


@dataclass(slots=True)
class Behaviour:
    """Slots, pace (seconds, tokens per second) and models; everything can be changed while the server runs."""

    slots: int = 1
    first: float = 0.05
    rate: float = 50.0
    tokens: int = 100
    load: float = 0.0
    context: int = 8192
    loaded_max: int = 1
    gpu_share: float = 1.0
    version: str = "0.33.1"
    key: str = ""
    usage: bool = True
    models: tuple[FakeModel, ...] = (FakeModel("test:latest"),)

    def change(self, values: dict[str, Any]) -> None:
        """Set the fields named in `values`; a model is a name, or a mapping with `name` and what else it is.

        Raises KeyError for an unknown field.
        """
        known = {each.name for each in dataclasses.fields(self)}
        for name, value in values.items():
            if name not in known:
                raise KeyError(name)
            setattr(self, name, tuple(map(_model, value)) if name == "models" else value)


def _model(said: Any) -> FakeModel:
    if isinstance(said, str):
        return FakeModel(said)
    return FakeModel(**{**said, "capabilities": tuple(said.get("capabilities", ("completion",)))})


@dataclass(slots=True)
class Fault:
    """One fault: `after` tokens of an answer where that has a meaning, for `times` answers (None: until cleared)."""

    kind: FaultKind
    after: int = 3
    times: int | None = None
    text: str | None = None
