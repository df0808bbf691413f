"""Runs over HTTP."""

from __future__ import annotations

from tests.api.caller import text_of
from tests.api.conftest import Home


async def test_numbers_rise_from_one_and_the_joined_deltas_are_the_answer(home: Home) -> None:
    conversation_id = await home.bob.begin()
    asked = await home.bob.send(conversation_id, "What is a slot?")
    frames = await home.bob.follow(f"/api/runs/{asked['run']['id']}/events")
    numbers = [frame.id for frame in frames]
    assert numbers == list(range(1, len(frames) + 1))
    question, answer = await home.bob.messages(conversation_id)
    assert text_of(frames) == answer["content"]
