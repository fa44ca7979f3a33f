"""The two calls that append batches of messages, and their verdicts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

import asyncpg
import msgspec

from threadkeep.domain import ids
from threadkeep.domain.entries import Draft, epoch_of
from threadkeep.errors import (
    Conflict,
    Gone,
    IdempotencyMismatch,
    NotFound,
    ThreadkeepError,
    Unavailable,
)
from threadkeep.storage.database import fetch_one

_BATCH: Final = (
    "SELECT * FROM append_batch($1::text::uuid[],$2::text::uuid[],$3,$4::text::int[],"
    "$5::text::int[],$6::text::int[],$7::text::uuid[],$8,$9,$10::text::bytea[],"
    "$11::text::bytea[],$12::text::int[])"
)
_ITEMS: Final = "SELECT * FROM append_items($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11)"
_MICROSECOND: Final = timedelta(microseconds=1)
MISFIT: Final = "TK001"
"""SQLSTATE by which append_batch says that some item does not fit."""


class Appended(msgspec.Struct, frozen=True):
    """Where a request's messages stand in the log."""

    first_seq: int
    at: datetime
    """created_at of the first; the others follow by a microsecond each."""
    epoch: str
    ids: Sequence[str]
    repeated: bool = False
    """True when this is the first answer to the same idempotency key."""
    reopened: bool = False
    """True when the append reopened a completed thread: an event stands just before."""


Verdict = Appended | ThreadkeepError


@dataclass(slots=True, eq=False)
class Item:
    """One request to append: its messages become neighbours in one thread."""

    tenant: str
    thread: str
    owner: str
    drafts: Sequence[Draft]
    idem: bytes
    """16 bytes: of the caller's key, or of the first message's id when there is no key. So every
    append can be repeated after an ambiguous failure and tells the truth."""
    digest: bytes
    done: Callable[[Verdict], None]
    """Called once, from the event loop, with the verdict."""
    actor: str = ""
    sent: bool = field(default=False)
    """True once it has been sent to the database, so that its outcome may be unknown."""


async def append_batch(connection: asyncpg.Connection[Any], items: Sequence[Item]) -> list[Verdict]:
    """All items in one call; raises `asyncpg.PostgresError` where one does not fit.

    `items` must be sorted by (tenant, thread).
    """
    groups: list[Item] = []
    counts: list[int] = []
    last: tuple[str, str, str] | None = None
    places: list[tuple[int, int]] = []
    columns: tuple[list[Any], ...] = ([], [], [], [], [], [], [], [])
    for item in items:
        key = (item.tenant, item.thread, item.owner)
        if key != last:
            groups.append(item)
            counts.append(0)
            last = key
        group = len(groups)
        places.append((group - 1, counts[-1]))
        counts[-1] = _add(columns, item, group, counts[-1])
    row = await fetch_one(
        connection,
        _BATCH,
        _literal(g.tenant for g in groups),
        _literal(g.thread for g in groups),
        [g.owner for g in groups],
        _literal(map(str, counts)),
        *_arguments(columns),
    )
    bases, times, salts, database_salt = row
    return [
        Appended(
            bases[group] + offset + 1,
            times[group] if not offset else times[group] + _MICROSECOND * offset,
            epoch_of(database_salt, salts[group]),
            [draft.id for draft in item.drafts],
        )
        for item, (group, offset) in zip(items, places, strict=True)
    ]


def _arguments(columns: tuple[list[Any], ...]) -> Iterator[object]:
    """Array literals of all but texts and times, for which no escaping is needed.

    Of each element of a list the driver asks twice whether it is a list itself, which takes longer
    than all that PostgreSQL does to read a literal.
    """
    grp, off, ids_, bodies, occurred, idems, digests, ns = columns
    yield from (_literal(grp), _literal(off), _literal(ids_), bodies)
    # PostgreSQL fills a shorter array up with nulls.
    yield occurred if any(occurred) else []
    yield from (_literal(idems), _literal(digests), _literal(ns))


def _literal(values: Iterable[str]) -> str:
    """An array of what needs no escaping, as PostgreSQL writes it."""
    return f"{{{','.join(values)}}}"


def _hex(value: bytes) -> str:
    """An element of a literal of bytea[]: the backslash of its hex format is escaped."""
    return f'"\\\\x{value.hex()}"'


def _add(columns: tuple[list[Any], ...], item: Item, group: int, offset: int) -> int:
    grp, off, ids_, bodies, occurred, idems, digests, ns = columns
    idem, digest = _hex(item.idem), _hex(item.digest)
    count = str(len(item.drafts))
    name = str(group)
    for draft in item.drafts:
        offset += 1
        grp.append(name)
        off.append(str(offset))
        ids_.append(draft.id)
        bodies.append(draft.body)
        occurred.append(draft.occurred_at)
        idems.append(idem)
        digests.append(digest)
        ns.append(count)
        idem = digest = count = "NULL"
    return offset


async def append_items(connection: asyncpg.Connection[Any], items: Sequence[Item]) -> list[Verdict]:
    """Each item by itself in one call, in order, one verdict each."""
    drafts = [draft for item in items for draft in item.drafts]
    firsts: list[int] = []
    position = 1
    for item in items:
        firsts.append(position)
        position += len(item.drafts)
    rows = await connection.fetch(
        _ITEMS,
        [i.tenant for i in items],
        [i.thread for i in items],
        [i.owner for i in items],
        firsts,
        [len(i.drafts) for i in items],
        [i.idem for i in items],
        [i.digest for i in items],
        [d.id for d in drafts],
        [d.body for d in drafts],
        [d.occurred_at for d in drafts],
        [ids.new_id() for _ in items],
    )
    return [_verdict(row) for row in rows]


def _verdict(row: asyncpg.Record) -> Verdict:
    name = row["verdict"]
    if name in ("appended", "repeated"):
        return Appended(
            row["base"] + 1,
            row["at"],
            epoch_of(row["database_salt"], row["thread_salt"]),
            [value.hex for value in row["ids"]],
            repeated=name == "repeated",
            reopened=name == "appended" and row["state"] == "completed",
        )
    if name == "conflict_state":
        state = row["state"]
        return Conflict(f"A thread that is {state} takes no messages.", state=state)
    return {
        "not_found": NotFound,
        "gone": Gone,
        "idempotency_mismatch": IdempotencyMismatch,
        "busy": Unavailable,
    }[name]()
