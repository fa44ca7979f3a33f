"""Commands of a socket: their shapes, and how a frame becomes one."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, get_args

import msgspec

from threadkeep.domain.limits import FRAME_BYTES
from threadkeep.domain.messages import Content, Message, Name
from threadkeep.errors import InvalidRequest, ThreadkeepError, TooLarge, UnknownType
from threadkeep.web.bodies import invalid, refuse_repeated_keys
from threadkeep.web.schemas.common import Json, Moment, PageQuery, Seq, Short
from threadkeep.web.schemas.runs import RunCreate, ToolOutputs
from threadkeep.web.schemas.threads import (
    EntryCursor,
    EntryQuery,
    State,
    ThreadCreate,
    Title,
    Words,
)

CommandId = (
    Annotated[str, msgspec.Meta(max_length=64)]
    | Annotated[int, msgspec.Meta(ge=-(2**53) + 1, le=2**53 - 1)]
)
"""Chosen by the client, comes back as `re`."""
IfBusy = Literal["reject", "enqueue", "interrupt", "rollback", "concurrent"]
Id = str
"""A malformed id is answered like an absent one: `not_found`."""


class Command(msgspec.Struct, tag_field="type", forbid_unknown_fields=True, kw_only=True):
    """What every command has; those that are shaped as a route's body have it too."""

    id: CommandId


class Subscribe(Command, tag="subscribe"):
    """Follow a thread from a place on, or the user's feed."""

    thread_id: Id | None = None
    feed: Literal["user"] | None = None
    cursor: EntryCursor | None = None
    after_seq: Seq | None = None


class Unsubscribe(Command, tag="unsubscribe"):
    """Follow it no longer."""

    thread_id: Id | None = None
    feed: Literal["user"] | None = None


class SwitchThread(Command, tag="switch_thread"):
    """Follow this thread instead of the one that was subscribed last."""

    thread_id: Id
    cursor: EntryCursor | None = None
    after_seq: Seq | None = None


class ListThreads(PageQuery, tag_field="type", tag="list_threads", kw_only=True):
    """As `GET /v1/threads`; `metadata` is an object here."""

    id: CommandId
    state: State | None = None
    external_id: Short | None = None
    metadata: Json | None = None
    updated_since: Moment | None = None
    q: Words | None = None


class CreateThread(ThreadCreate, tag_field="type", tag="create_thread", kw_only=True):
    """As `POST /v1/threads`."""

    id: CommandId


class RenameThread(Command, tag="rename_thread"):
    """As `PATCH /v1/threads/{id}` with a title alone; null takes it away."""

    thread_id: Id
    title: Title | None
    if_match: Annotated[int, msgspec.Meta(ge=1)] | None = None


class DeleteThread(Command, tag="delete_thread"):
    """As `DELETE /v1/threads/{id}`."""

    thread_id: Id


class GetThreadHistory(EntryQuery, tag_field="type", tag="get_thread_history", kw_only=True):
    """As `GET /v1/threads/{id}/entries`."""

    id: CommandId
    thread_id: Id


class UserMessage(Command, tag="user_message"):
    """Append one message of the user; with `run` start that agent in the same commit."""

    thread_id: Id
    content: Content
    name: Name | None = None
    metadata: dict[str, Any] = {}
    idempotency_key: str | None = None
    run: Short | None = None
    if_busy: IfBusy | None = None

    def message(self) -> Message:
        """The message that is appended."""
        return Message(content=self.content, name=self.name, metadata=self.metadata)


class StartAgent(RunCreate, tag_field="type", tag="start_agent", kw_only=True):
    """As `POST /v1/threads/{id}/runs`."""

    id: CommandId
    thread_id: Id
    idempotency_key: str | None = None


class StopAgent(Command, tag="stop_agent"):
    """As `POST /v1/runs/{id}/cancel`."""

    run_id: Id


class GiveToolOutputs(ToolOutputs, tag_field="type", tag="tool_outputs", kw_only=True):
    """As `POST /v1/runs/{id}/tool_outputs`."""

    id: CommandId
    run_id: Id


class Typing(Command, tag="typing"):
    """Tell the user's other readers of the thread; nothing is kept."""

    thread_id: Id


class Ping(Command, tag="ping"):
    """Answered by `ok`."""


AnyCommand = (
    Subscribe
    | Unsubscribe
    | SwitchThread
    | ListThreads
    | CreateThread
    | RenameThread
    | DeleteThread
    | GetThreadHistory
    | UserMessage
    | StartAgent
    | StopAgent
    | GiveToolOutputs
    | Typing
    | Ping
)
NAMES: Final[dict[type[msgspec.Struct], str]] = {
    shape: str(shape.__struct_config__.tag) for shape in get_args(AnyCommand)
}
"""Every command and the `type` that names it."""

_TYPES: Final = frozenset(NAMES.values())
_decode: Final = msgspec.json.Decoder(AnyCommand).decode


class _Head(msgspec.Struct):
    id: Any = None
    type: Any = None


_head: Final = msgspec.json.Decoder(_Head)
_MESSAGE_KEYS: Final = 4
"""Keys that every `user_message` has: id, type, thread_id, content."""


class BadFrameError(Exception):
    """A frame that is no command: what is wrong with it, and the id where it could be read."""

    def __init__(self, error: ThreadkeepError, command_id: int | str | None = None) -> None:
        super().__init__(error.message)
        self.error = error
        self.command_id = command_id


def parse(data: bytes) -> AnyCommand:
    """The command in a text frame; `BadFrameError` for everything else."""
    if len(data) > FRAME_BYTES:
        raise BadFrameError(TooLarge(f"The frame is {len(data)} bytes; {FRAME_BYTES} are allowed."))
    try:
        command: AnyCommand = _decode(data)
        if _may_repeat_keys(data, command):
            _refuse_repeated_keys(data, command.id)
    except msgspec.ValidationError as exc:
        raise _misfit(data, exc) from exc
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise _malformed(exc) from exc
    return command


def _may_repeat_keys(data: bytes, command: AnyCommand) -> bool:
    # Each key has a colon. Most frames have no more of them than this, and are not parsed again.
    if type(command) is not UserMessage:
        return True
    return data.count(b":") > _MESSAGE_KEYS + (command.idempotency_key is not None)


def _refuse_repeated_keys(data: bytes, command_id: int | str) -> None:
    try:
        refuse_repeated_keys(data)
    except InvalidRequest as exc:
        raise BadFrameError(exc, command_id) from exc


def _misfit(data: bytes, exc: msgspec.ValidationError) -> BadFrameError:
    """It is JSON as far as it was read; whether as a whole, and which command, is looked up."""
    try:
        data.decode()
        head = _head.decode(data)
    except msgspec.ValidationError:
        return BadFrameError(InvalidRequest("A command is a JSON object."))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as broken:
        return _malformed(broken)
    known = _known_id(head.id)
    if isinstance(head.type, str) and head.type not in _TYPES:
        return BadFrameError(UnknownType(), known)
    return BadFrameError(invalid(exc, AnyCommand), known)


def _malformed(exc: BaseException) -> BadFrameError:
    reason = {RecursionError: "nested too deeply", UnicodeDecodeError: "not UTF-8"}
    text = reason.get(type(exc), str(exc))
    return BadFrameError(InvalidRequest(f"This is not JSON: {text}.", malformed=True))


def _known_id(value: object) -> int | str | None:
    try:
        known: int | str = msgspec.convert(value, CommandId)
    except msgspec.ValidationError:
        return None
    return known
