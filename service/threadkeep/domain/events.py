"""Run events and the only order in which the log takes them (spec: protocol.md, run events).

Everything that carries a run's id in the log stands between its one agent_started and its one
agent_completed. What is said about a run outside of them (run_queued, run_rolled_back) names it
in the payload alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Final

from threadkeep.domain.entries import (
    MESSAGE,
    THREAD_CREATED,
    THREAD_DELETED,
    THREAD_STATE_CHANGED,
    THREAD_UPDATED,
)
from threadkeep.errors import Conflict

STARTED: Final = "agent_started"
THINKING: Final = "agent_thinking"
EXECUTING: Final = "tool_executing"
TOOL_COMPLETED: Final = "tool_completed"
COMPLETED: Final = "agent_completed"
RESUMED: Final = "agent_resumed"
REQUIRES_ACTION: Final = "requires_action"

RUN_EVENTS: Final = frozenset(
    {STARTED, THINKING, EXECUTING, TOOL_COMPLETED, COMPLETED, RESUMED, REQUIRES_ACTION}
)

RUN_QUEUED: Final = "run_queued"
"""A run was asked for and waits for another one: agent_started follows when its turn comes."""
ROLLED_BACK: Final = "run_rolled_back"
"""Read models leave that run out; the log keeps it."""

KINDS: Final = RUN_EVENTS | {
    *(MESSAGE, THREAD_CREATED, THREAD_UPDATED, THREAD_STATE_CHANGED, THREAD_DELETED),
    *(RUN_QUEUED, ROLLED_BACK),
}
"""All kinds of entries."""

QUEUED: Final = "queued"
RUNNING: Final = "running"
ACTION_REQUIRED: Final = "requires_action"
RECOVERING: Final = "recovering"
DONE: Final = "completed"
FAILED: Final = "failed"
CANCELLED: Final = "cancelled"
INTERRUPTED: Final = "interrupted"
TERMINAL: Final = frozenset({DONE, FAILED, CANCELLED, INTERRUPTED})
ACTIVE: Final = frozenset({QUEUED, RUNNING, ACTION_REQUIRED, RECOVERING})
CLAIMABLE: Final = frozenset({QUEUED, RECOVERING})

_ENDS_WAITING: Final = frozenset({TOOL_COMPLETED, RESUMED, COMPLETED})


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the events of a run have come; stored with the run, decided only here."""

    started: bool = False
    ended: bool = False
    waiting: bool = False
    """True after requires_action, until somebody holds the run again."""
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
        if self.waiting and kind not in _ENDS_WAITING:
            raise Conflict(f"{kind} while the run waits for tool outputs.")
        return self._after_start(kind, call_id)

    def _after_start(self, kind: str, call_id: str | None) -> Progress:
        if kind == EXECUTING:
            if not call_id or call_id in self.open_calls:
                raise Conflict("tool_executing needs a call_id that is not open.")
            return replace(self, open_calls=self.open_calls | {call_id})
        if kind == TOOL_COMPLETED:
            if call_id not in self.open_calls:
                raise Conflict("tool_completed without its tool_executing.")
            return replace(self, open_calls=self.open_calls - {call_id or ""})
        if kind == COMPLETED and self.open_calls:
            raise Conflict("agent_completed while tool calls are open.")
        if kind == REQUIRES_ACTION and not self.open_calls:
            raise Conflict("requires_action without an open tool call to answer.")
        return self._turn(kind)

    def _turn(self, kind: str) -> Progress:
        if kind == COMPLETED:
            return Progress(started=True, ended=True)
        if kind in (REQUIRES_ACTION, RESUMED):
            return replace(self, waiting=kind == REQUIRES_ACTION)
        return self


def progress_of(events: Iterable[tuple[str, str | None]]) -> Progress:
    """Progress after a sequence of (kind, call id); `Conflict` at the first out of order."""
    progress = Progress()
    for kind, call_id in events:
        progress = progress.after(kind, call_id)
    return progress
