"""Shapes of threads, their entries and what is done to them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

from threadkeep.domain.messages import Message
from threadkeep.domain.threads import TITLE_LENGTH
from threadkeep.web.schemas.common import (
    Json,
    MessageId,
    Moment,
    Page,
    PageQuery,
    RunId,
    Seq,
    Short,
    TenantId,
    ThreadId,
)

Title = Annotated[str, msgspec.Meta(min_length=1, max_length=TITLE_LENGTH)]
State = Literal["active", "paused", "completed", "archived", "deleted"]
Words = Annotated[str, msgspec.Meta(min_length=1, max_length=1024)]
Filter = Annotated[
    str,
    msgspec.Meta(
        min_length=2, max_length=2048, description="A JSON object that the metadata must contain."
    ),
]
Kinds = Annotated[
    str,
    msgspec.Meta(
        pattern="^[a-z_]{1,64}(,[a-z_]{1,64}){0,31}$", description="Kinds, comma separated."
    ),
]
EntryCursor = Annotated[
    str,
    msgspec.Meta(min_length=3, max_length=64, description="A cursor `<epoch>-<seq>`."),
]


class ThreadObject(msgspec.Struct):
    """A thread."""

    id: ThreadId
    tenant_id: TenantId
    owner: str
    external_id: str | None
    title: str | None
    metadata: Json
    version: int
    state: State
    hold: bool
    epoch: str
    last_seq: Seq
    cursor: str
    created_at: Moment
    updated_at: Moment
    last_activity_at: Moment


class ThreadPage(Page):
    """A page of threads."""

    data: list[ThreadObject]


class ThreadCreate(msgspec.Struct, forbid_unknown_fields=True):
    """A new thread; with `external_id` the one that has it already is returned instead."""

    external_id: Short | None = None
    title: Title | None = None
    metadata: Json = {}


class ThreadChange(msgspec.Struct, forbid_unknown_fields=True):
    """A JSON merge patch: what is left out stays, null takes away."""

    title: Title | UnsetType | None = UNSET
    metadata: dict[str, Any] | UnsetType | None = UNSET


class ThreadListQuery(PageQuery):
    """What a list of threads can be narrowed to."""

    state: State | None = None
    external_id: Short | None = None
    metadata: Filter | None = None
    updated_since: Moment | None = None
    q: Words | None = None


class ReadMarker(msgspec.Struct, forbid_unknown_fields=True):
    """Up to where the user has read."""

    seq: Seq


class EntryObject(msgspec.Struct):
    """An entry of the log: the same bytes by HTTP, SSE and WebSocket."""

    v: Literal[1]
    id: str
    type: str
    epoch: str
    seq: Seq
    tenant_id: TenantId
    thread_id: ThreadId
    run_id: RunId | None
    ts: Moment
    payload: Json


class EntryPage(Page):
    """A page of the log, ascending by seq."""

    data: list[EntryObject]
    epoch: str
    last_seq: Seq


class MessageQuery(msgspec.Struct, forbid_unknown_fields=True):
    """A part of the log: after < seq < before."""

    limit: Annotated[int, msgspec.Meta(ge=1, le=100)] = 50
    after: EntryCursor | None = None
    before: EntryCursor | None = None
    after_seq: Seq | None = None
    before_seq: Seq | None = None
    backward: Annotated[
        bool, msgspec.Meta(description="The last ones of that part instead of the first.")
    ] = False


class EntryQuery(MessageQuery):
    """The same, of some kinds only."""

    kinds: Kinds | None = None


class MessagesCreate(msgspec.Struct, forbid_unknown_fields=True):
    """Messages that are appended together or not at all."""

    messages: Annotated[list[Message], msgspec.Meta(min_length=1, max_length=100)]

    def least_keys(self) -> int:
        """Keys that these messages cannot do without: `messages`, and a `content` each."""
        return 1 + len(self.messages)


class AppendedMessage(msgspec.Struct):
    """Where a message stands in the log."""

    id: MessageId
    seq: Seq
    ts: Moment


class MessagesAppended(msgspec.Struct):
    """The answer to an append, and to every repeat of it."""

    data: list[AppendedMessage]
    first_seq: Seq
    last_seq: Seq
    epoch: str
    cursor: str
