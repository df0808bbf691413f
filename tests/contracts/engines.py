"""The engines of the suites about isolation: all that tests have, or the one of a rehearsal of AWS."""

from __future__ import annotations

from tests import homes
from tests.engines import ENGINES, Engine, engine
from tests.rehearsal.engine import AWS, Rehearsed

HERE: tuple[str, ...] = (AWS,) if homes.is_aws() else ENGINES
"""Those of the home of this run, which is chosen before any test is looked for."""


def engine_here(name: str) -> Engine:
    """Return what opens a database on the engine `name`."""
    return Rehearsed() if name == AWS else engine(name)
