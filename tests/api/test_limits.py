"""Limits over HTTP: exact, with the true wait and the headers that say so; refused work did not happen."""

from __future__ import annotations

import asyncio

import pytest
from tests.api.caller import Answer, Caller, crowd
from tests.api.conftest import Homes

from kira.adapters.clock.fixed import FixedClock
from kira.domain.limits import RUNS_WAITING_PER_USER_MAX, Limit
from kira.domain.moments import DAY, MINUTE, SECOND
from kira.testing.serving import Plan, held_engine

API = Limit("api", 6, 30 * SECOND)  # one more every 5 s
CONVERSATION = Limit("conversation", 3, MINUTE)  # one more every 20 s
SLOW_API, SLOW_CONVERSATION = Limit("api", 6, DAY), Limit("conversation", 3, DAY)
"""Limits that give nothing back while a test runs, whatever the clock."""


def send(caller: Caller, conversation_id: str, key: str | None = None) -> asyncio.Task[Answer]:
    headers = {} if key is None else {"Idempotency_Key": key}
    path = f"/api/conversations/{conversation_id}/messages"
    return asyncio.create_task(caller.post(path, {"content": "What is a slot?"}, **headers))


async def test_the_conversation_limit_is_exact_and_tells_the_true_wait(home_of: Homes) -> None:
    clock = FixedClock()
    async with home_of(Plan(clock=clock, limits=(CONVERSATION,), works=False)) as home:
        conversation_id = await home.bob.begin()
        accepted = [await send(home.bob, conversation_id) for _ in range(3)]
        assert [answer.status for answer in accepted] == [202] * 3
        for passed, wait in ((0, 20), (5, 15), (14, 1), (0.5, 1)):
            clock.advance(passed)
            refused = await send(home.bob, conversation_id)
            assert refused.error == (429, "RATE_LIMITED")
            told = refused.json["error"]
            assert (told["limit"], told["retry_after_s"], refused.headers["Retry-After"]) == (
                "conversation",
                wait,
                str(wait),
            )
        clock.advance(0.5)
        assert (await send(home.bob, conversation_id)).status == 202
        assert (await send(home.bob, conversation_id)).status == 429
        assert len(await home.bob.messages(conversation_id)) == 4
        assert (await send(home.alice, await home.alice.begin())).status == 202


async def test_of_many_at_once_exactly_as_many_as_the_limit_has_are_accepted(home_of: Homes) -> None:
    async with home_of(Plan(limits=(SLOW_CONVERSATION,), works=False)) as home:
        conversation_id = await home.bob.begin()
        answers = await asyncio.gather(*(send(home.bob, conversation_id) for _ in range(crowd())))
        assert sorted(answer.status for answer in answers) == [202] * 3 + [429] * (crowd() - 3)
        assert len(await home.bob.messages(conversation_id)) == 3


async def test_another_answer_counts_as_a_message(home_of: Homes) -> None:
    async with home_of(Plan(limits=(SLOW_CONVERSATION,), works=False)) as home:
        conversation_id = await home.bob.begin()
        message_id = (await send(home.bob, conversation_id)).json["message"]["id"]
        answers = [await home.bob.post(f"/api/messages/{message_id}/regenerate") for _ in range(3)]
        assert [answer.status for answer in answers] == [202, 202, 429]


async def test_a_repeat_is_answered_although_the_limit_is_reached(home_of: Homes) -> None:
    async with home_of(Plan(limits=(SLOW_CONVERSATION,), works=False)) as home:
        conversation_id = await home.bob.begin()
        first = await send(home.bob, conversation_id, "one")
        others = [await send(home.bob, conversation_id) for _ in range(3)]
        assert [answer.status for answer in others] == [202, 202, 429]
        repeat = await send(home.bob, conversation_id, "one")
        assert (repeat.status, repeat.json["message"]) == (202, first.json["message"])
        assert (await send(home.bob, conversation_id, "two")).error == (429, "RATE_LIMITED")


async def test_the_api_limit_is_exact_and_every_answer_says_what_is_left(home_of: Homes) -> None:
    clock = FixedClock()
    async with home_of(Plan(clock=clock, limits=(API,), works=False)) as home:
        for left in range(5, -1, -1):
            answer = await home.bob.get("/api/auth/me")
            assert answer.status == 200
            assert answer.headers["RateLimit-Policy"] == '"api";q=6;w=30'
            assert answer.headers["RateLimit"] == f'"api";r={left};t={5 * (6 - left)}'
            assert "Retry-After" not in answer.headers
        for passed, wait in ((0, 5), (3.5, 2), (1.4, 1)):
            clock.advance(passed)
            refused = await home.bob.get("/api/auth/me")
            assert refused.error == (429, "RATE_LIMITED")
            told = refused.json["error"]
            assert (told["limit"], told["retry_after_s"], refused.headers["Retry-After"]) == ("api", wait, str(wait))
            assert refused.headers["RateLimit-Policy"] == '"api";q=6;w=30'
        clock.advance(0.1)
        assert (await home.bob.get("/api/auth/me")).headers["RateLimit"] == '"api";r=0;t=30'
        assert (await home.bob.get("/api/auth/me")).status == 429
        assert (await home.alice.get("/api/auth/me")).status == 200


