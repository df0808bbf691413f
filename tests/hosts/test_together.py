"""Three instances and two workers are one Kira: what is begun at one goes on at another, and limits are shared."""

from __future__ import annotations

import asyncio

import aiohttp
from tests.hosts.rig import Hosts
from tests.hosts.users import Reading, visitor
from yarl import URL

from kira.domain.limits import WIDGET_FRESH_SECONDS

WORDS = " ".join(f"word{number}" for number in range(120))


async def test_one_conversation_goes_over_all_instances(hosts: Hosts) -> None:
    first, second, third = hosts.addresses
    async with visitor(hosts.proxy) as user:
        run = (await user.ask(first, f"say:{WORDS}"))["run"]["id"]
        reading = Reading()
        for address, most in ((second, 5), (third, 5), (hosts.proxy, 10_000)):
            found = 0
            async for frame in user.frames(address, run, reading.last):
                reading.frames.append(frame)
                found += frame.kind == "delta"
                if found == most:
                    break
    assert reading.text == WORDS
    numbers = [frame.number for frame in reading.frames]
    assert numbers == sorted(set(numbers))
    assert (reading.kinds[-1], reading.kinds.count("done"), reading.kinds.count("restart")) == ("done", 1, 0)
    assert reading.kinds.count("delta") > 12


async def test_a_limit_is_one_for_all_instances(hosts: Hosts) -> None:
    async with visitor(hosts.proxy) as user:
        conversations = [await user.conversation(hosts.proxy) for _ in range(50)]
        asked = [
            user.call("POST", f"{hosts.addresses[n % 3]}/api/conversations/{each}/messages", {"content": "say:x"})
            for n, each in enumerate(conversations)
        ]
        answers = await asyncio.gather(*asked)
        refused = [answer for status, answer in answers if status == 429]
        assert [status for status, _ in answers].count(202) == 45
        assert {answer["error"]["limit"] for answer in refused} == {"conversation"}
        runs = [answer["run"]["id"] for status, answer in answers if status == 202]
        await asyncio.gather(*(user.read(hosts.proxy, run) for run in runs))


async def test_a_session_that_is_ended_at_one_is_refused_at_all(hosts: Hosts) -> None:
    async with visitor(hosts.proxy) as user:
        _, page = await user.call("GET", f"{hosts.addresses[0]}/api/auth/sessions")
        own = next(each["id"] for each in page["items"])
        for address in hosts.addresses:
            assert (await user.call("GET", f"{address}/api/auth/me"))[0] == 200
        status, _ = await user.call("DELETE", f"{hosts.addresses[0]}/api/auth/sessions/{own}")
        assert status == 204
        for address in hosts.addresses:
            assert (await user.call("GET", f"{address}/api/auth/me"))[0] == 401


async def test_a_refresh_token_works_once_wherever_it_is_used(hosts: Hosts) -> None:
    async with visitor(hosts.proxy) as user:
        found = user.session.cookie_jar.filter_cookies(URL(hosts.proxy + "/api/auth"))
        cookie = {"Cookie": f"kira_refresh={found['kira_refresh'].value}"}
        async with aiohttp.ClientSession(headers=cookie, cookie_jar=aiohttp.DummyCookieJar()) as thieves:

            async def refresh(address: str) -> int:
                async with thieves.post(f"{address}/api/auth/refresh") as response:
                    return response.status

            statuses = await asyncio.gather(*(refresh(address) for address in hosts.addresses * 2))
        assert sorted(statuses) == [200, 401, 401, 401, 401, 401]
        assert (await user.call("GET", f"{hosts.proxy}/api/auth/me"))[0] == 401


async def test_a_widget_is_fresh_at_every_instance(hosts: Hosts) -> None:
    async with visitor(hosts.proxy) as user:
        _, widget = await user.call("POST", f"{hosts.proxy}/api/widgets", {"kind": "usage"})
        path = f"/api/widgets/{widget['id']}/refresh"
        one = [f"{hosts.addresses[0]}{path}"] * 20
        same = [answer for _, answer in await asyncio.gather(*(user.call("POST", url) for url in one))]
        assert len({answer["refreshed_at"] for answer in same}) == 1
        others = [await user.call("POST", f"{address}{path}") for address in hosts.addresses[1:]]
        assert WIDGET_FRESH_SECONDS > 0
        assert len({answer["refreshed_at"] for _, answer in others} | {same[0]["refreshed_at"]}) <= 2


async def test_one_question_does_not_wait_behind_forty_of_another_user(hosts: Hosts) -> None:
    async with visitor(hosts.proxy) as heavy, visitor(hosts.proxy) as light:
        many = " ".join(["many"] * 150)
        asked = await asyncio.gather(*(heavy.ask(hosts.proxy, f"say:{many}") for _ in range(40)))
        await asyncio.sleep(1)
        one = (await light.ask(hosts.proxy, "say:one"))["run"]["id"]
        await light.read(hosts.proxy, one)
        runs = [each["run"]["id"] for each in asked]
        at = dict(hosts.rows("SELECT id, started_at FROM runs WHERE started_at IS NOT NULL"))
        ((joined,),) = hosts.rows("SELECT created_at FROM runs WHERE id = %s", one)
        between = [run for run in runs if run in at and joined < at[run] < at[one]]
        assert len(between) <= 6, "at most the runs of one round of all slots begin before it"
        await asyncio.gather(*(heavy.read(hosts.proxy, run) for run in runs))
