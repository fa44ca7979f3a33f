"""Threads: the row that lists show, created, read, changed and listed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec

from threadkeep.domain.entries import epoch_of
from threadkeep.domain.events import ACTIVE
from threadkeep.domain.listing import Place
from threadkeep.domain.threads import Thread
from threadkeep.storage.database import Connection, Database, Record
from threadkeep.storage.entries import Head

_CREATE: Final = "SELECT * FROM create_thread($1, $2, $3, $4, $5, $6, $7, $8, $9)"
_READ: Final = "SELECT * FROM thread_row($1, $2, $3)"
_LIST: Final = "SELECT * FROM list_threads($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)"
_MARK: Final = "SELECT * FROM move_read_marker($1, $2, $3, $4)"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_END: Final = Place(250_000_000_000_000_000, "f" * 32)
"""Before everything in a list by activity: the year 9892, near the last that Python knows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewThread:
    """What a new thread starts with."""

    id: str
    external_id: str | None
    title: str | None
    metadata: bytes
    """Canonical JSON."""
    salt: int
    entry: str
    """Id of its first entry."""
    body: str
    """Payload of its first entry."""


@dataclass(frozen=True, slots=True)
class Described:
    """What a thread says about itself, read under its head's lock."""

    version: int
    title: str | None
    metadata: dict[str, Any]
    merged: dict[str, Any]
    """The metadata as the patch makes them."""
    former: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which threads a list shows."""

    states: Sequence[str]
    external_id: str | None
    metadata: bytes | None
    """JSON that the metadata must contain."""
    since: datetime | None
    words: str | None
    """A query of the search's own form."""
    after: Place | None
    before: Place | None
    limit: int


async def create(
    database: Database, tenant: str, owner: str, new: NewThread
) -> tuple[Thread, bool]:
    """The new thread, or the one that has its external id; True when it was created."""
    rows = await database.write(
        _CREATE,
        tenant,
        owner,
        new.id,
        new.external_id,
        new.title,
        new.metadata.decode(),
        new.salt,
        new.entry,
        new.body,
    )
    return thread_of(tenant, owner, rows[0]), rows[0]["created"]


async def read(
    source: Database | Connection, tenant: str, owner: str, thread: str
) -> Thread | None:
    """A visible thread, deleted or not; in a transaction, as that transaction sees it."""
    fetch = source.call if isinstance(source, Database) else source.fetch
    rows = await fetch(_READ, tenant, owner, thread)
    return thread_of(tenant, owner, rows[0]) if rows else None


async def describe(connection: Connection, head: Head, patch: bytes = b"{}") -> Described:
    """Title, metadata and what `patch` makes of them. The caller holds the head's lock."""
    row = await connection.fetchrow(
        "SELECT version, title, metadata, former_state,"
        " coalesce(nullif(merge_patch(metadata, $4), 'null'), '{}') AS merged"
        " FROM threads WHERE tenant_id = $1 AND owner = $2 AND id = $3",
        head.tenant,
        head.owner,
        head.thread,
        patch.decode(),
    )
    assert row is not None  # noqa: S101 - a thread is never without the head that is locked
    return Described(
        row["version"],
        row["title"],
        msgspec.json.decode(row["metadata"]),
        msgspec.json.decode(row["merged"]),
        row["former_state"],
    )


async def change(
    connection: Connection,
    head: Head,
    *,
    at: datetime,
    title: str | None,
    patch: bytes,
) -> None:
    """Set the title, merge the metadata, one version on. The caller holds the head's lock."""
    await connection.execute(
        "UPDATE threads SET title = $5,"
        " metadata = coalesce(nullif(merge_patch(metadata, $6), 'null'), '{}'),"
        " version = version + 1, updated_at = $4::timestamptz, changed_at = clock_timestamp()"
        " WHERE tenant_id = $1 AND owner = $2 AND id = $3",
        head.tenant,
        head.owner,
        head.thread,
        at,
        title,
        patch.decode(),
    )


async def remember(
    connection: Connection,
    head: Head,
    *,
    at: datetime,
    former: str | None,
    is_deleted: bool,
) -> None:
    """Note a change of state, one version on. The caller holds the head's lock."""
    await connection.execute(
        "UPDATE threads SET former_state = $5, deleted_at = CASE WHEN $6 THEN $4::timestamptz END,"
        " version = version + 1, updated_at = $4::timestamptz, changed_at = clock_timestamp()"
        " WHERE tenant_id = $1 AND owner = $2 AND id = $3",
        head.tenant,
        head.owner,
        head.thread,
        at,
        former,
        is_deleted,
    )


async def set_hold(connection: Connection, head: Head, *, is_held: bool) -> None:
    """Set or lift the legal hold on a locked head."""
    await connection.execute(
        "UPDATE heads SET hold = $4 WHERE tenant_id = $1 AND owner = $2 AND thread_id = $3",
        head.tenant,
        head.owner,
        head.thread,
        is_held,
    )


async def cancel_runs(connection: Connection, head: Head) -> None:
    """Ask every run of the thread to end; its holder or the reaper ends it."""
    await connection.execute(
        "UPDATE runs SET cancel_requested = true WHERE tenant_id = $1 AND owner = $2"
        " AND thread_id = $3 AND status = ANY ($4) AND NOT cancel_requested",
        head.tenant,
        head.owner,
        head.thread,
        sorted(ACTIVE),
    )


async def read_list(
    database: Database,
    tenant: str,
    owner: str,
    wanted: Filter,
) -> list[tuple[Thread, Place]]:
    """Threads beside a place, newest activity first, in one round trip."""
    start = wanted.before or wanted.after or _END
    rows = await database.call(
        _LIST,
        tenant,
        owner,
        list(wanted.states),
        wanted.external_id,
        wanted.metadata.decode() if wanted.metadata is not None else None,
        wanted.since,
        wanted.words,
        _time(start),
        start.id,
        wanted.before is not None,
        wanted.limit,
    )
    threads = [thread_of(tenant, owner, row) for row in rows]
    if wanted.before is not None:
        threads.reverse()
    return [(thread, place_of(thread)) for thread in threads]


def place_of(thread: Thread) -> Place:
    """Where a thread stands in lists by activity."""
    return Place((thread.last_activity_at - _EPOCH) // _MICROSECOND, thread.id)


async def move_read_marker(
    database: Database, tenant: str, owner: str, thread: str, seq: int
) -> Record | None:
    """(state, last_seq, seq of the marker) after moving it; None: not visible."""
    rows = await database.call(_MARK, tenant, owner, thread, seq)
    return rows[0] if rows else None


def _time(place: Place) -> datetime:
    return _EPOCH + _MICROSECOND * min(max(place.number, 0), _END.number)


def thread_of(tenant: str, owner: str, row: Record) -> Thread:
    """A thread from a row of its columns, its head and the salts."""
    return Thread(
        tenant=tenant,
        id=row["id"].hex,
        owner=owner,
        external_id=row["external_id"],
        title=row["title"],
        metadata=msgspec.json.decode(row["metadata"]),
        version=row["version"],
        state=row["state"],
        hold=row["hold"],
        epoch=epoch_of(row["database_salt"], row["thread_salt"]),
        last_seq=row["last_seq"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        last_activity_at=row["last_activity_at"],
    )
