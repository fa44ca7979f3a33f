"""Rows of runs. Who writes one holds the lock of its thread's head, then takes the run's."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import msgspec

from threadkeep.domain.entries import Entry
from threadkeep.domain.runs import OpenCall, Run
from threadkeep.storage.database import Connection, Record, fetch_one
from threadkeep.storage.entries import Head, entry_of
from threadkeep.storage.pages import Window

_COLUMNS: Final = (
    "r.tenant_id, r.id, r.thread_id, r.owner, r.agent_id, r.agent, r.kind, r.status, r.attempt,"
    " r.fence, r.lease_until, r.worker, r.cancel_requested, r.concurrent, r.input, r.asked_seq,"
    " r.message_id, r.message_seq, r.started, r.open_calls, r.reason, r.usage, r.error,"
    " r.created_at, r.started_at, r.ended_at"
)
_OF_THREAD: Final = "r.tenant_id = $1 AND r.owner = $2 AND r.thread_id = $3"
_OPEN: Final = "r.status IN ('queued', 'running', 'requires_action', 'recovering')"
_EVENTS: Final = 1000
"""Entries of a run that a new holder is given at most: the last ones."""

_open_calls = msgspec.json.Decoder(dict[str, OpenCall])


@dataclass(frozen=True, slots=True)
class Agent:
    """One agent of the tenant."""

    id: str
    name: str
    kind: str
    settings: str
    """JSON text; a run keeps what its agent's settings were when it was started."""


async def insert(connection: Connection, run: Run, settings: str) -> None:
    """A new run."""
    await connection.execute(
        "INSERT INTO runs (tenant_id, id, thread_id, owner, agent_id, agent, kind, status,"
        " concurrent, input, asked_seq, message_id, message_seq, started, created_at, settings)"
        " VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12,$13,$14,$15,$16)",
        run.tenant,
        run.id,
        run.thread,
        run.owner,
        run.agent_id,
        run.agent,
        run.kind,
        run.status,
        run.concurrent,
        msgspec.json.encode(run.input).decode(),
        run.asked_seq,
        run.message_id,
        run.message_seq,
        run.started,
        run.created_at,
        settings,
    )


async def lock(connection: Connection, head: Head, run: str) -> tuple[Run, datetime] | None:
    """A run of the locked thread, locked, and the database's time; None when there is none."""
    row = await connection.fetchrow(
        f"SELECT {_COLUMNS}, clock_timestamp() AS now FROM runs r"  # noqa: S608 - constants
        f" WHERE {_OF_THREAD} AND r.id = $4 FOR UPDATE",
        head.tenant,
        head.owner,
        head.thread,
        run,
    )
    return None if row is None else (_run_of(row), row["now"])


async def save(connection: Connection, run: Run) -> None:
    """Everything about a locked run that changes."""
    await connection.execute(
        "UPDATE runs r SET status = $4, attempt = $5, fence = $6, lease_until = $7, worker = $8,"
        " cancel_requested = $9, started = $10, open_calls = $11, reason = $12, usage = $13,"
        " error = $14, started_at = $15, ended_at = $16"
        " WHERE r.tenant_id = $1 AND r.owner = $2 AND r.id = $3",
        run.tenant,
        run.owner,
        run.id,
        run.status,
        run.attempt,
        run.fence,
        run.lease_until,
        run.worker,
        run.cancel_requested,
        run.started,
        msgspec.json.encode(run.open_calls).decode(),
        run.reason,
        None if run.usage is None else msgspec.json.encode(run.usage).decode(),
        run.error,
        run.started_at,
        run.ended_at,
    )


async def find(connection: Connection, tenant: str, owner: str, run: str) -> tuple[Run, str] | None:
    """A run and the state of its thread, without any lock."""
    row = await connection.fetchrow(
        f"SELECT {_COLUMNS}, h.state AS thread_state FROM runs r"  # noqa: S608 - constants
        " JOIN heads h ON h.tenant_id = r.tenant_id AND h.thread_id = r.thread_id"
        " WHERE r.tenant_id = $1 AND r.owner = $2 AND r.id = $3",
        tenant,
        owner,
        run,
    )
    return None if row is None else (_run_of(row), row["thread_state"])


async def asked_at(connection: Connection, head: Head, seq: int) -> Run | None:
    """The run whose start begins with the entry at `seq`."""
    row = await connection.fetchrow(
        f"SELECT {_COLUMNS} FROM runs r"  # noqa: S608 - constants
        f" WHERE {_OF_THREAD} AND coalesce(r.message_seq, r.asked_seq) = $4",
        head.tenant,
        head.owner,
        head.thread,
        seq,
    )
    return None if row is None else _run_of(row)


async def busy(connection: Connection, head: Head) -> list[str]:
    """Runs that keep the thread busy, oldest first: they have not ended, none is concurrent."""
    rows = await connection.fetch(
        "SELECT r.id FROM runs r"  # noqa: S608 - constants
        f" WHERE {_OF_THREAD} AND {_OPEN} AND NOT r.concurrent ORDER BY r.asked_seq",
        head.tenant,
        head.owner,
        head.thread,
    )
    return [row["id"].hex for row in rows]


