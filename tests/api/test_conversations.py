"""Conversations over HTTP: trees of messages, branches, repeats, removal, search, pages and titles."""

from __future__ import annotations

import asyncio
import re
import uuid
from typing import Any

import pytest
from tests import homes
from tests.api.caller import Caller, Frame, crowd, text_of, until
from tests.api.conftest import Home, Homes

from kira.adapters.clock.fixed import FixedClock
from kira.testing.asking import ollama_engine
from kira.testing.model_server import ModelServer
from kira.testing.serving import Plan, held_engine


async def leaf_of(caller: Caller, conversation_id: str) -> str | None:
    leaf: str | None = (await caller.get(f"/api/conversations/{conversation_id}")).json["leaf_id"]
    return leaf


async def test_a_message_is_answered_below_the_branch_that_is_shown(home: Home) -> None:
    conversation_id = await home.bob.begin()
    for content in ("One", "Two"):
        run = await home.bob.ask(conversation_id, content)
        assert (run["kind"], run["state"], run["error"]) == ("reply", "done", None)
    messages = await home.bob.messages(conversation_id)
    assert [message["role"] for message in messages] == ["user", "assistant"] * 2
    assert [message["parent_id"] for message in messages] == [None, *(message["id"] for message in messages[:-1])]
    assert "> Two" in messages[3]["content"]
    assert "message 3 of this conversation" in messages[3]["content"]
    conversation = (await home.bob.get(f"/api/conversations/{conversation_id}")).json
    assert (conversation["leaf_id"], conversation["run_id"]) == (messages[3]["id"], None)
    assert set(messages[3]) == set(messages[0])
    assert (messages[3]["model"], messages[3]["run_id"], messages[0]["model"]) == ("demo", run["id"], None)


async def test_a_repeat_is_the_same_message_and_the_same_run(home: Home) -> None:
    conversation_id = await home.bob.begin()
    first = await home.bob.send(conversation_id, "One", key="k1")
    await home.bob.ended(first["run"]["id"])
    again = await home.bob.send(conversation_id, "One", key="k1")
    assert again["message"] == first["message"]
    assert (again["run"]["id"], again["run"]["state"]) == (first["run"]["id"], "done")
    other = await home.bob.send(conversation_id, "One", key="k2")
    assert other["message"]["id"] != first["message"]["id"]
    assert [message["role"] for message in await home.bob.messages(conversation_id)].count("user") == 2


async def test_the_same_message_many_times_at_once_is_one_message_and_one_run(home: Home) -> None:
    conversation_id = await home.bob.begin()
    sent = await asyncio.gather(*(home.bob.send(conversation_id, "One", key="k1") for _ in range(crowd())))
    assert len({each["message"]["id"] for each in sent}) == 1
    assert len({each["run"]["id"] for each in sent}) == 1
    await home.bob.ended(sent[0]["run"]["id"])
    assert [message["role"] for message in await home.bob.messages(conversation_id)] == ["user", "assistant"]
    usage = (await home.bob.get("/api/usage")).json["items"]
    assert [(day["model"], day["runs"]) for day in usage] == [("demo", 1)]


async def test_messages_sent_at_once_without_a_key_are_all_there_once(home: Home) -> None:
    conversation_id = await home.bob.begin()
    await asyncio.gather(*(home.bob.ask(conversation_id, f"Number {number}") for number in range(10)))
    messages = await home.bob.messages(conversation_id)
    questions = sorted(message["content"] for message in messages if message["role"] == "user")
    assert questions == sorted(f"Number {number}" for number in range(10))
    answered = [message["parent_id"] for message in messages if message["role"] == "assistant"]
    assert sorted(answered) == sorted(message["id"] for message in messages if message["role"] == "user")


