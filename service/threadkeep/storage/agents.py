"""Rows of agents."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from threadkeep.domain.configuration import Agent
from threadkeep.storage.database import Connection, Record
from threadkeep.storage.pages import Window, refuse_taken

_NAME_TAKEN: Final = "Another agent has this name."
# Named, because an upgrade adds columns while this process runs.
_COLUMNS: Final = "tenant_id, id, name, kind, settings, created_at, updated_at"


async def insert(
    connection: Connection,
    tenant: str,
    agent: str,
    *,
    name: str,
    kind: str,
    settings: dict[str, Any],
) -> Agent:
    """Add an agent; `Conflict` when the name is taken."""
    with refuse_taken(_NAME_TAKEN):
        rows = await connection.fetch(
            "INSERT INTO agents (tenant_id, id, name, kind, settings)"  # noqa: S608 - constants
            f" VALUES ($1, $2, $3, $4, $5) RETURNING {_COLUMNS}",
            tenant,
            agent,
            name,
            kind,
            msgspec.json.encode(settings).decode(),
        )
    return _agent(rows[0])


async def find(connection: Connection, tenant: str, agent: str) -> Agent | None:
    """An agent by its id."""
    row = await connection.fetchrow(
        f"SELECT {_COLUMNS} FROM agents WHERE tenant_id = $1 AND id = $2",  # noqa: S608 - constants
        tenant,
        agent,
    )
    return None if row is None else _agent(row)


async def page(connection: Connection, tenant: str, window: Window) -> list[Agent]:
    """Agents by id, ascending also when read backwards."""
    rows = await connection.fetch(
        f"SELECT {_COLUMNS} FROM agents WHERE tenant_id = $1 AND ($2::uuid IS NULL OR id > $2)"  # noqa: S608 - constants
        " AND ($3::uuid IS NULL OR id < $3)"
        " ORDER BY CASE WHEN $4 THEN id END DESC, id LIMIT $5",
        tenant,
        window.after,
        window.before,
        window.is_backward,
        window.limit,
    )
    found = [_agent(row) for row in rows]
    return found[::-1] if window.is_backward else found


async def update(
    connection: Connection,
    tenant: str,
    agent: str,
    *,
    name: str | None,
    settings: dict[str, Any] | None,
) -> Agent | None:
    """Change what is given; `Conflict` when the name is taken."""
    with refuse_taken(_NAME_TAKEN):
        row = await connection.fetchrow(
            "UPDATE agents SET name = coalesce($3, name), settings = coalesce($4, settings),"  # noqa: S608 - constants
            " updated_at = clock_timestamp() WHERE tenant_id = $1 AND id = $2"
            f" RETURNING {_COLUMNS}",
            tenant,
            agent,
            name,
            None if settings is None else msgspec.json.encode(settings).decode(),
        )
    return None if row is None else _agent(row)


async def delete(connection: Connection, tenant: str, agent: str) -> bool:
    """Remove an agent; whether there was one. Its runs keep its name."""
    status: str = await connection.execute(
        "DELETE FROM agents WHERE tenant_id = $1 AND id = $2", tenant, agent
    )
    return status != "DELETE 0"


def _agent(row: Record) -> Agent:
    return Agent(
        tenant=row["tenant_id"].hex,
        id=row["id"].hex,
        name=row["name"],
        kind=row["kind"],
        settings=msgspec.json.decode(row["settings"]),
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )
