"""Run events: their payloads and the only order in which the log takes them (protocol.md)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from threadkeep.errors import Conflict

STARTED: Final = "agent_started"
THINKING: Final = "agent_thinking"
EXECUTING: Final = "tool_executing"
TOOL_COMPLETED: Final = "tool_completed"
COMPLETED: Final = "agent_completed"
RESUMED: Final = "agent_resumed"
REQUIRES_ACTION: Final = "requires_action"
ROLLED_BACK: Final = "run_rolled_back"

RUN_EVENTS: Final = frozenset(
    {STARTED, THINKING, EXECUTING, TOOL_COMPLETED, COMPLETED, RESUMED, REQUIRES_ACTION, ROLLED_BACK}
)

QUEUED: Final = "queued"
RUNNING: Final = "running"
ACTION_REQUIRED: Final = "requires_action"
RECOVERING: Final = "recovering"
TERMINAL: Final = frozenset({"completed", "failed", "cancelled", "interrupted"})
ACTIVE: Final = frozenset({QUEUED, RUNNING, ACTION_REQUIRED, RECOVERING})


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the events of a run have come; stored with the run, decided only here."""

    started: bool = False
    ended: bool = False
    open_calls: frozenset[str] = field(default_factory=frozenset)
    """Tool calls that were announced and not yet answered."""

    def after(self, kind: str, call_id: str | None = None) -> Progress:
        """Progress after one more event; `Conflict` when the order forbids it."""
        if self.ended:
            raise Conflict(f"The run has ended; {kind} comes too late.")
        if kind == STARTED:
            if self.started:
                raise Conflict("The run has started already.")
            return Progress(started=True)
        if not self.started:
            raise Conflict(f"{kind} before agent_started.")
        return self._after_start(kind, call_id)

    def _after_start(self, kind: str, call_id: str | None) -> Progress:
        if kind == EXECUTING:
            if not call_id or call_id in self.open_calls:
                raise Conflict("tool_executing needs a call_id that is not open.")
            return Progress(started=True, open_calls=self.open_calls | {call_id})
        if kind == TOOL_COMPLETED:
            if call_id not in self.open_calls:
                raise Conflict("tool_completed without its tool_executing.")
            return Progress(started=True, open_calls=self.open_calls - {call_id or ""})
        if kind == COMPLETED:
            if self.open_calls:
                raise Conflict("agent_completed while tool calls are open.")
            return Progress(started=True, ended=True)
        return self


def progress_of(events: Iterable[tuple[str, str | None]]) -> Progress:
    """Progress after a sequence of (kind, call id); `Conflict` at the first out of order."""
    progress = Progress()
    for kind, call_id in events:
        progress = progress.after(kind, call_id)
    return progress
