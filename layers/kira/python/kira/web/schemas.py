"""What the API says and takes, in JSON."""

from __future__ import annotations

from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, WithJsonSchema

from kira.domain.limits import (
    MESSAGE_BYTES_MAX,
    MODEL_NAME_CHARACTERS_MAX,
    PAGE_ITEMS_MAX,
    TITLE_CHARACTERS_MAX,
)
from kira.domain.moments import to_text
from kira.domain.runs import Kind, State
from kira.domain.widgets import SIDE_MAX, WidgetKind

Item = TypeVar("Item")
Moment = Annotated[
    int, PlainSerializer(to_text, return_type=str), WithJsonSchema({"type": "string", "format": "date-time"})
]
Limit = Annotated[int, Field(ge=1, le=PAGE_ITEMS_MAX, description="How many items at most.")]
Before = Annotated[str | None, Field(max_length=64, description="The cursor `next` of the part before.")]
ModelName = Annotated[str, Field(min_length=1, max_length=MODEL_NAME_CHARACTERS_MAX)]
AnId = Annotated[str, Field(min_length=36, max_length=36)]


class Shown(BaseModel):
    """Something the API says; made from a record of the domain."""

    model_config = ConfigDict(from_attributes=True)


class Given(BaseModel):
    """Something the API takes; unknown fields are refused."""

    model_config = ConfigDict(extra="forbid")


class PageShown(Shown, Generic[Item]):
    """Part of a list; `next` is the cursor of the part that follows."""

    items: list[Item]
    next: str | None = None


class UsageShown(Shown):
    """Tokens read and written."""

    prompt_tokens: int
    completion_tokens: int


class ConversationShown(Shown):
    """A conversation."""

    id: str
    title: str
    created_at: Moment
    updated_at: Moment
    leaf_id: str | None
    run_id: str | None


class MessageShown(Shown):
    """A message."""

    id: str
    conversation_id: str
    parent_id: str | None
    role: Literal["user", "assistant"]
    content: str
    model: str | None
    run_id: str | None
    created_at: Moment
    usage: UsageShown | None
    cancelled: bool


class FailureShown(Shown):
    """Why a run failed."""

    code: str
    message: str


class RunShown(Shown):
    """A run."""

    id: str
    kind: Kind
    state: State
    conversation_id: str | None
    message_id: str | None
    answer_id: str | None
    model: str | None
    position: int | None
    wait_s: float | None
    reason: str | None
    error: FailureShown | None
    usage: UsageShown | None
    created_at: Moment
    started_at: Moment | None
    ended_at: Moment | None


class MessagesShown(PageShown[MessageShown]):
    """Messages of all branches, newest last, and the runs that matter now."""

    runs: list[RunShown]


class AskedShown(Shown):
    """A question that was accepted and its run."""

    message: MessageShown
    run: RunShown


class RunOnlyShown(Shown):
    """A run that was accepted or changed."""

    run: RunShown


class HitShown(Shown):
    """A message that a search found; `marked` are the words of the excerpt that were looked for."""

    conversation_id: str
    message_id: str
    title: str
    role: str
    excerpt: str
    marked: list[str]
    created_at: Moment


class ModelShown(Shown):
    """A model that can be chosen."""

    name: str
    label: str
    context: int | None
    size: int | None
    loaded: bool
    demo: bool


class ServerShown(Shown):
    """A model server."""

    name: str
    state: Literal["ok", "down", "slow", "empty"]
    message: str
    model: str | None
    slots: int
    running: int


class ModelsShown(Shown):
    """What can be chosen, and what to do when there is nothing."""

    items: list[ModelShown]
    default: str | None
    servers: list[ServerShown]
    advice: str | None


class WidgetShown(Shown):
    """A widget."""

    id: str
    kind: WidgetKind
    title: str
    settings: dict[str, Any]
    position: int
    width: int
    height: int
    content: dict[str, Any] | None
    refreshed_at: Moment | None
    created_at: Moment


class DayUsageShown(Shown):
    """What a day cost with one model."""

    day: str
    model: str
    runs: int
    prompt_tokens: int
    completion_tokens: int


class HealthShown(Shown):
    """Whether Kira is ready."""

    status: Literal["ok"]
    version: str


class NewConversation(Given):
    """A conversation to begin."""

    title: Annotated[str, Field(min_length=1, max_length=TITLE_CHARACTERS_MAX)] | None = None


class ConversationChange(Given):
    """A new title, or the branch to show."""

    title: Annotated[str, Field(min_length=1, max_length=TITLE_CHARACTERS_MAX)] | None = None
    leaf_id: AnId | None = None


class NewMessage(Given):
    """A question; `parent_id` left out means the end of the shown branch, null the top of the conversation."""

    content: Annotated[str, Field(min_length=1, max_length=MESSAGE_BYTES_MAX)]
    parent_id: AnId | None = None
    model: ModelName | None = None


class AnotherAnswer(Given):
    """Which model answers again."""

    model: ModelName | None = None


Side = Annotated[int, Field(ge=1, le=SIDE_MAX)]
WidgetTitle = Annotated[str, Field(min_length=1, max_length=TITLE_CHARACTERS_MAX)]


class NewWidget(Given):
    """A widget to add."""

    kind: WidgetKind
    title: WidgetTitle | None = None
    settings: dict[str, Any] | None = None
    width: Side | None = None
    height: Side | None = None


class WidgetChangeGiven(Given):
    """What is to change."""

    title: WidgetTitle | None = None
    settings: dict[str, Any] | None = None
    position: Annotated[int, Field(ge=0, le=1_000)] | None = None
    width: Side | None = None
    height: Side | None = None
