"""Runs of agents: what is known of one, its leases and its policies (spec: data.md, Runs)."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, Literal

import msgspec

from threadkeep.domain import events, ids
from threadkeep.domain.entries import Entry, timestamp

LIBRARIAN: Final = "librarian"
SCRIPTED: Final = "scripted"
WORKER: Final = "worker"
LOCAL_KINDS: Final = (LIBRARIAN, SCRIPTED)
"""Kinds of agents that the service runs itself."""
RUNNABLE: Final = frozenset({*LOCAL_KINDS, WORKER})
"""Kinds that somebody claims; a run of any other kind would wait for ever."""

IfBusy = Literal["reject", "enqueue", "interrupt", "rollback", "concurrent"]
"""What happens to a new run on a thread where another one has not ended."""

LEASE_EXPIRED: Final = "lease_expired"
HANDED_OVER: Final = "handed_over"
OUTPUTS_GIVEN: Final = "tool_outputs"

INTERRUPTED_CALL: Final = "interrupted"
"""Error of a tool call whose holder is gone."""

RUN_INPUT_BYTES: Final = 64 * 1024
"""Largest input of a run, in bytes of canonical JSON."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseTimes:
    """How leases are kept; all of them by the database's clock but for the pauses."""

    lease: timedelta = timedelta(seconds=10)
    """How long a holder may be silent."""
    heartbeat: timedelta = timedelta(seconds=3)
    """A holder renews three times in a lease, so that two lost heartbeats cost nothing."""
    reap: timedelta = timedelta(seconds=1)
    """Pause between two looks for expired leases: lease + reap is below the 12 s promised."""
    poll: timedelta = timedelta(seconds=1)
    """Pause between two looks for work where no wake-up came: other processes start runs too."""
    attempts: int = 3
    """Holders that may die over one run before it fails."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a run is: what must be known to lock the head of its thread."""

    tenant: str
    owner: str
    thread: str
    run: str


@dataclass(frozen=True, slots=True)
class OpenCall:
    """A tool call that was announced and not yet answered."""

    tool_name: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One row of runs."""

    tenant: str
    id: str
    thread: str
    owner: str
    agent_id: str
    agent: str
    kind: str
    status: str = events.QUEUED
    attempt: int = 0
    """Holders so far; one that let go by itself is not counted again."""
    fence: int = 0
    """Rises with every change of holder; a write with an older one changes nothing."""
    lease_until: datetime | None = None
    worker: str | None = None
    """The present holder, or the last one."""
    cancel_requested: bool = False
    concurrent: bool = False
    """Neither waits for other runs of its thread nor makes them wait."""
    input: dict[str, Any] = field(default_factory=dict)
    asked_seq: int = 0
    """Seq of the entry that says that the run was asked for: its place in the queue."""
    message_id: str | None = None
    """The user's message that came with the run."""
    message_seq: int | None = None
    started: bool = False
    """True once agent_started is in the log."""
    open_calls: dict[str, OpenCall] = field(default_factory=dict)
    reason: str | None = None
    """Why it waits for a holder again."""
    usage: dict[str, Any] | None = None
    error: str | None = None
    created_at: datetime
    started_at: datetime | None = None
    """When its first holder claimed it."""
    ended_at: datetime | None = None

    @property
    def place(self) -> Place:
        """Where it is."""
        return Place(self.tenant, self.owner, self.thread, self.id)

    @property
    def progress(self) -> events.Progress:
        """How far its events have come."""
        return events.Progress(
            started=self.started,
            ended=self.status in events.TERMINAL,
            waiting=self.status == events.ACTION_REQUIRED,
            open_calls=frozenset(self.open_calls),
        )


@dataclass(frozen=True, slots=True)
class RunStarted:
    """The answer to a start."""

    run: Run
    first_seq: int
    """Seq of the message, or of the run's first event where there was no message."""
    message_id: str | None
    repeated: bool = False
    """True when this is the first answer to the same idempotency key."""


@dataclass(frozen=True, slots=True)
class Lease:
    """The answer to a heartbeat."""

    lease_until: datetime
    cancel_requested: bool


@dataclass(frozen=True, slots=True)
class Claimed:
    """What a new holder gets."""

    run: Run
    settings: dict[str, Any]
    """Settings of the agent."""
    message: Entry | None
    """The user's message that came with the run."""
    events: list[Entry]
    """The run's own entries so far: from them a holder goes on after another one's death."""

    @property
    def fence(self) -> int:
        """What every write of this holder carries."""
        return self.run.fence


@dataclass(frozen=True, slots=True)
class Written:
    """The answer to a holder's write."""

    last_seq: int
    """Seq of the thread's last entry."""
    cancel_requested: bool


def request_of(run: Run) -> dict[str, Any]:
    """The payload that says what was asked for: of agent_started and run_queued."""
    message = run.message_id and ids.to_public(ids.MESSAGE, run.message_id)
    return {
        "agent": run.agent,
        "request": {"message_id": message, "input": run.input},
        "run_id": ids.to_public(ids.RUN, run.id),
    }


def duration_ms(run: Run, until: datetime) -> int:
    """Milliseconds since the first holder claimed it; 0 when none did."""
    return 0 if run.started_at is None else milliseconds(until - run.started_at)


def milliseconds(span: timedelta) -> int:
    """Whole milliseconds, never negative."""
    return max(0, round(span.total_seconds() * 1000))


def run_object(run: Run) -> dict[str, Any]:
    """A run as HTTP shows it to its user and to workers."""
    return {
        "id": ids.to_public(ids.RUN, run.id),
        "thread_id": ids.to_public(ids.THREAD, run.thread),
        "owner": run.owner,
        "agent": run.agent,
        "kind": run.kind,
        "status": run.status,
        "attempt": run.attempt,
        "worker": run.worker,
        "cancel_requested": run.cancel_requested,
        "concurrent": run.concurrent,
        "input": run.input,
        "message_id": run.message_id and ids.to_public(ids.MESSAGE, run.message_id),
        "open_calls": sorted(run.open_calls),
        "usage": run.usage,
        "error": run.error,
        "created_at": timestamp(run.created_at),
        "started_at": run.started_at and timestamp(run.started_at),
        "ended_at": run.ended_at and timestamp(run.ended_at),
        "duration_ms": duration_ms(run, run.ended_at) if run.ended_at else None,
    }


def claimed_object(claimed: Claimed) -> dict[str, Any]:
    """The run in the answer to a worker's claim: with its settings, message and events."""
    message = claimed.message
    return run_object(claimed.run) | {
        "settings": claimed.settings,
        "message": None if message is None else msgspec.json.decode(message.canonical()),
        "events": [msgspec.json.decode(entry.canonical()) for entry in claimed.events],
    }
