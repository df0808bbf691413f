"""The mark of a database that `kira migrate` began to fill: a table that is there until everything is."""

from __future__ import annotations

UNFINISHED = "migration"
