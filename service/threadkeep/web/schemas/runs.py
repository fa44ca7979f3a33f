"""Shapes of runs, for users and for workers."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from threadkeep.domain.messages import Message
from threadkeep.domain.run_payloads import RunEvent, RunMessage, ToolOutput
from threadkeep.web.schemas.common import (
    Json,
    MessageId,
    Moment,
    Page,
    RunId,
    Seq,
    Short,
    ThreadId,
)
from threadkeep.web.schemas.threads import EntryObject

Status = Literal[
    "queued",
    "running",
    "requires_action",
    "recovering",
    "completed",
    "failed",
    "cancelled",
    "interrupted",
]
Fence = Annotated[int, msgspec.Meta(ge=0, le=2**53 - 1)]


class RunObject(msgspec.Struct):
    """A run."""

    id: RunId
    thread_id: ThreadId
    owner: str
    agent: str
    kind: str
    status: Status
    attempt: int
    worker: str | None
    cancel_requested: bool
    concurrent: bool
    input: Json
    message_id: MessageId | None
    open_calls: list[str]
    usage: Json | None
    error: str | None
    created_at: Moment
    started_at: Moment | None
    ended_at: Moment | None
    duration_ms: int | None


class RunPage(Page):
    """A page of runs."""

    data: list[RunObject]


class RunCreate(msgspec.Struct, forbid_unknown_fields=True):
    """A new run; a message with it is appended in the same commit."""

    agent: Short
    message: Message | None = None
    input: Json = {}
    if_busy: Literal["reject", "enqueue", "interrupt", "rollback", "concurrent"] = "reject"


class RunStartedAnswer(msgspec.Struct):
    """A run that is queued."""

    run: RunObject
    first_seq: Seq
    message_id: MessageId | None


class ToolOutputs(msgspec.Struct, forbid_unknown_fields=True):
    """Results of tools that the run has asked its user for."""

    outputs: Annotated[list[ToolOutput], msgspec.Meta(min_length=1, max_length=100)]


class Claim(msgspec.Struct, forbid_unknown_fields=True):
    """A worker asks for a run."""

    worker: Short
    agents: Annotated[list[Short], msgspec.Meta(min_length=1, max_length=100)] | None = None
    wait_seconds: Annotated[float, msgspec.Meta(ge=0, le=30)] = 20.0


class ClaimedObject(RunObject):
    """A claimed run, with all that its holder needs."""

    settings: Json
    message: EntryObject | None
    events: list[EntryObject]


class ClaimAnswer(msgspec.Struct):
    """The run and the lease on it."""

    run: ClaimedObject
    fence: Fence
    lease_until: Moment


class Held(msgspec.Struct, forbid_unknown_fields=True):
    """Who writes: the fence of the claim."""

    fence: Fence


class LeaseAnswer(msgspec.Struct):
    """How long the lease holds now."""

    lease_until: Moment
    cancel_requested: bool


class WorkerEvents(Held):
    """Events of a run, messages and text that is still streaming, in order."""

    events: Annotated[list[RunEvent], msgspec.Meta(min_length=1, max_length=100)]


class WrittenAnswer(msgspec.Struct):
    """The events stand in the log."""

    last_seq: Seq
    cancel_requested: bool


class Complete(Held):
    """The run has succeeded."""

    response: Any = None
    message: RunMessage | None = None
    """The last message, in the same commit."""
    usage: Json | None = None


class Fail(Held):
    """The run has failed."""

    error: Annotated[str, msgspec.Meta(min_length=1, max_length=8192)]
    usage: Json | None = None
