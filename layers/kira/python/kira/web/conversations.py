"""Conversations and messages over HTTP."""

from __future__ import annotations

import hashlib
from typing import Annotated

from fastapi import Header, Query, Request
from pydantic import TypeAdapter
from starlette.responses import Response

from kira.domain.conversations import Asked, Conversation, Hit, Page
from kira.domain.errors import NotFound
from kira.domain.ids import is_id
from kira.domain.limits import PAGE_ITEMS_DEFAULT, SEARCH_CHARACTERS_MAX
from kira.domain.runs import Run
from kira.services.admission import Below, Question
from kira.web.areas import routes_of
from kira.web.schemas import (
    AnotherAnswer,
    AskedShown,
    Before,
    ConversationChange,
    ConversationShown,
    HitShown,
    Limit,
    MessagesShown,
    NewConversation,
    NewMessage,
    PageShown,
    RunOnlyShown,
)
from kira.web.signed_in import ConversationId, KiraOf, MessageId, Visitor

router = routes_of("chat")

_page = TypeAdapter(PageShown[ConversationShown])


@router.get("/conversations", response_model=PageShown[ConversationShown])
async def list_conversations(
    kira: KiraOf,
    visit: Visitor,
    request: Request,
    limit: Annotated[Limit, Query()] = PAGE_ITEMS_DEFAULT,
    before: Annotated[Before, Query()] = None,
) -> Response:
    """List the user's conversations, last changed first; answers 304 when nothing changed."""
    page = await kira.conversations.page(visit, limit, before)
    body = _page.dump_json(_page.validate_python(page))
    etag = f'W/"{hashlib.blake2b(body, digest_size=12).hexdigest()}"'
    headers = {"etag": etag, "cache-control": "private, no-cache"}
    if request.headers.get("if-none-match") == etag:
        return Response(status_code=304, headers=headers)
    return Response(body, media_type="application/json", headers=headers)


@router.post("/conversations", status_code=201, response_model=ConversationShown)
async def add_conversation(kira: KiraOf, visit: Visitor, given: NewConversation | None = None) -> Conversation:
    """Begin an empty conversation."""
    return await kira.conversations.add(visit, given.title if given else None)


@router.get("/conversations/{conversation_id}", response_model=ConversationShown)
async def get_conversation(kira: KiraOf, visit: Visitor, conversation_id: ConversationId) -> Conversation:
    """Return one conversation."""
    return await kira.conversations.one(visit, conversation_id)


@router.patch("/conversations/{conversation_id}", response_model=ConversationShown)
async def change_conversation(
    kira: KiraOf, visit: Visitor, conversation_id: ConversationId, given: ConversationChange
) -> Conversation:
    """Give a title, or show another branch."""
    return await kira.conversations.change(visit, conversation_id, given.title, given.leaf_id)


@router.delete("/conversations/{conversation_id}", status_code=204)
async def remove_conversation(kira: KiraOf, visit: Visitor, conversation_id: ConversationId) -> None:
    """Delete a conversation with all its messages; its runs stop."""
    await kira.conversations.remove(visit, conversation_id)


@router.get("/conversations/{conversation_id}/messages", response_model=MessagesShown)
async def list_messages(
    kira: KiraOf,
    visit: Visitor,
    conversation_id: ConversationId,
    limit: Annotated[Limit, Query()] = PAGE_ITEMS_DEFAULT,
    before: Annotated[Before, Query()] = None,
) -> dict[str, object]:
    """List messages of all branches, newest last, with the runs that matter now."""
    page, runs = await kira.conversations.messages(visit, conversation_id, limit, before)
    return {"items": page.items, "next": page.next, "runs": runs}


@router.post("/conversations/{conversation_id}/messages", status_code=202, response_model=AskedShown)
async def send_message(
    kira: KiraOf,
    visit: Visitor,
    conversation_id: ConversationId,
    given: NewMessage,
    idempotency_key: Annotated[str | None, Header()] = None,
) -> Asked:
    """Send a message; the run that answers it is queued. The same Idempotency-Key gives the same message again."""
    parent: str | Below = Below.LEAF
    if "parent_id" in given.model_fields_set:
        parent = given.parent_id or Below.TOP
    if isinstance(parent, str) and not is_id(parent):
        raise NotFound
    question = Question(conversation_id, given.content, parent, given.model, idempotency_key)
    return await kira.admission.ask(visit, question)


@router.post("/messages/{message_id}/regenerate", status_code=202, response_model=RunOnlyShown)
async def regenerate(
    kira: KiraOf, visit: Visitor, message_id: MessageId, given: AnotherAnswer | None = None
) -> dict[str, Run]:
    """Answer again: a question, or the question that an answer belongs to."""
    return {"run": await kira.admission.again(visit, message_id, given.model if given else None)}


@router.delete("/messages/{message_id}", status_code=204)
async def remove_message(kira: KiraOf, visit: Visitor, message_id: MessageId) -> None:
    """Delete a message and everything below it."""
    await kira.conversations.remove_message(visit, message_id)


@router.get("/search", response_model=PageShown[HitShown])
async def search(
    kira: KiraOf,
    visit: Visitor,
    q: Annotated[str, Query(max_length=SEARCH_CHARACTERS_MAX)],
    limit: Annotated[Limit, Query()] = PAGE_ITEMS_DEFAULT,
) -> Page[Hit]:
    """Search the user's own messages: words, "a phrase", -word, OR, word*."""
    return await kira.conversations.search(visit, q, limit)
