"""What a subscription yields: entries of the log, typed by their kind, and what is beside the log.

`match event: case Message(): …; case AgentCompleted(): …` is the intended way to read them.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar, Final

import msgspec
from typing_extensions import override

Content = str | list[dict[str, Any]]


class Entry(msgspec.Struct, kw_only=True, tag_field="type"):
    """One entry of a thread's log."""

    id: str
    epoch: str
    seq: int
    tenant_id: str
    thread_id: str
    run_id: str | None
    ts: datetime

    @property
    def type(self) -> str:
        """The kind, as the log names it."""
        return str(self.__struct_config__.tag)

    @property
    def cursor(self) -> str:
        """Where a reader stands who has seen this entry and everything before."""
        return f"{self.epoch}-{self.seq}"


class MessagePayload(msgspec.Struct, kw_only=True):
    """What somebody said."""

    role: str
    content: Content
    metadata: dict[str, Any] = {}
    name: str | None = None
    tool_calls: list[dict[str, Any]] | None = None
    tool_call_id: str | None = None
    occurred_at: datetime | None = None

    @property
    def text(self) -> str:
        """The text alone: the content, or its text parts joined by new lines."""
        if isinstance(self.content, str):
            return self.content
        return "\n".join(part["text"] for part in self.content if part.get("type") == "text")


class Message(Entry, tag="message"):
    """A message that a person or a model wrote."""

    payload: MessagePayload


class Started(msgspec.Struct):
    """How a run began."""

    agent: str
    request: Any = None


class AgentStarted(Entry, tag="agent_started"):
    """The first event of every run."""

    payload: Started


class Thought(msgspec.Struct):
    """What an agent is about to do."""

    thought: str
    progress_percentage: float | None = None
    current_step: str | None = None


class AgentThinking(Entry, tag="agent_thinking"):
    """A step of a run."""

    payload: Thought


class ToolCall(msgspec.Struct):
    """What a tool is asked."""

    tool_name: str
    call_id: str
    tool_input: dict[str, Any] = {}


class ToolExecuting(Entry, tag="tool_executing"):
    """A tool call begins."""

    payload: ToolCall


class ToolAnswer(msgspec.Struct):
    """What a tool answered: `results`, or `error`."""

    tool_name: str
    call_id: str
    results: Any = None
    error: str | None = None
    duration_ms: int | None = None


class ToolCompleted(Entry, tag="tool_completed"):
    """A tool call has ended."""

    payload: ToolAnswer


class Completed(msgspec.Struct):
    """How a run ended."""

    status: str
    response: str | None = None
    error: str | None = None
    duration_ms: int | None = None
    usage: dict[str, Any] | None = None


class AgentCompleted(Entry, tag="agent_completed"):
    """The last event of every run, exactly once."""

    payload: Completed


class OtherEntry(Entry, tag=False):
    """An entry of a kind that has no class here: state changes, takeovers, kinds to come."""

    kind: str = msgspec.field(name="type")
    payload: dict[str, Any]

    @property
    @override
    def type(self) -> str:
        """The kind, as the log names it."""
        return self.kind


class MessageDelta(msgspec.Struct, kw_only=True):
    """The next piece of a message that is still streaming; it has no place in the log.

    After a break pieces may be missing; the message itself, when it is complete, is not. Text
    from `offset` on, counted in characters, is replaced by this.
    """

    type: ClassVar[str] = "message_delta"
    thread_id: str
    run_id: str | None
    message_id: str
    offset: int
    text: str


class Ephemeral(msgspec.Struct, kw_only=True):
    """Anything else beside the log, such as `typing`."""

    type: str
    thread_id: str | None
    payload: dict[str, Any]


class Snapshot(msgspec.Struct, kw_only=True):
    """The thread as it was when the subscription began without a cursor that could be resumed.

    Its last entries follow as events of their own; older ones are there by `entries()`.
    """

    type: ClassVar[str] = "snapshot"
    thread_id: str
    thread: dict[str, Any]
    first_seq: int
    last_seq: int
    active_runs: list[dict[str, Any]] = []
    partial_messages: list[dict[str, Any]] = []


class Forked(msgspec.Struct, kw_only=True):
    """The history that the cursor belonged to is no longer the thread's; a snapshot follows.

    What was kept of the thread should be thrown away.
    """

    type: ClassVar[str] = "forked"
    thread_id: str
    epoch: str
    last_seq: int


class FeedJoined(msgspec.Struct, kw_only=True):
    """The user's feed is live from here on; what changed before is in the list of threads."""

    type: ClassVar[str] = "subscribed"


class ThreadChanged(msgspec.Struct, kw_only=True):
    """One of the user's threads is new, has grown or has changed; it is shown as a whole."""

    type: str
    """`thread_created`, `thread_updated`, `thread_state_changed` or `thread_deleted`."""
    thread_id: str
    thread: dict[str, Any]
    last_seq: int
    unread: int
    """Messages after the read marker, up to 100."""


Event = Entry | MessageDelta | Ephemeral | Snapshot | Forked | FeedJoined | ThreadChanged

_Known = Message | AgentStarted | AgentThinking | ToolExecuting | ToolCompleted | AgentCompleted
_known: Final = msgspec.json.Decoder(_Known)
_other: Final = msgspec.json.Decoder(OtherEntry)


def decode_entry(raw: bytes | str | msgspec.Raw) -> Entry:
    """An entry from its canonical form, or from a part of an answer that holds it."""
    try:
        known: Entry = _known.decode(raw)
    except msgspec.ValidationError:
        return _other.decode(raw)
    return known
