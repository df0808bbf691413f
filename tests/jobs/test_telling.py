"""What runs say is gathered, but nobody waits for their first word because somebody else speaks."""

from __future__ import annotations

import asyncio

from kira.adapters.stream.process import ProcessStream
from kira.jobs.telling import Teller, Telling
from kira.ports.stream import Source


def source(run: str) -> Source:
    return Source("u", run, None, "reply")


async def first_batch(stream: ProcessStream, run: str) -> list[str]:
    async for batch in stream.follow("u", run, 0):
        return [event.data["text"] for event in batch]
    return []


async def turns() -> None:
    """Let everything happen that needs no time."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_a_first_word_is_said_while_others_are_gathered() -> None:
    stream = ProcessStream()
    telling = Telling(stream)
    one, two = (Teller(telling, source(run), 1) for run in ("one", "two"))
    one.gather("delta", "a")
    await turns()
    one.gather("delta", "b")  # from here on the timer runs
    await turns()
    two.gather("delta", "x")
    await turns()
    assert await stream.knows("u", "two")
    assert await first_batch(stream, "two") == ["x"]


async def test_what_follows_is_gathered_in_one_piece() -> None:
    stream = ProcessStream()
    teller = Teller(Telling(stream), source("one"), 1)
    teller.gather("delta", "a")
    await turns()
    teller.gather("delta", "b")
    await turns()  # the timer begins with what is there and then rests
    for word in "cdef":
        teller.gather("delta", word)
        await turns()
    assert await first_batch(stream, "one") == ["a", "b"]
    await teller.flush()
    assert await first_batch(stream, "one") == ["a", "b", "cdef"]