@pytest.mark.parametrize("which", ["answer", "question"])
async def test_another_answer_is_a_sibling(home: Home, which: str) -> None:
    conversation_id = await home.bob.begin()
    run = await home.bob.ask(conversation_id, "One")
    asked_for = run["answer_id"] if which == "answer" else run["message_id"]
    again = (await home.bob.post(f"/api/messages/{asked_for}/regenerate")).json["run"]
    second = await home.bob.ended(again["id"])
    assert second["message_id"] == run["message_id"]
    question, *answers = await home.bob.messages(conversation_id)
    assert [answer["id"] for answer in answers] == [run["answer_id"], second["answer_id"]]
    assert {answer["parent_id"] for answer in answers} == {question["id"]}
    assert await leaf_of(home.bob, conversation_id) == second["answer_id"]


async def test_an_edit_is_a_branch_and_one_switches_between_branches(home: Home) -> None:
    conversation_id = await home.bob.begin()
    first = await home.bob.ask(conversation_id, "One")
    second = await home.bob.ask(conversation_id, "Two")
    edited = await home.bob.ask(conversation_id, "Two, edited", parent_id=first["answer_id"])
    top = await home.bob.ask(conversation_id, "One, edited", parent_id=None)
    messages = {message["id"]: message for message in await home.bob.messages(conversation_id)}
    assert len(messages) == 8
    assert messages[edited["message_id"]]["parent_id"] == messages[second["message_id"]]["parent_id"]
    assert messages[top["message_id"]]["parent_id"] is None
    assert "message 1 of" in messages[top["answer_id"]]["content"]
    assert "message 3 of" in messages[edited["answer_id"]]["content"]
    assert await leaf_of(home.bob, conversation_id) == top["answer_id"]
    shown = await home.bob.patch(f"/api/conversations/{conversation_id}", {"leaf_id": second["answer_id"]})
    assert (shown.status, shown.json["leaf_id"]) == (200, second["answer_id"])
    third = await home.bob.ask(conversation_id, "Three")
    assert {m["id"]: m for m in await home.bob.messages(conversation_id)}[third["message_id"]]["parent_id"] == (
        second["answer_id"]
    )


async def test_an_answer_leaves_the_branch_that_the_user_went_to(home_of: Homes) -> None:
    async with home_of(Plan(held_engine())) as home:
        conversation_id = await home.bob.begin()
        run = (await home.bob.send(conversation_id, "One"))["run"]
        elsewhere = await home.bob.send(conversation_id, "Elsewhere", parent_id=None)
        async with home.bob.stream(f"/api/runs/{run['id']}/events") as frames:
            await until(frames, "delta")
            await home.bob.post(f"/api/runs/{run['id']}/cancel")
            await until(frames, "cancelled")
        assert await leaf_of(home.bob, conversation_id) == elsewhere["message"]["id"]


async def test_a_conversation_is_renamed_once_and_for_all(home: Home) -> None:
    conversation_id = await home.bob.begin()
    path = f"/api/conversations/{conversation_id}"
    assert (await home.bob.get(path)).json["title"] == "New conversation"
    await home.bob.ask(conversation_id, "What is a slot? " * 20)
    words = (await home.bob.get(path)).json["title"]
    assert words.startswith("What is a slot? What")
    assert len(words) <= 62
    renamed = await home.bob.patch(path, {"title": "  Slots \n and more "})
    assert renamed.json["title"] == "Slots and more"
    await home.bob.ask(conversation_id, "More")
    assert (await home.bob.get(path)).json["title"] == "Slots and more"
    assert (await home.bob.patch(path, {})).json["title"] == "Slots and more"


