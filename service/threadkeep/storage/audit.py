"""Rows of the audit, which are only ever added."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from threadkeep.domain import ids
from threadkeep.storage.database import Connection, Database


@dataclass(frozen=True, slots=True)
class AuditRow:
    """Somebody did something, `count` times."""

    id: str
    """Writing a row twice leaves one."""
    tenant: str
    actor: str
    owner: str | None
    action: str
    target: str | None
    count: int
    is_refusal: bool = False
    """True when it only counts if the target exists and is somebody else's."""


async def write_rows(database: Database, rows: Sequence[AuditRow]) -> None:
    """Write facts of any tenants in one round trip."""
    await database.call("SELECT write_audit($1, $2, $3, $4, $5, $6, $7)", *_columns(rows))


async def write_refusals(database: Database, rows: Sequence[AuditRow]) -> set[str]:
    """Write those whose target exists and is somebody else's; the ids of what was written."""
    written = await database.call(
        "SELECT * FROM audit_refusals($1, $2, $3, $4, $5, $6, $7)", *_columns(rows)
    )
    return {row["written"].hex for row in written}


async def insert(
    connection: Connection,
    tenant: str,
    actor: str,
    action: str,
    target: str,
    detail: dict[str, Any] | None = None,
) -> None:
    """Write a fact in the transaction that makes it one."""
    await connection.execute(
        "INSERT INTO audit (tenant_id, id, actor, action, target, detail)"
        " VALUES ($1, $2, $3, $4, $5, $6)",
        tenant,
        ids.new_id(),
        actor,
        action,
        target,
        msgspec.json.encode(detail or {}).decode(),
    )


def _columns(rows: Sequence[AuditRow]) -> tuple[list[Any], ...]:
    return (
        [row.id for row in rows],
        [row.tenant for row in rows],
        [row.actor for row in rows],
        [row.owner for row in rows],
        [row.action for row in rows],
        [row.target for row in rows],
        [row.count for row in rows],
    )
