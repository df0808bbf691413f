"""Times are whole microseconds since 1970 in UTC, so that both databases sort and subtract them alike."""

from __future__ import annotations

from datetime import UTC, datetime

SECOND = 1_000_000  # microseconds
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR


def to_text(moment: int) -> str:
    """Return `moment` (microseconds) as RFC 3339 in UTC with milliseconds."""
    return datetime.fromtimestamp(moment / SECOND, UTC).strftime("%Y-%m-%dT%H:%M:%S.") + (
        f"{moment % SECOND // 1000:03d}Z"
    )


def day_of(moment: int) -> str:
    """Return the UTC day of `moment` (microseconds) as `2026-11-24`."""
    return datetime.fromtimestamp(moment / SECOND, UTC).strftime("%Y-%m-%d")