async def test_a_message_goes_with_everything_below_it(home: Home) -> None:
    conversation_id = await home.bob.begin()
    first = await home.bob.ask(conversation_id, "One")
    second = await home.bob.ask(conversation_id, "Two")
    branch = await home.bob.ask(conversation_id, "Two, edited", parent_id=first["answer_id"])
    assert (await home.bob.delete(f"/api/messages/{second['message_id']}")).status == 204
    left = [message["id"] for message in await home.bob.messages(conversation_id)]
    assert left == [first["message_id"], first["answer_id"], branch["message_id"], branch["answer_id"]]
    assert await leaf_of(home.bob, conversation_id) == branch["answer_id"]
    assert (await home.bob.delete(f"/api/messages/{branch['message_id']}")).status == 204
    assert await leaf_of(home.bob, conversation_id) == first["answer_id"]
    assert (await home.bob.delete(f"/api/messages/{first['message_id']}")).status == 204
    assert await leaf_of(home.bob, conversation_id) is None
    assert await home.bob.messages(conversation_id) == []
    assert (await home.bob.delete(f"/api/messages/{first['message_id']}")).status == 404
    assert (await home.bob.get("/api/search?q=slot")).json["items"] == []
    assert (await home.bob.ask(conversation_id, "Anew"))["state"] == "done"


async def test_a_conversation_goes_with_its_running_and_waiting_runs(home_of: Homes) -> None:
    async with home_of(Plan(held_engine())) as home:
        conversation_id = await home.bob.begin()
        going = (await home.bob.send(conversation_id, "One"))["run"]["id"]
        waiting = (await home.bob.send(conversation_id, "Two"))["run"]["id"]
        next_one = (await home.alice.send(await home.alice.begin(), "Mine"))["run"]["id"]
        async with home.bob.stream(f"/api/runs/{going}/events") as frames:
            await until(frames, "delta")
            assert (await home.bob.delete(f"/api/conversations/{conversation_id}")).status == 204
            await until(frames, "cancelled")
        assert (await home.bob.follow(f"/api/runs/{waiting}/events"))[-1].kind == "cancelled"
        async with home.alice.stream(f"/api/runs/{next_one}/events") as frames:
            await until(frames, "started")
        for run_id in (going, waiting):
            run = (await home.bob.get(f"/api/runs/{run_id}")).json
            assert (run["state"], run["conversation_id"], run["answer_id"]) == ("cancelled", None, None)
        assert (await home.bob.get(f"/api/conversations/{conversation_id}")).status == 404
        assert (await home.bob.get(f"/api/conversations/{conversation_id}/messages")).status == 404
        assert (await home.bob.get("/api/conversations")).json["items"] == []
        assert (await home.bob.delete(f"/api/conversations/{conversation_id}")).status == 404


async def test_a_message_goes_with_the_runs_about_it_and_below_it_and_no_others(home_of: Homes) -> None:
    async with home_of(Plan(held_engine())) as home:
        conversation_id = await home.bob.begin()
        going, waiting, other = [
            await home.bob.send(conversation_id, text, **place)
            for text, place in (("One", {}), ("Two", {}), ("Another", {"parent_id": None}))
        ]
        async with home.bob.stream(f"/api/runs/{going['run']['id']}/events") as frames:
            await until(frames, "delta")
            assert (await home.bob.delete(f"/api/messages/{going['message']['id']}")).status == 204
            await until(frames, "cancelled")
        assert (await home.bob.follow(f"/api/runs/{waiting['run']['id']}/events"))[-1].kind == "cancelled"
        async with home.bob.stream(f"/api/runs/{other['run']['id']}/events") as frames:
            await until(frames, "delta")
        for gone in (going, waiting):
            run = (await home.bob.get(f"/api/runs/{gone['run']['id']}")).json
            assert (run["state"], run["answer_id"]) == ("cancelled", None)
        left = await home.bob.messages(conversation_id)
        assert [message["id"] for message in left] == [other["message"]["id"]]


SAID = ("red apples and green pears", "green apples", "Grüße aus Köln, naïve café", "the slotted line")
SEARCHES = {
    "apples": {0, 1},
    "APPLES red": {0},
    '"green apples"': {1},
    '"apples green"': set(),
    "apples -red": {1},
    "-red": set(),
    "red OR cafe": {0, 2},
    "red OR cafe -naive": {0},
    "slot": set(),
    "slot*": {3},
    "koln grusse": {2},
    "KÖLN": {2},
    "pea*  OR  line": {0, 3},
    "": set(),
}