async def next_in_line(connection: Connection, head: Head) -> tuple[str, str] | None:
    """(kind, agent) of the oldest run that keeps the thread busy, if it can be claimed."""
    row = await connection.fetchrow(
        "SELECT r.kind, r.agent, r.status FROM runs r"  # noqa: S608 - constants
        f" WHERE {_OF_THREAD} AND {_OPEN} AND NOT r.concurrent ORDER BY r.asked_seq LIMIT 1",
        head.tenant,
        head.owner,
        head.thread,
    )
    if row is None or row["status"] not in ("queued", "recovering"):
        return None
    return row["kind"], row["agent"]


async def active(connection: Connection, tenant: str, owner: str, thread: str) -> list[Run]:
    """Runs of a thread that have not ended, in the order in which they were asked for."""
    rows = await connection.fetch(
        f"SELECT {_COLUMNS} FROM runs r"  # noqa: S608 - constants
        f" WHERE {_OF_THREAD} AND {_OPEN} ORDER BY r.asked_seq",
        tenant,
        owner,
        thread,
    )
    return [_run_of(row) for row in rows]


async def page(
    connection: Connection, tenant: str, owner: str, thread: str, window: Window
) -> list[Run]:
    """Runs of a thread, newest first also when read backwards."""
    rows = await connection.fetch(
        f"SELECT {_COLUMNS} FROM runs r"  # noqa: S608 - constants
        f" WHERE {_OF_THREAD} AND ($4::uuid IS NULL OR r.id < $4)"
        " AND ($5::uuid IS NULL OR r.id > $5)"
        " ORDER BY CASE WHEN $6 THEN r.id END, r.id DESC LIMIT $7",
        tenant,
        owner,
        thread,
        window.after,
        window.before,
        window.is_backward,
        window.limit,
    )
    found = [_run_of(row) for row in rows]
    return found[::-1] if window.is_backward else found


async def thread_state(connection: Connection, tenant: str, owner: str, thread: str) -> str | None:
    """The state of a thread; None where it is not visible."""
    state: str | None = await connection.fetchval(
        "SELECT state FROM heads WHERE tenant_id = $1 AND owner = $2 AND thread_id = $3",
        tenant,
        owner,
        thread,
    )
    return state


async def entries_of(connection: Connection, head: Head, run: Run) -> list[Entry]:
    """The last entries of a run, ascending."""
    rows = await connection.fetch(
        "SELECT seq, id, kind, run_id, body, created_at FROM entries"
        " WHERE tenant_id = $1 AND owner = $2 AND thread_id = $3 AND seq >= $4 AND run_id = $5"
        " ORDER BY seq DESC LIMIT $6",
        head.tenant,
        head.owner,
        head.thread,
        run.asked_seq,
        run.id,
        _EVENTS,
    )
    return [entry_of(head.tenant, head.thread, head.epoch, row) for row in reversed(rows)]


async def entry_at(connection: Connection, head: Head, seq: int) -> Entry | None:
    """One entry of the locked thread."""
    row = await connection.fetchrow(
        "SELECT seq, id, kind, run_id, body, created_at FROM entries"
        " WHERE tenant_id = $1 AND owner = $2 AND thread_id = $3 AND seq = $4",
        head.tenant,
        head.owner,
        head.thread,
        seq,
    )
    return None if row is None else entry_of(head.tenant, head.thread, head.epoch, row)


async def has_key(connection: Connection, head: Head, idem: bytes) -> bool:
    """Whether an entry of the locked thread was appended under this idempotency value."""
    found: bool = await connection.fetchval(
        "SELECT EXISTS (SELECT FROM entries WHERE tenant_id = $1 AND owner = $2"
        " AND thread_id = $3 AND idem = $4)",
        head.tenant,
        head.owner,
        head.thread,
        idem,
    )
    return found


async def find_agent(connection: Connection, tenant: str, name: str) -> Agent | None:
    """The tenant's agent of this name."""
    row = await connection.fetchrow(
        "SELECT id, name, kind, settings FROM agents WHERE tenant_id = $1 AND name = $2",
        tenant,
        name,
    )
    return None if row is None else Agent(row["id"].hex, row["name"], row["kind"], row["settings"])


async def settings_of(connection: Connection, run: Run) -> dict[str, Any]:
    """Settings that the run's agent had when the run was started."""
    raw = await connection.fetchval(
        "SELECT settings FROM runs WHERE tenant_id = $1 AND owner = $2 AND id = $3",
        run.tenant,
        run.owner,
        run.id,
    )
    return msgspec.json.decode(raw, type=dict[str, Any])


async def touch_thread(connection: Connection, head: Head) -> int:
    """A new version of a thread whose state a run changes; its number."""
    row = await fetch_one(
        connection,
        "UPDATE threads SET version = version + 1, updated_at = clock_timestamp(),"
        " changed_at = clock_timestamp()"
        " WHERE tenant_id = $1 AND owner = $2 AND id = $3 RETURNING version",
        head.tenant,
        head.owner,
        head.thread,
    )
    version: int = row["version"]
    return version


def _run_of(row: Record) -> Run:
    usage, message = row["usage"], row["message_id"]
    same = (
        "owner agent kind status attempt fence lease_until worker cancel_requested concurrent"
        " asked_seq message_seq started reason error created_at started_at ended_at"
    )
    return Run(
        tenant=row["tenant_id"].hex,
        id=row["id"].hex,
        thread=row["thread_id"].hex,
        agent_id=row["agent_id"].hex,
        input=msgspec.json.decode(row["input"]),
        message_id=None if message is None else message.hex,
        open_calls=_open_calls.decode(row["open_calls"]),
        usage=None if usage is None else msgspec.json.decode(usage),
        **{name: row[name] for name in same.split()},
    )
