"""Joining a thread: one moment of it, and whether the caller's cursor is a place in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from threadkeep.domain.entries import Cursor
from threadkeep.domain.principals import Principal
from threadkeep.domain.snapshots import PartialMessage, Snapshot
from threadkeep.domain.threads import DELETED, Thread
from threadkeep.errors import Gone, InvalidRequest, NotFound
from threadkeep.storage import runs, snapshots, threads
from threadkeep.storage.database import Connection, Database

Verdict = Literal["resumed", "snapshot", "forked"]


@dataclass(frozen=True, slots=True)
class Start:
    """From where a subscriber wants to go on; neither: from a snapshot."""

    cursor: Cursor | None = None
    after_seq: int | None = None
    """A place in whatever history the thread has now."""

    def __post_init__(self) -> None:
        if self.cursor is not None and self.after_seq is not None:
            raise InvalidRequest("Give cursor or after_seq, not both.", field="after_seq")
        if self.after_seq is not None and self.after_seq < 0:
            raise InvalidRequest("A seq is not negative.", field="after_seq")


@dataclass(frozen=True, slots=True)
class Joined:
    """A thread at one moment, as a subscriber joins it."""

    verdict: Verdict
    epoch: str
    seq: int
    """What the subscriber has, or gets with the snapshot; entries after it follow."""
    last_seq: int
    snapshot: Snapshot | None
    partials: list[PartialMessage]


async def join(database: Database, principal: Principal, thread: str, start: Start) -> Joined:
    """Read everything in one transaction with one view of the database.

    Raises `NotFound`, and `Gone` for a deleted thread.
    """
    async with database.transaction(
        principal, isolation="repeatable_read", readonly=True
    ) as connection:
        found = await threads.read(connection, principal.tenant, principal.owner, thread)
        if found is None:
            raise NotFound
        if found.state == DELETED:
            raise Gone
        partials = await snapshots.read_partials(
            connection, principal.tenant, principal.owner, thread
        )
        verdict, seq = _judge(start, found)
        snapshot = None
        if verdict != "resumed":
            snapshot = await _snapshot(connection, found, partials)
    return Joined(verdict, found.epoch, seq, found.last_seq, snapshot, partials)


def _judge(start: Start, thread: Thread) -> tuple[Verdict, int]:
    if start.cursor is not None:
        seq, is_here = start.cursor.seq, start.cursor.epoch == thread.epoch
    elif start.after_seq is not None:
        seq, is_here = start.after_seq, True
    else:
        return "snapshot", thread.last_seq
    if is_here and seq <= thread.last_seq:
        return "resumed", seq
    return "forked", thread.last_seq


async def _snapshot(
    connection: Connection, thread: Thread, partials: list[PartialMessage]
) -> Snapshot:
    return Snapshot(
        thread=thread,
        entries=await snapshots.read_recent(connection, thread),
        last_seq=thread.last_seq,
        active_runs=await runs.active(connection, thread.tenant, thread.owner, thread.id),
        partial_messages=partials,
    )