async def test_search_knows_words_phrases_minus_or_and_beginnings(home_of: Homes) -> None:
    async with home_of(Plan(works=False)) as home:
        conversation_id = await home.bob.begin()
        sent = [(await home.bob.send(conversation_id, content))["message"]["id"] for content in SAID]
        await home.alice.send(await home.alice.begin(), "apples of alice")
        for text, expected in SEARCHES.items():
            query = text.replace(" ", "+").replace('"', "%22").replace("Ö", "%C3%96")
            hits = (await home.bob.get(f"/api/search?q={query}")).json["items"]
            assert {sent.index(hit["message_id"]) for hit in hits} == expected, text
            assert [hit["message_id"] for hit in hits] == sorted((hit["message_id"] for hit in hits), reverse=True)
        (hit,) = (await home.bob.get("/api/search?q=naive")).json["items"]
        assert (hit["conversation_id"], hit["role"], hit["excerpt"]) == (conversation_id, "user", SAID[2])
        assert len((await home.bob.get("/api/search?q=apples&limit=1")).json["items"]) == 1


async def test_an_answer_is_found_and_its_excerpt_is_plain_text(home: Home) -> None:
    run = await home.bob.ask(await home.bob.begin(), "<b>bold</b> \n words")
    hits = (await home.bob.get("/api/search?q=install+ollama")).json["items"]
    assert [(hit["message_id"], hit["role"]) for hit in hits] == [(run["answer_id"], "assistant")]
    (hit, *_) = (await home.bob.get("/api/search?q=bold&limit=2")).json["items"][::-1]
    assert (hit["excerpt"], hit["marked"]) == ("<b>bold</b> words", ["bold"])
    (hit,) = (await home.bob.get("/api/search?q=fixed+text")).json["items"]
    assert hit["excerpt"].startswith("This is the demo model. It is a fixed text")
    assert hit["marked"] == ["fixed", "text"]


async def paged(caller: Caller, path: str, limit: int) -> list[list[Any]]:
    """Return all pages of a list."""
    pages, cursor = [], ""
    while True:
        page = (await caller.get(f"{path}?limit={limit}{cursor}")).json
        pages.append(page["items"])
        if page["next"] is None:
            return pages
        cursor = f"&before={page['next']}"


@pytest.mark.parametrize("limit", [1, 3, 6, 7, 200])
async def test_pages_together_are_the_whole_list(home_of: Homes, limit: int) -> None:
    async with home_of(Plan(clock=FixedClock(), works=False)) as home:
        made = [await home.bob.begin(title=f"Number {number}") for number in range(7)]
        await home.alice.begin()
        pages = await paged(home.bob, "/api/conversations", limit)
        assert [each["id"] for page in pages for each in page] == made[::-1]
        assert [len(page) for page in pages[:-1]] == [limit] * (len(pages) - 1)
        assert 0 < len(pages[-1]) <= limit
        sent = [(await home.bob.send(made[0], f"Number {number}"))["message"] for number in range(7)]
        pages = await paged(home.bob, f"/api/conversations/{made[0]}/messages", limit)
        assert [message for page in pages[::-1] for message in page] == sent


async def test_the_conversation_that_changed_last_comes_first(home: Home) -> None:
    first, second = await home.bob.begin(), await home.bob.begin()
    listed = (await home.bob.get("/api/conversations")).json["items"]
    assert [each["id"] for each in listed] == [second, first]
    await home.bob.ask(first, "One")
    listed = (await home.bob.get("/api/conversations")).json["items"]
    assert [each["id"] for each in listed] == [first, second]


