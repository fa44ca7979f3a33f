"""Text of messages that are still streaming, in pieces; their final entry removes them."""

from __future__ import annotations

from dataclasses import dataclass

from threadkeep.domain.runs import Run
from threadkeep.storage.database import Connection


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of text and its place in its message."""

    message: str
    offset: int
    """Characters (code points) of the message before this piece."""
    text: str


@dataclass(frozen=True, slots=True)
class Kept:
    """Text that is kept so far; bytes are those of UTF-8."""

    characters: int
    """Of the message."""
    bytes: int
    """Of the message."""
    run_bytes: int
    """Of all messages of the run that are not finished."""


async def add(connection: Connection, run: Run, piece: Piece) -> None:
    """Keep one more piece."""
    await connection.execute(
        'INSERT INTO partials (tenant_id, run_id, message_id, "offset", thread_id, owner, text)'
        " VALUES ($1, $2, $3, $4, $5, $6, $7)",
        run.tenant,
        run.id,
        piece.message,
        piece.offset,
        run.thread,
        run.owner,
        piece.text,
    )


async def measure(connection: Connection, run: Run, message: str) -> Kept:
    """How much of a message, and of all messages of its run, is kept so far."""
    rows = await connection.fetch(
        'SELECT coalesce(max("offset" + length(text)) FILTER (WHERE message_id = $4), 0),'
        " coalesce(sum(octet_length(text)) FILTER (WHERE message_id = $4), 0),"
        " coalesce(sum(octet_length(text)), 0)"
        " FROM partials WHERE tenant_id = $1 AND owner = $2 AND run_id = $3",
        run.tenant,
        run.owner,
        run.id,
        message,
    )
    return Kept(*rows[0])


async def remove(connection: Connection, run: Run, message: str | None = None) -> None:
    """Forget one message's pieces, or those of all messages of the run."""
    await connection.execute(
        "DELETE FROM partials WHERE tenant_id = $1 AND owner = $2 AND run_id = $3"
        " AND ($4::uuid IS NULL OR message_id = $4)",
        run.tenant,
        run.owner,
        run.id,
        message,
    )
