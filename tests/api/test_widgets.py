"""Widgets over HTTP: kinds, order, sizes, settings, and a refresh that happens once however many ask."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from tests import homes
from tests.api.caller import PATIENCE_S, Answer, Caller, crowd, until
from tests.api.conftest import Home, Homes

from kira.adapters.clock.fixed import FixedClock
from kira.domain.limits import NOTE_CHARACTERS_MAX, WIDGET_FRESH_SECONDS, WIDGETS_PER_USER_MAX, Limit
from kira.domain.moments import DAY, MINUTE, SECOND
from kira.domain.widgets import TITLES, WidgetKind
from kira.services.widgets import LOOK_SECONDS, REFRESH_SECONDS_MAX
from kira.testing.serving import Plan, held_engine

WIDGET = Limit("widget", 2, MINUTE)  # one more every 30 s
SLOW_WIDGET = Limit("widget", 2, DAY)  # gives nothing back while a test runs, whatever the clock


async def add(caller: Caller, kind: str = "note", **fields: Any) -> dict[str, Any]:
    answer = await caller.post("/api/widgets", {"kind": kind, **fields})
    assert answer.status == 201, answer.body
    return dict(answer.json)


async def refreshed(caller: Caller, widget: dict[str, Any]) -> Answer:
    return await caller.post(f"/api/widgets/{widget['id']}/refresh")


async def many(home: Home) -> None:
    """Let so many instances run as will be asked at once: what is made is fresh for less time than they take to start.

    Whoever asks is alice, so that nothing of bob's limit is taken.
    """
    await asyncio.gather(*(home.alice.get("/api/widgets") for _ in range(crowd() if homes.is_aws() else 0)))


async def order_of(caller: Caller) -> list[tuple[str, int]]:
    items = (await caller.get("/api/widgets")).json["items"]
    return [(item["id"], item["position"]) for item in items]


@pytest.mark.parametrize("kind", WidgetKind)
async def test_a_widget_begins_with_the_title_of_its_kind_and_nothing_to_show(home: Home, kind: WidgetKind) -> None:
    widget = await add(home.bob, kind)
    assert (widget["kind"], widget["title"], widget["settings"]) == (kind, TITLES[kind], {})
    assert (widget["position"], widget["width"], widget["height"]) == (0, 1, 1)
    assert (widget["content"], widget["refreshed_at"]) == (None, None)
    assert (await home.bob.get("/api/widgets")).json == {"items": [widget], "next": None}
    fresh = (await refreshed(home.bob, widget)).json
    assert fresh["refreshed_at"].endswith("Z")
    assert isinstance(fresh["content"], dict)
    assert (await home.bob.get("/api/widgets")).json["items"] == [fresh]


async def test_widgets_keep_the_order_that_the_user_gave(home: Home) -> None:
    made = [(await add(home.bob))["id"] for _ in range(4)]
    one, two, three, four = made
    await add(home.alice)
    assert await order_of(home.bob) == list(zip(made, range(4), strict=True))
    for moved, position, expected in (
        (four, 0, [four, one, two, three]),
        (four, 3, [one, two, three, four]),
        (one, 2, [two, three, one, four]),
        (two, 1_000, [three, one, four, two]),
    ):
        answer = await home.bob.patch(f"/api/widgets/{moved}", {"position": position})
        assert (answer.status, answer.json["position"]) == (200, min(position, 3))
        assert await order_of(home.bob) == list(zip(expected, range(4), strict=True))
    assert (await home.bob.delete(f"/api/widgets/{one}")).status == 204
    last = await add(home.bob)
    assert [each for each, _ in await order_of(home.bob)] == [three, four, two, last["id"]]
    assert len(await order_of(home.alice)) == 1


async def test_moves_at_once_leave_every_widget_with_a_place_of_its_own(home: Home) -> None:
    made = [(await add(home.bob))["id"] for _ in range(6)]
    moves = [home.bob.patch(f"/api/widgets/{each}", {"position": 0}) for each in made]
    assert {answer.status for answer in await asyncio.gather(*moves)} == {200}
    ordered = await order_of(home.bob)
    assert {each for each, _ in ordered} == set(made)
    assert [position for _, position in ordered] == list(range(6))


async def test_a_widget_changes_only_where_it_is_told_to(home: Home) -> None:
    before = await add(home.bob, "note", title="Mine", width=2, height=3, settings={"text": "a"})
    path = f"/api/widgets/{before['id']}"
    changes: list[dict[str, Any]] = [{"title": "Yours"}, {"width": 4}, {"height": 1}, {"settings": {"text": "b"}}]
    for change in [*changes, {"settings": {}}, {}]:
        after = (await home.bob.patch(path, change)).json
        assert after == before | change
        before = after


@pytest.mark.parametrize(
    "wrong",
    [
        {"width": 0},
        {"width": 5},
        {"height": -1},
        {"width": 1.5},
        {"width": "wide"},
        {"title": ""},
        {"title": " \n"},
        {"settings": []},
        {"settings": {"text": 5}},
        {"settings": {"text": None}},
        {"settings": {"timezone": "UTC"}},
        {"settings": {"text": "x" * (NOTE_CHARACTERS_MAX + 1)}},
        {"position": -1},
        {"position": 1_001},
    ],
    ids=str,
)
async def test_what_a_widget_cannot_be_is_invalid_and_changes_nothing(home: Home, wrong: dict[str, Any]) -> None:
    widget = await add(home.bob)
    assert (await home.bob.patch(f"/api/widgets/{widget['id']}", wrong)).error == (422, "INVALID")
    assert (await home.bob.post("/api/widgets", {"kind": "note", **wrong})).error == (422, "INVALID")
    assert (await home.bob.get("/api/widgets")).json["items"] == [widget]


async def test_a_kind_that_is_none_is_invalid(home: Home) -> None:
    for kind in ("calendar", "", None, 5):
        assert (await home.bob.post("/api/widgets", {"kind": kind})).error == (422, "INVALID")
    assert (await home.bob.post("/api/widgets", {"kind": "usage", "settings": {"days": "3"}})).status == 422


async def test_a_user_has_so_many_widgets_and_no_more(home: Home) -> None:
    answers = await asyncio.gather(
        *(home.bob.post("/api/widgets", {"kind": "note"}) for _ in range(WIDGETS_PER_USER_MAX + 5))
    )
    assert sorted(answer.status for answer in answers) == [201] * WIDGETS_PER_USER_MAX + [409] * 5
    assert [position for _, position in await order_of(home.bob)] == list(range(WIDGETS_PER_USER_MAX))
    assert (await home.alice.post("/api/widgets", {"kind": "note"})).status == 201


async def test_a_widget_shows_the_users_own(home: Home) -> None:
    conversation_id = await home.bob.begin(title="Mine")
    run = await home.bob.ask(conversation_id, "What is a slot?")
    await home.alice.ask(await home.alice.begin(title="Of alice"), "Mine")
    recent = (await refreshed(home.bob, await add(home.bob, "recent"))).json["content"]
    assert [(item["id"], item["title"]) for item in recent["items"]] == [(conversation_id, "Mine")]
    usage = (await refreshed(home.bob, await add(home.bob, "usage"))).json["content"]
    assert usage == {"days": (await home.bob.get("/api/usage?days=14")).json["items"]}
    (day,) = usage["days"]
    assert (day["model"], day["runs"], day["completion_tokens"]) == ("demo", 1, run["usage"]["completion_tokens"])


async def told_of_running(caller: Caller, widget: dict[str, Any]) -> Answer:
    """Refresh until a run is told as running: a worker in another process says so every few seconds."""
    async with asyncio.timeout(PATIENCE_S):
        while not (answer := await refreshed(caller, widget)).json["content"]["running"]:
            await asyncio.sleep(0.1)
        return answer


async def test_the_queue_tells_others_only_as_numbers(home_of: Homes) -> None:
    async with home_of(Plan(held_engine())) as home:
        conversation_id = await home.bob.begin(title="Mine")
        going, *_ = [await home.bob.send(conversation_id, "A question of bob") for _ in range(4)]
        async with home.bob.stream(f"/api/runs/{going['run']['id']}/events") as frames:
            await until(frames, "delta")
        await home.alice.send(await home.alice.begin(), "A question of alice")
        answer = await told_of_running(home.alice, await add(home.alice, "queue"))
        content = answer.json["content"]
        assert (content["slots"], content["running"], content["waiting"], content["mine_waiting"]) == (1, 1, 4, 1)
        assert content["wait_s"] > 0
        assert [server["name"] for server in content["servers"]] == ["demo"]
        assert set(content) == {"slots", "running", "waiting", "mine_waiting", "wait_s", "servers", "advice"}
        assert home.bob.user["id"].encode() not in answer.body
        assert b"bob" not in answer.body


async def test_of_many_refreshes_at_once_one_is_made_and_all_get_it(home_of: Homes) -> None:
    async with home_of(Plan(clock=FixedClock(), limits=(SLOW_WIDGET,), works=False)) as home:
        await many(home)
        widget = await add(home.bob, "recent")
        answers = await asyncio.gather(*(refreshed(home.bob, widget) for _ in range(crowd())))
        assert {answer.status for answer in answers} == {200}
        assert len({answer.body for answer in answers}) == 1
        others = [await refreshed(home.bob, await add(home.bob)) for _ in range(2)]
        assert [answer.status for answer in others] == [200, 429]  # so all of them took one of the limit


async def test_of_refreshes_at_two_instances_one_is_made_and_all_get_it(home_of: Homes) -> None:
    plan = Plan(clock=FixedClock(), limits=(Limit("widget", 1, DAY),), works=False)
    async with home_of(plan) as one, home_of(plan, again=True) as two:
        await many(one)
        widget = await add(one.bob, "recent")
        answers = await asyncio.gather(*(refreshed(home.bob, widget) for home in (one, two) * 10))
        assert {answer.status for answer in answers} == {200}, "who waits takes nothing from the limit"
        assert len({answer.body for answer in answers}) == 1
        assert (await refreshed(two.bob, await add(two.bob))).status == 429


async def test_a_refresh_whose_instance_is_gone_is_made_by_another(home_of: Homes, tmp_path: Path) -> None:
    clock = FixedClock()
    async with home_of(Plan(clock=clock, works=False)) as home:
        widget = await add(home.bob, "recent")
        ends = clock.now() + REFRESH_SECONDS_MAX * SECOND
        with homes.direct(tmp_path / "kira.sqlite") as rows:
            rows.execute("UPDATE widgets SET refreshing_until = ?", (ends,))
        waiting = asyncio.create_task(refreshed(home.bob, widget))
        done, _ = await asyncio.wait([waiting], timeout=3 * LOOK_SECONDS)
        assert not done
        clock.advance(REFRESH_SECONDS_MAX)
        assert (await waiting).json["content"] == {"items": []}


async def test_a_fresh_widget_is_not_made_again_and_takes_nothing_from_the_limit(home_of: Homes) -> None:
    clock = FixedClock()
    async with home_of(Plan(clock=clock, limits=(WIDGET,), works=False)) as home:
        widget = await add(home.bob, "recent")
        first = await refreshed(home.bob, widget)
        await home.bob.begin(title="Later")
        clock.advance(WIDGET_FRESH_SECONDS - 0.001)
        assert [(await refreshed(home.bob, widget)).body for _ in range(5)] == [first.body] * 5
        clock.advance(0.001)
        second = await refreshed(home.bob, widget)
        assert [item["title"] for item in second.json["content"]["items"]] == ["Later"]
        assert second.json["refreshed_at"] > first.json["refreshed_at"]


async def test_the_widget_limit_is_exact_and_tells_the_true_wait(home_of: Homes) -> None:
    clock = FixedClock()
    async with home_of(Plan(clock=clock, limits=(WIDGET,), works=False)) as home:
        widgets = [await add(home.bob) for _ in range(4)]
        assert [(await refreshed(home.bob, widget)).status for widget in widgets[:2]] == [200, 200]
        for passed, wait in ((0, 30), (29.5, 1)):
            clock.advance(passed)
            refused = await refreshed(home.bob, widgets[2])
            assert refused.error == (429, "RATE_LIMITED")
            told = refused.json["error"]
            assert (told["limit"], told["retry_after_s"], refused.headers["Retry-After"]) == ("widget", wait, str(wait))
        clock.advance(0.5)
        assert (await refreshed(home.bob, widgets[2])).status == 200
        assert (await refreshed(home.bob, widgets[3])).status == 429
        assert (await home.bob.get("/api/widgets")).json["items"][3]["refreshed_at"] is None
        assert (await refreshed(home.alice, await add(home.alice))).status == 200


async def test_another_users_widget_stays_as_it_is(home: Home) -> None:
    widget = await add(home.bob, "note", settings={"text": "mine"})
    path = f"/api/widgets/{widget['id']}"
    assert (await home.alice.patch(path, {"title": "x"})).error == (404, "NOT_FOUND")
    assert (await home.alice.delete(path)).error == (404, "NOT_FOUND")
    assert (await refreshed(home.alice, widget)).error == (404, "NOT_FOUND")
    assert (await home.bob.get("/api/widgets")).json["items"] == [widget]
