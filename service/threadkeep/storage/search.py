"""The read model of messages: searched by its owners, filled by the projector."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, NamedTuple

from threadkeep.domain import messages
from threadkeep.domain.listing import Place
from threadkeep.storage.database import Connection, Database, Record

_SEARCH: Final = (
    "SELECT * FROM search_messages($1, $2, $3::text[]::tsquery[], $4::text::tsquery,"
    " $5, $6, $7, $8, $9, $10)"
)
_TAKE: Final = "SELECT * FROM take_dirty($1, $2, $3)"
_PROJECT: Final = "SELECT project($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)"
_CANDIDATES: Final = 1000
"""Messages that are ranked: what a page shows first is the best of these."""
_ENOUGH: Final = 100
"""Messages with all words of a query, above which those with some of them are left out. Does not
depend on the page, so that all pages of one query are of one list."""
_BEST: Final = Place(2**62, "f" * 32, 2**62)
_SLICE_BYTES: Final = 512 * 1024
"""Of messages that were found, read before others get their turn in the event loop: 1 ms."""
_IDLE: Final = "SET LOCAL idle_in_transaction_session_timeout = '5s'"
"""Ends the transaction of a projector that was stopped with its hints locked."""


@dataclass(frozen=True, slots=True)
class Hit:
    """A message that a search has found."""

    thread: str
    id: str
    seq: int
    role: str
    text: str
    at: datetime
    score: float
    """Higher is better; comparable within one search only."""


@dataclass(frozen=True, slots=True)
class Grown:
    """One new entry of a thread, or with seq None a thread that has none."""

    tenant: str
    thread: str
    owner: str | None
    """None: the thread is not there any more."""
    lag: float
    """Seconds since the thread was marked."""
    seq: int | None
    id: str
    kind: str
    body: str | None
    at: datetime


class Row(NamedTuple):
    """A row of the read model."""

    tenant: str
    thread: str
    seq: int
    owner: str
    words: str
    """A tsvector in PostgreSQL's form."""


class Seen(NamedTuple):
    """Up to where a thread was read, and when something last happened in it."""

    tenant: str
    thread: str
    seq: int | None
    active_at: datetime | None


class RolledBack(NamedTuple):
    """A run whose messages are left out."""

    tenant: str
    thread: str
    run: str


@dataclass(slots=True)
class Projection:
    """What one portion of entries means for the read model."""

    seen: list[Seen] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    rolled_back: list[RolledBack] = field(default_factory=list)


async def find(
    database: Database,
    tenant: str,
    owner: str,
    words: Sequence[str],
    *,
    after: Place | None,
    limit: int,
) -> list[tuple[Hit, Place]]:
    """Messages that hold the words, best first, in one round trip."""
    start = after or _BEST
    rows = await database.call(
        _SEARCH,
        tenant,
        owner,
        list(words),
        " & ".join(words),
        start.number,
        start.id,
        start.seq,
        limit,
        _ENOUGH,
        _CANDIDATES,
    )
    found: list[tuple[Hit, Place]] = []
    size = 0
    for row in rows:
        found.append((_hit(row), Place(row["rank"], row["thread_id"].hex, row["seq"])))
        size += len(row["body"])
        if size > _SLICE_BYTES:
            size = 0
            await asyncio.sleep(0)
    return found


async def mark_dirty(database: Database, threads: Sequence[tuple[str, str]]) -> None:
    """Leave hints that these (tenant, thread) have grown."""
    await database.call(
        "SELECT mark_dirty($1, $2)",
        [tenant for tenant, _ in threads],
        [thread for _, thread in threads],
    )


async def sweep(
    database: Database, after: tuple[str, str], limit: int
) -> tuple[tuple[str, str] | None, int]:
    """Leave hints for what nobody has seen, among `limit` threads after (tenant, thread).

    Returns where the next call goes on, if anywhere, and how many were marked.
    """
    rows = await database.call("SELECT * FROM sweep_heads($1, $2, $3)", *after, limit)
    if not rows:
        return None, 0
    row = rows[0]
    more = row["looked"] >= limit
    return ((row["tenant_id"].hex, row["thread_id"].hex) if more else None), row["marked"]


async def take(
    connection: Connection, *, threads: int, entries: int, thread_bytes: int
) -> list[Grown]:
    """Lock hints and read what has grown; nobody else gets them until the transaction ends."""
    await connection.execute(_IDLE)
    rows = await connection.fetch(_TAKE, threads, entries, thread_bytes)
    return [_grown(row) for row in rows]


async def project(connection: Connection, projection: Projection) -> None:
    """Write a portion, in the transaction that took it."""
    await connection.execute(
        _PROJECT,
        *_columns(projection.seen, 4),
        *_columns(projection.rows, 5),
        *_columns(projection.rolled_back, 3),
    )


def _columns(rows: Sequence[tuple[object, ...]], count: int) -> list[list[object]]:
    return [list(column) for column in zip(*rows, strict=True)] if rows else [[]] * count


def _hit(row: Record) -> Hit:
    role, text = messages.spoken(row["body"])
    return Hit(
        thread=row["thread_id"].hex,
        id=row["id"].hex,
        seq=row["seq"],
        role=role,
        text=text,
        at=row["created_at"],
        score=row["rank"] / 1_000_000,
    )


def _grown(row: Record) -> Grown:
    return Grown(
        tenant=row["tenant_id"].hex,
        thread=row["thread_id"].hex,
        owner=row["owner"],
        lag=row["lag"],
        seq=row["seq"],
        id=row["id"].hex if row["id"] else "",
        kind=row["kind"] or "",
        body=row["body"],
        at=row["created_at"],
    )
