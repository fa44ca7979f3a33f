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


async def length(connection: Connection, run: Run, message: str) -> int:
    """Characters of a message that are kept so far."""
    found: int = await connection.fetchval(
        'SELECT coalesce(max("offset" + length(text)), 0) FROM partials'
        " WHERE tenant_id = $1 AND owner = $2 AND run_id = $3 AND message_id = $4",
        run.tenant,
        run.owner,
        run.id,
        message,
    )
    return found


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
