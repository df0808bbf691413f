"""A run that ends between the table and the stream: the table says so a moment before the last words are heard."""

from __future__ import annotations

from tests.api.caller import text_of
from tests.api.conftest import Homes
from tests.api.test_runs import asked

from kira.ports.stream import Source
from kira.testing.serving import Plan


async def test_a_run_whose_last_words_come_after_its_end_in_the_table_is_told_whole(home_of: Homes) -> None:
    async with home_of(Plan(works=False)) as home:
        (conversation, quick), (_, waits) = await asked(home.bob), await asked(home.bob)
        world = home.served.kira.world
        user = (await home.bob.get("/api/auth/me")).json["id"]
        run = Source(user, quick, conversation, "reply")
        await world.stream.append(run, 1, [("started", {}), ("delta", {"text": "half "})], works=True)
        await world.database.of(user).execute("runs.cancel", {"run_id": quick, "now": 1})
        async with home.bob.stream("/api/events") as frames:
            assert [(await anext(frames)).data["run_id"] for _ in ("restart", "queued")] == [waits, waits]
            await world.stream.append(run, 1, [("delta", {"text": "a text"}), ("cancelled", {})], works=True)
            told = [await anext(frames) for _ in range(6)]
            assert [frame.kind for frame in told] == ["restart", "queued", "started", "delta", "delta", "cancelled"]
            assert {frame.data["run_id"] for frame in told} == {quick}
            assert text_of(told) == "half a text"
            await home.bob.post(f"/api/runs/{waits}/cancel")
            assert [frame.kind async for frame in frames] == ["cancelled", "idle"]
