"""What delivery reads: chunks of a log, snapshots, text that is streaming, and the sweeps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from threadkeep.domain import snapshots
from threadkeep.domain.entries import Entry, epoch_of
from threadkeep.domain.snapshots import PartialMessage
from threadkeep.domain.threads import Thread
from threadkeep.storage.database import Connection, Database, first
from threadkeep.storage.entries import entry_of
from threadkeep.storage.threads import thread_of

CHUNK_ENTRIES: Final = 512
CHUNK_BYTES: Final = 256 * 1024
"""One chunk of a catch-up: a quarter of what may wait for a socket, or a single entry."""

Salts = tuple[int, int]
"""(of the thread, of the database): what its epoch is made of."""
UNKNOWN: Final[Salts] = (0, 0)

_NOBODY: Final = "00000000000000000000000000000000"


@dataclass(frozen=True, slots=True)
class Chunk:
    """Entries after a place in the log, and the head at the same moment."""

    salts: Salts
    epoch: str
    last_seq: int
    entries: list[Entry]


@dataclass(frozen=True, slots=True)
class Place:
    """What a process believes of a thread that it has subscribers for."""

    tenant: str
    owner: str
    thread: str
    seq: int
    salts: Salts


@dataclass(frozen=True, slots=True)
class Difference:
    """A thread that is not as the process believes; `place` is its index in the question."""

    place: int
    last_seq: int | None
    """None: the thread is gone."""
    salts: Salts
    is_streaming: bool


@dataclass(frozen=True, slots=True)
class Watch:
    """From where on changes of one user's threads are wanted."""

    tenant: str
    owner: str
    since: datetime
    after: str = _NOBODY
    """Id of the last thread of the page before, where changes share their moment."""


@dataclass(frozen=True, slots=True)
class Change:
    """A thread of a user that has changed; `watch` is the index in the question."""

    watch: int
    thread: Thread
    unread: int
    kind: str | None
    """The last change of the thread itself in that time that its log tells, if any."""
    kind_seq: int
    changed_at: datetime


async def read_chunk(
    database: Database, tenant: str, owner: str, thread: str, after: int
) -> Chunk | None:
    """The entries that follow `after`, as many as fit a chunk; None: no such thread."""
    rows = await database.call(
        "SELECT * FROM read_chunk($1, $2, $3, $4, $5, $6)",
        tenant,
        owner,
        thread,
        after,
        CHUNK_ENTRIES,
        CHUNK_BYTES,
    )
    head = first(rows)
    if head is None:
        return None
    salts = head["thread_salt"], head["database_salt"]
    epoch = epoch_of(salts[1], salts[0])
    entries = [entry_of(tenant, thread, epoch, row) for row in rows if row["seq"] is not None]
    return Chunk(salts, epoch, head["last_seq"], entries)


async def read_recent(connection: Connection, thread: Thread) -> list[Entry]:
    """The end of the log that a snapshot holds, ascending."""
    rows = await connection.fetch(
        "SELECT * FROM read_recent($1, $2, $3, $4, $5, $6)",
        thread.tenant,
        thread.owner,
        thread.id,
        snapshots.MESSAGES,
        snapshots.ENTRIES,
        snapshots.BYTES,
    )
    return [entry_of(thread.tenant, thread.id, thread.epoch, row) for row in rows]


async def read_partials(
    connection: Connection, tenant: str, owner: str, thread: str
) -> list[PartialMessage]:
    """The text so far of every message that is streaming into the thread."""
    rows = await connection.fetch(
        "SELECT run_id, message_id, string_agg(text, '' ORDER BY \"offset\") AS text"
        " FROM partials WHERE tenant_id = $1 AND owner = $2 AND thread_id = $3"
        " GROUP BY run_id, message_id ORDER BY message_id",
        tenant,
        owner,
        thread,
    )
    return [PartialMessage(r["run_id"].hex, r["message_id"].hex, r["text"]) for r in rows]


async def read_last_seq(connection: Connection, tenant: str, owner: str, thread: str) -> int | None:
    """The head's seq; None: no such thread."""
    last: int | None = await connection.fetchval(
        "SELECT last_seq FROM heads WHERE tenant_id = $1 AND owner = $2 AND thread_id = $3",
        tenant,
        owner,
        thread,
    )
    return last


async def compare_heads(database: Database, places: Sequence[Place]) -> list[Difference]:
    """Which of these threads are not as believed, in one query."""
    rows = await database.call(
        "SELECT * FROM compare_heads($1, $2, $3, $4, $5, $6)",
        [p.tenant for p in places],
        [p.owner for p in places],
        [p.thread for p in places],
        [p.seq for p in places],
        [p.salts[0] for p in places],
        [p.salts[1] for p in places],
    )
    return [
        Difference(
            row["ord"] - 1,
            row["last_seq"],
            (row["thread_salt"], row["database_salt"]),
            row["streaming"],
        )
        for row in rows
    ]


async def changed_threads(database: Database, watches: Sequence[Watch], limit: int) -> list[Change]:
    """Threads of these users that have changed, `limit` each at most, oldest change first."""
    rows = await database.call(
        "SELECT * FROM changed_threads($1, $2, $3, $4, $5)",
        [w.tenant for w in watches],
        [w.owner for w in watches],
        [w.since for w in watches],
        [w.after for w in watches],
        limit,
    )
    changes: list[Change] = []
    for row in rows:
        index = row["ord"] - 1
        thread = thread_of(watches[index].tenant, watches[index].owner, row)
        changes.append(
            Change(
                watch=index,
                thread=thread,
                unread=row["unread"],
                kind=row["kind"],
                kind_seq=row["kind_seq"] or 0,
                changed_at=row["changed_at"],
            )
        )
    return changes


async def recently(database: Database, overlap: timedelta) -> datetime:
    """The database's clock, `overlap` ago: changes that commit from now on are marked later."""
    rows = await database.call("SELECT clock_timestamp() - $1::interval AS at", overlap)
    at: datetime = rows[0]["at"]
    return at