async def test_the_api_limit_counts_every_device_of_a_user_together(home_of: Homes) -> None:
    async with home_of(Plan(limits=(SLOW_API,), works=False)) as home:
        phone = await home.nobody.sign_in("bob")
        calls = [caller.get("/api/conversations") for caller in (home.bob, phone) for _ in range(crowd() // 2)]
        answers = await asyncio.gather(*calls)
        assert sorted(answer.status for answer in answers) == [200] * 6 + [429] * (crowd() - 6)


async def test_what_the_api_limit_refuses_does_not_happen(home_of: Homes) -> None:
    clock = FixedClock()
    async with home_of(Plan(clock=clock, limits=(API,), works=False)) as home:
        for _ in range(6):
            await home.bob.begin()
        assert (await home.bob.post("/api/conversations")).status == 429
        assert (await home.bob.post("/api/widgets", {"kind": "note"})).status == 429
        clock.advance(30)
        assert len((await home.bob.get("/api/conversations")).json["items"]) == 6
        assert (await home.bob.get("/api/widgets")).json["items"] == []


async def test_without_limits_nothing_says_so(home_of: Homes) -> None:
    async with home_of(Plan(works=False)) as home:
        answers = [await home.bob.get("/api/auth/me") for _ in range(70)]
        assert {answer.status for answer in answers} == {200}
        assert not {"RateLimit", "RateLimit-Policy"} & set(answers[0].headers)


@pytest.mark.parametrize("way", ["message", "another answer"])
async def test_a_user_may_have_only_so_many_runs_waiting(home_of: Homes, way: str) -> None:
    async with home_of(Plan(works=False)) as home:
        conversation_id = await home.bob.begin()
        accepted = [await send(home.bob, conversation_id) for _ in range(RUNS_WAITING_PER_USER_MAX)]
        assert {answer.status for answer in accepted} == {202}
        message_id = accepted[0].json["message"]["id"]
        path = {"message": f"/api/conversations/{conversation_id}/messages"}.get(
            way, f"/api/messages/{message_id}/regenerate"
        )
        body = {"content": "One more"} if way == "message" else None
        refused = await home.bob.post(path, body)
        assert refused.error == (429, "QUEUE_FULL")
        assert int(refused.headers["Retry-After"]) == refused.json["error"]["retry_after_s"] > 0
        assert len(await home.bob.messages(conversation_id)) == RUNS_WAITING_PER_USER_MAX
        assert (await home.bob.post(f"/api/runs/{accepted[0].json['run']['id']}/cancel")).status == 202
        assert (await home.bob.post(path, body)).status == 202
        assert (await send(home.alice, await home.alice.begin())).status == 202


async def test_places_are_told_in_order_and_move_up(home_of: Homes) -> None:
    async with home_of(Plan(held_engine())) as home:
        conversation_id = await home.bob.begin()
        going, *waiting = [(await send(home.bob, conversation_id)).json["run"]["id"] for _ in range(5)]
        async with home.bob.stream(f"/api/runs/{going}/events") as frames:
            while (await anext(frames)).kind != "delta":
                pass
        runs = [(await home.bob.get(f"/api/runs/{run_id}")).json for run_id in waiting]
        assert [(run["state"], run["position"]) for run in runs] == [("queued", place) for place in (1, 2, 3, 4)]
        waits = [run["wait_s"] for run in runs]
        assert waits == sorted(waits)
        assert waits[0] > 0
        last = waiting[-1]
        async with home.bob.stream(f"/api/runs/{last}/events") as frames:
            told = [(await anext(frames)).data["position"]]
            for run_id in waiting[:-1]:
                assert (await home.bob.post(f"/api/runs/{run_id}/cancel")).status == 202
            while told[-1] != 1:
                frame = await anext(frames)
                assert frame.kind == "queued"
                told.append(frame.data["position"])
        assert told == sorted(told, reverse=True)


async def test_whoever_received_nothing_yet_goes_before_whoever_waits_with_much(home_of: Homes) -> None:
    async with home_of(Plan(held_engine())) as home:
        conversation_id = await home.bob.begin()
        going, *_ = [(await send(home.bob, conversation_id)).json["run"]["id"] for _ in range(5)]
        async with home.bob.stream(f"/api/runs/{going}/events") as frames:
            while (await anext(frames)).kind != "delta":
                pass
        run_id = (await send(home.alice, await home.alice.begin())).json["run"]["id"]
        assert (await home.alice.get(f"/api/runs/{run_id}")).json["position"] == 1