async def test_an_unchanged_list_is_not_sent_again(home_of: Homes) -> None:
    async with home_of(Plan(works=False)) as home:
        conversation_id = await home.bob.begin()
        first = await home.bob.get("/api/conversations")
        etag = first.headers["ETag"]
        assert etag.startswith('W/"')
        same = await home.bob.get("/api/conversations", If_None_Match=etag)
        assert (same.status, same.body, same.headers["ETag"]) == (304, b"", etag)
        assert (await home.alice.get("/api/conversations", If_None_Match=etag)).status == 200
        await home.bob.send(conversation_id, "One")
        changed = await home.bob.get("/api/conversations", If_None_Match=etag)
        assert (changed.status, changed.headers["ETag"] != etag) == (200, True)
        assert changed.json["items"][0]["run_id"] is not None
        assert "private" in changed.headers["Cache-Control"]


async def test_a_title_is_made_by_a_run_of_its_own_after_the_answer(home_of: Homes) -> None:
    # Where a reader comes through a gateway to another process, all would be over before.
    first = 2.0 if homes.is_aws() else 0.001
    async with (
        ModelServer(slots=2, rate=2_000, first=first, tokens=40) as server,
        ollama_engine(server.address, num_parallel=2) as engine,
        home_of(Plan(engine)) as home,
    ):
        assert await home.bob.follow("/api/events") == [Frame(None, "idle", {})]
        conversation_id = await home.bob.begin()
        run_id = (await home.bob.send(conversation_id, "say:A slot is a place for one answer."))["run"]["id"]
        frames = await home.bob.follow("/api/events")
        kinds = [(frame.data["kind"], frame.kind) for frame in frames if frame.kind != "idle"]
        assert kinds.index(("title", "started")) > kinds.index(("reply", "done"))
        named = next(frame for frame in frames if frame.kind == "title")
        title_run = (await home.bob.get(f"/api/runs/{named.data['run_id']}")).json
        reply = (await home.bob.get(f"/api/runs/{run_id}")).json
        assert (title_run["kind"], title_run["state"], reply["kind"]) == ("title", "done", "reply")
        assert reply["ended_at"] <= title_run["created_at"] <= title_run["started_at"]
        conversation = (await home.bob.get(f"/api/conversations/{conversation_id}")).json
        assert (conversation["title"], conversation["run_id"]) == (named.data["title"], None)
        assert text_of([frame for frame in frames if frame.data.get("run_id") == run_id]) == (
            "A slot is a place for one answer."
        )
        assert len(await home.bob.messages(conversation_id)) == 2
        await home.bob.ask(conversation_id, "say:More")
        assert await home.bob.follow("/api/events") == [frames[-1]]
        asked = [request["messages"][-1]["content"] for request in server.stats.asked if request.get("messages")]
        assert [content.startswith("Write a title") for content in asked[-3:]] == [False, True, False]


async def test_a_conversation_that_the_user_named_gets_no_title(home_of: Homes) -> None:
    async with (
        ModelServer(slots=2, rate=2_000, first=0.001, tokens=40) as server,
        ollama_engine(server.address, num_parallel=2) as engine,
        home_of(Plan(engine)) as home,
    ):
        conversation_id = await home.bob.begin(title="Mine")
        await home.bob.send(conversation_id, "say:A slot is a place for one answer.")
        frames = await home.bob.follow("/api/events")
        assert {frame.data.get("kind", "reply") for frame in frames} == {"reply"}
        assert (await home.bob.get(f"/api/conversations/{conversation_id}")).json["title"] == "Mine"


async def test_ids_are_uuids_of_version_7_and_times_of_utc(home: Home) -> None:
    conversation_id = await home.bob.begin()
    run = await home.bob.ask(conversation_id, "When is now?")
    shown = [(await home.bob.get(f"/api/conversations/{conversation_id}")).json, run]
    for record in [*shown, *await home.bob.messages(conversation_id)]:
        made = uuid.UUID(record["id"])
        assert (made.version, made.variant) == (7, uuid.RFC_4122)
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", record["created_at"])
