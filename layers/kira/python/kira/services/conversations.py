"""Conversations: list, open, rename, delete, search, and switch between branches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kira.domain import excerpts, search, texts
from kira.domain.conversations import Conversation, Hit, Message, Page
from kira.domain.errors import NotFound
from kira.domain.ids import new_id
from kira.domain.runs import Run
from kira.ports.clock import Clock
from kira.ports.database import Call, Database, Row
from kira.ports.queue import Queue
from kira.ports.stream import Source, Stream
from kira.services import rows
from kira.services.visits import Visit

NEWEST = "g"  # above every id, because ids are hexadecimal digits and dashes


@dataclass(frozen=True, slots=True)
class Conversations:
    """What users do with their conversations."""

    database: Database
    clock: Clock
    queue: Queue
    stream: Stream

    async def page(self, visit: Visit, items: int, before: str | None) -> Page[Conversation]:
        """Return at most `items` conversations, last changed first, after the cursor `before`."""
        params = {"items": items + 1}
        if before is None:
            found = await visit.look("conversations.page", params)
        else:
            found = await visit.look("conversations.page_before", {**params, "before": before})
        shown = [rows.conversation(row) for row in found[:items]]
        return Page(shown, shown[-1].id if len(found) > items else None)

    async def add(self, visit: Visit, title: str | None) -> Conversation:
        """Begin an empty conversation; without a title the first words of its first message become one."""
        now = self.clock.now()
        conversation = Conversation(new_id(), texts.title(title) if title else "New conversation", now, now)
        params = {
            "conversation_id": conversation.id,
            "title": conversation.title,
            "titled_by": "user" if title else "nobody",
            "now": now,
        }
        await visit.execute("conversations.add", params)
        return conversation

    async def one(self, visit: Visit, conversation_id: str) -> Conversation:
        """Return one conversation; raises NotFound."""
        return rows.conversation(_only(await visit.query("conversations.one", {"conversation_id": conversation_id})))

    async def change(self, visit: Visit, conversation_id: str, title: str | None, leaf_id: str | None) -> Conversation:
        """Give a title, or show the branch that ends at `leaf_id`; raises NotFound."""
        named = {"conversation_id": conversation_id}
        calls = []
        if title is not None:
            calls.append(Call("conversations.rename", {**named, "title": texts.title(title), "now": self.clock.now()}))
        if leaf_id is not None:
            calls.append(Call("conversations.show_branch", {**named, "leaf_id": leaf_id}))
        results = await visit.run([*calls, Call("conversations.one", named)])
        if not all(result.changes for result in results[:-1]):
            raise NotFound
        return rows.conversation(_only(results[-1].rows))

    async def remove(self, visit: Visit, conversation_id: str) -> None:
        """Delete a conversation with its messages; its runs stop. Raises NotFound."""
        named = {"conversation_id": conversation_id}
        stopped, _, removed = await visit.run(
            [
                Call("runs.cancel_conversation", {**named, "now": self.clock.now()}),
                Call("runs.forget_conversation", named),
                Call("conversations.remove", named),
            ]
        )
        if not removed.changes:
            raise NotFound
        await self._stop(visit, conversation_id, stopped.rows)

    async def messages(
        self, visit: Visit, conversation_id: str, items: int, before: str | None
    ) -> tuple[Page[Message], list[Run]]:
        """Return the newest messages of all branches before the cursor, oldest first, and the runs that matter now."""
        named = {"conversation_id": conversation_id, "items": items + 1}
        found, runs, known = await visit.run(
            [
                Call("messages.page", {**named, "before": before or NEWEST}),
                Call("runs.of_conversation", named),
                Call("conversations.one", {"conversation_id": conversation_id}),
            ]
        )
        _only(known.rows)
        shown = [rows.message(row) for row in reversed(found.rows[:items])]
        cursor = shown[0].id if len(found.rows) > items else None
        return Page(shown, cursor), [rows.run(row) for row in runs.rows]

    async def remove_message(self, visit: Visit, message_id: str) -> None:
        """Delete a message and everything below it; the runs about them stop. Raises NotFound."""
        row = _only(await visit.query("messages.one", {"message_id": message_id}))
        named, now = {"message_id": message_id}, self.clock.now()
        place = {"conversation_id": row["conversation_id"], "now": now}
        stopped, _, _ = await visit.run(
            [
                Call("runs.cancel_below", {**named, **place}),
                Call("messages.remove", named),
                Call("messages.unshow", {**place, "parent_id": row["parent_id"]}),
            ]
        )
        await self._stop(visit, row["conversation_id"], stopped.rows)

    async def search(self, visit: Visit, text: str, items: int) -> Page[Hit]:
        """Return the user's own messages that match, newest first."""
        query = search.parse(text)
        if query is None:
            await visit.check()
            return Page([])
        params = {"match": self.database.match(query, visit.user_id), "items": items}
        return Page([_hit(row, query) for row in await visit.look("search.messages", params)])

    async def _stop(self, visit: Visit, conversation_id: str, stopped: Sequence[Row]) -> None:
        """Say the end of the waiting runs among `stopped`; the running ones are stopped by their worker."""
        for row in stopped:
            if row["state"] == "cancelled":
                source = Source(visit.user_id, row["id"], conversation_id, row["kind"])
                await self.stream.append(source, row["attempt"] + 1, [("cancelled", {})])
        self.queue.interrupt()


def _only(found: list[Row]) -> Row:
    if not found:
        raise NotFound
    return found[0]


def _hit(row: Row, query: search.Query) -> Hit:
    part = excerpts.excerpt(row["content"], query)
    place = (row["conversation_id"], row["id"], row["title"], row["role"])
    return Hit(*place, part.text, part.marked, row["created_at"])
