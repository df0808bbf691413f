"""Every clock tells microseconds of UTC and does not go back."""

from __future__ import annotations

import time

import pytest

from kira.adapters.clock.fixed import FixedClock
from kira.adapters.clock.system import SystemClock
from kira.domain.moments import SECOND
from kira.ports.clock import Clock


@pytest.fixture(params=[SystemClock, FixedClock])
def clock(request: pytest.FixtureRequest) -> Clock:
    made: Clock = request.param()
    return made


def test_a_clock_tells_whole_microseconds_of_this_age(clock: Clock) -> None:
    now = clock.now()
    assert type(now) is int
    assert 1_700_000_000 * SECOND < now < 4_000_000_000 * SECOND


def test_a_clock_does_not_go_back(clock: Clock) -> None:
    told = [clock.now() for _ in range(1000)]
    assert told == sorted(told)


def test_the_system_clock_tells_what_the_operating_system_tells() -> None:
    before = time.time_ns() // 1000
    now = SystemClock().now()
    assert before <= now <= time.time_ns() // 1000


def test_the_fixed_clock_stands_until_it_is_moved() -> None:
    clock = FixedClock(5 * SECOND)
    assert [clock.now(), clock.now()] == [5 * SECOND, 5 * SECOND]
    clock.advance(0.25)
    assert clock.now() == 5_250_000
    with pytest.raises(ValueError, match="back"):
        clock.advance(-1)
