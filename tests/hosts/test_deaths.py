"""Whatever dies or is restarted under load: nothing acknowledged is lost, nothing is answered twice."""

from __future__ import annotations

import asyncio

from tests.hosts.rig import Hosts, roll
from tests.hosts.traffic import traffic
from tests.hosts.users import visitor


async def test_a_killed_instance_costs_only_what_was_in_flight(hosts: Hosts) -> None:
    async with traffic(hosts) as load:
        await load.until_sent(8)
        await load.kill(hosts.instances[1])
        await load.until_sent(8)
        await asyncio.to_thread(hosts.start, hosts.instances[1])
    assert load.failures() == []


async def test_a_killed_worker_costs_no_request_at_all(hosts: Hosts) -> None:
    async with traffic(hosts) as load:
        await load.until_sent(8)
        await load.kill(hosts.workers[1])
        await load.until_sent(8)
        await asyncio.to_thread(hosts.start, hosts.workers[1])
    assert load.all_failures() == []


async def test_restarts_one_by_one_cost_nothing(hosts: Hosts) -> None:
    async with traffic(hosts, 0.7) as load:
        await load.until_sent(4)
        await roll(*hosts.instances, *hosts.workers)
        await load.until_sent(4)
    assert load.all_failures() == []


async def test_everything_comes_back_after_postgresql(hosts: Hosts) -> None:
    before = [each.process for each in (*hosts.instances, *hosts.workers)]
    async with traffic(hosts) as load:
        await load.until_sent(8)
        await asyncio.to_thread(hosts.postgres.stop)
        refused = await asyncio.gather(
            *(user.call("POST", f"{hosts.proxy}/api/conversations") for user in load.users[:3])
        )
        assert [(status, answer["error"]["code"]) for status, answer in refused] == [(503, "UNAVAILABLE")] * 3
        hosts.postgres.start()  # it ends with the thread that starts it
        await load.until_sent(12)
    assert {request.status for request in load.all_failures()} <= {503}
    assert all(request.retry_after for request in load.all_failures())
    assert [each.process for each in (*hosts.instances, *hosts.workers)] == before
    assert [each.process.poll() for each in (*hosts.instances, *hosts.workers) if each.process] == [None] * 5


async def test_when_the_leader_is_killed_another_tells_places(hosts: Hosts) -> None:
    second, leader = hosts.workers
    await roll(second)  # now the other one came first
    try:
        async with visitor(hosts.proxy) as user:
            slow = " ".join(["slow"] * 800)
            asked = await asyncio.gather(*(user.ask(hosts.proxy, f"say:{slow}") for _ in range(39)))
            asked.append(await user.ask(hosts.proxy, f"say:{slow}"))  # behind all others
            places: list[int] = []
            moved = False
            async for frame in user.frames(hosts.proxy, asked[-1]["run"]["id"]):
                if frame.kind != "queued":
                    continue
                places.append(frame.data["position"])
                if len(places) == 2:
                    leader.kill()
                elif len(places) > 3 and places[-1] < places[2]:  # the third may have been under way
                    moved = True
                    break
            assert moved, places
            await asyncio.gather(*(user.call("POST", f"{hosts.proxy}/api/runs/{a['run']['id']}/cancel") for a in asked))
    finally:
        await asyncio.to_thread(hosts.start, leader)
