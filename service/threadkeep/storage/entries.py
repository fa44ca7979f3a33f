"""The log of one thread: its head, pages of entries, and appends inside a transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from threadkeep.domain.entries import Draft, Entry, epoch_of
from threadkeep.storage.database import Connection, Database, Record, fetch_one

_READ: Final = "SELECT * FROM read_entries($1, $2, $3, $4, $5, $6, $7, $8)"
END: Final = 2**62
_MICROSECOND: Final = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Head:
    """The row that every write to a thread locks."""

    tenant: str
    thread: str
    owner: str
    state: str
    last_seq: int
    epoch: str
    hold: bool


@dataclass(frozen=True, slots=True)
class Page:
    """Entries of one read and the head at the same moment."""

    state: str
    last_seq: int
    epoch: str
    entries: list[Entry]
    """Always ascending by seq."""


async def read_page(  # noqa: PLR0913 - the filters of one read, by keyword
    database: Database,
    tenant: str,
    owner: str,
    thread: str,
    *,
    after: int = 0,
    before: int = END,
    backward: bool = False,
    kinds: Sequence[str] | None = None,
    limit: int = 100,
) -> Page | None:
    """Up to `limit` entries with after < seq < before, in one round trip.

    `backward` takes the last ones instead of the first. None: the thread is not visible.
    """
    rows = await database.call(_READ, tenant, owner, thread, after, before, backward, kinds, limit)
    return None if not rows else _page(tenant, thread, rows, backward=backward)


def _page(tenant: str, thread: str, rows: Sequence[Record], *, backward: bool) -> Page:
    head = rows[0]
    epoch = epoch_of(head["database_salt"], head["thread_salt"])
    entries = [entry_of(tenant, thread, epoch, row) for row in rows if row["seq"] is not None]
    if backward:
        entries.reverse()
    return Page(head["state"], head["last_seq"], epoch, entries)


def entry_of(tenant: str, thread: str, epoch: str, row: Record) -> Entry:
    """An entry from a row with seq, id, kind, run_id, body and created_at."""
    run = row["run_id"]
    return Entry(
        tenant=tenant,
        thread=thread,
        epoch=epoch,
        seq=row["seq"],
        id=row["id"].hex,
        kind=row["kind"],
        run=run.hex if run else None,
        body=row["body"],
        at=row["created_at"],
    )


def placed(head: Head, epoch: str, draft: Draft, seq: int, at: datetime) -> Entry:
    """The entry that a draft has become."""
    return Entry(
        tenant=head.tenant,
        thread=head.thread,
        epoch=epoch,
        seq=seq,
        id=draft.id,
        kind=draft.kind,
        run=draft.run,
        body=draft.body,
        at=at,
    )


async def lock_head(connection: Connection, tenant: str, owner: str, thread: str) -> Head | None:
    """Lock the head of a visible thread for the rest of the transaction."""
    row = await connection.fetchrow(
        "SELECT h.state, h.last_seq, h.salt, h.hold, i.salt AS database_salt"
        " FROM heads h CROSS JOIN installation i"
        " WHERE h.tenant_id = $1 AND h.owner = $2 AND h.thread_id = $3 FOR UPDATE OF h",
        tenant,
        owner,
        thread,
    )
    if row is None:
        return None
    return Head(
        tenant=tenant,
        thread=thread,
        owner=owner,
        state=row["state"],
        last_seq=row["last_seq"],
        epoch=epoch_of(row["database_salt"], row["salt"]),
        hold=row["hold"],
    )


async def append_locked(
    connection: Connection,
    head: Head,
    drafts: Sequence[Draft],
    *,
    state: str | None = None,
    idem: bytes | None = None,
    digest: bytes | None = None,
) -> tuple[Head, list[Entry]]:
    """Append under a lock that `lock_head` took; `state` is the thread's new state, if any."""
    row = await fetch_one(
        connection,
        "SELECT * FROM append_locked($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
        head.tenant,
        head.thread,
        head.owner,
        [d.id for d in drafts],
        [d.kind for d in drafts],
        [d.run for d in drafts],
        [d.body for d in drafts],
        [d.occurred_at for d in drafts],
        state,
        idem,
        digest,
    )
    epoch = epoch_of(row["database_salt"], row["thread_salt"])
    entries = [
        placed(head, epoch, draft, row["base"] + n, row["at"] + _MICROSECOND * (n - 1))
        for n, draft in enumerate(drafts, 1)
    ]
    grown = replace(head, last_seq=row["base"] + len(drafts), state=state or head.state)
    return grown, entries


async def find_repeat(
    connection: Connection, tenant: str, owner: str, thread: str, idem: bytes
) -> Record | None:
    """The first entry (seq, id, run_id, digest, created_at) that was appended with this key."""
    row: Record | None = await connection.fetchrow(
        "SELECT seq, id, run_id, digest, created_at FROM entries"
        " WHERE tenant_id = $1 AND owner = $2 AND thread_id = $3 AND idem = $4",
        tenant,
        owner,
        thread,
        idem,
    )
    return row
