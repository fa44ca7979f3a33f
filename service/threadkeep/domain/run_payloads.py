"""What a holder of a run may write, as structs; anything else is refused by name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import UNSET, UnsetType

from threadkeep.domain import events, ids
from threadkeep.domain.entries import MESSAGE
from threadkeep.domain.messages import Message, Name
from threadkeep.errors import Conflict, InvalidRequest, NotFound

DELTA: Final = "message_delta"
"""Text of a message that is still streaming; it never becomes an entry."""
EVENTS_PER_REQUEST: Final = 100
"""Events written atomically by one request."""

Text = Annotated[str, msgspec.Meta(min_length=1, max_length=64 * 1024)]
Milliseconds = Annotated[int, msgspec.Meta(ge=0, le=2**53 - 1)]


class RunEvent(msgspec.Struct, forbid_unknown_fields=True):
    """An event as a holder sends it: its payload is checked by its type."""

    type: Name
    payload: dict[str, Any] = {}


class Thinking(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """What the agent is about to do."""

    thought: Text
    progress_percentage: Annotated[float, msgspec.Meta(ge=0, le=100)] | None = None
    current_step: Name | None = None


class Executing(msgspec.Struct, forbid_unknown_fields=True):
    """A tool call begins."""

    tool_name: Name
    call_id: Name
    tool_input: dict[str, Any] = {}


class ToolCompleted(msgspec.Struct, forbid_unknown_fields=True):
    """A tool call's results or error; the rest is known from its tool_executing."""

    call_id: Name
    results: Any = UNSET
    error: Text | UnsetType = UNSET
    tool_name: Name | None = None
    duration_ms: Milliseconds | None = None

    def outcome(self, field: str) -> dict[str, Any]:
        """`results` or `error`; `InvalidRequest` unless it is exactly one of them."""
        if (self.results is UNSET) == (self.error is UNSET):
            raise InvalidRequest("Either results or error is needed.", field=field)
        return {"error": self.error} if self.results is UNSET else {"results": self.results}


class RequiresAction(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """The open tool calls are for the caller to answer; the holder lets go of the run."""

    reason: Text | None = None


class MessageDelta(msgspec.Struct, forbid_unknown_fields=True):
    """The next piece of a message's text."""

    message_id: str
    text: Annotated[str, msgspec.Meta(max_length=64 * 1024)]
    offset: Milliseconds | None = None
    """Characters before this piece. Where given, a repeated piece is not added twice."""


class RunMessage(Message, forbid_unknown_fields=True, omit_defaults=True):
    """A message of the agent; its id makes it one, however often it is sent."""

    role: Literal["assistant", "system", "tool"] = "assistant"
    message_id: str | None = None


HolderEvent = Thinking | Executing | ToolCompleted | RequiresAction | MessageDelta | RunMessage

_TYPES: Final[dict[str, type[HolderEvent]]] = {
    events.THINKING: Thinking,
    events.EXECUTING: Executing,
    events.TOOL_COMPLETED: ToolCompleted,
    events.REQUIRES_ACTION: RequiresAction,
    MESSAGE: RunMessage,
    DELTA: MessageDelta,
}


class ToolOutput(msgspec.Struct, forbid_unknown_fields=True):
    """A caller's answer to one open tool call."""

    call_id: Name
    results: Any = UNSET
    error: Text | UnsetType = UNSET


def check_name(value: str, field: str) -> str:
    """A name of an agent, worker or call: 1 to 255 characters, none of them NUL."""
    if not 1 <= len(value) <= 255 or "\0" in value:
        raise InvalidRequest("A name has 1 to 255 characters, none of them NUL.", field=field)
    return value


def parse_events(given: Sequence[RunEvent]) -> list[HolderEvent]:
    """The payloads by their types, ids of messages as digits.

    Raises `InvalidRequest` for what is malformed and `Conflict` for events that only the service
    writes, such as agent_completed: they could only come out of order.
    """
    if not 1 <= len(given) <= EVENTS_PER_REQUEST:
        raise InvalidRequest(f"1 to {EVENTS_PER_REQUEST} events are taken at once.", field="events")
    return [_parse(event, f"events[{n}]") for n, event in enumerate(given)]


def _parse(event: RunEvent, field: str) -> HolderEvent:
    kind = _TYPES.get(event.type)
    if kind is None:
        if event.type in events.RUN_EVENTS:
            raise Conflict(f"{event.type} is written by the service itself.")
        raise InvalidRequest(f"Events are one of {sorted(_TYPES)}.", field=f"{field}.type")
    try:
        parsed = msgspec.convert(event.payload, kind)
    except msgspec.ValidationError as exc:
        raise InvalidRequest(str(exc), field=f"{field}.payload") from exc
    if isinstance(parsed, MessageDelta | RunMessage) and parsed.message_id is not None:
        parsed.message_id = message_digits(parsed.message_id, f"{field}.payload.message_id")
    return parsed


def message_digits(public: str, field: str) -> str:
    """The digits of a message's public id; `InvalidRequest` when it is none."""
    try:
        return ids.from_public(ids.MESSAGE, public)
    except NotFound as exc:
        raise InvalidRequest("An id of a message is msg_ and 32 digits.", field=field) from exc
