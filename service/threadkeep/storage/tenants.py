"""Rows of tenants, their policies and the users they revoked."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from threadkeep.domain.configuration import Tenant
from threadkeep.storage.database import Connection, Database, Record
from threadkeep.storage.pages import Window, refuse_taken

_NAME_TAKEN: Final = "Another tenant has this name."


async def insert(
    connection: Connection,
    tenant: str,
    *,
    name: str,
    tier: str,
    limits: object,
    retention: object,
) -> None:
    """Add a tenant and its policy; `Conflict` when the name is taken."""
    with refuse_taken(_NAME_TAKEN):
        await connection.execute("INSERT INTO tenants (id, name) VALUES ($1, $2)", tenant, name)
    await connection.execute(
        "INSERT INTO policies (tenant_id, tier, limits, retention) VALUES ($1, $2, $3, $4)",
        tenant,
        tier,
        to_json(limits),
        to_json(retention),
    )


async def find(connection: Connection, tenant: str) -> Tenant | None:
    """A tenant and its policy."""
    row = await connection.fetchrow(
        "SELECT t.id, t.name, p.tier, p.limits, p.retention, t.created_at, p.updated_at,"
        " t.disabled_at FROM tenants t JOIN policies p ON p.tenant_id = t.id WHERE t.id = $1",
        tenant,
    )
    return None if row is None else _tenant(row)


async def page(database: Database, window: Window) -> list[Tenant]:
    """Tenants by id, ascending also when read backwards."""
    rows = await database.call(
        "SELECT * FROM list_tenants($1, $2, $3, $4)",
        window.after,
        window.before,
        window.is_backward,
        window.limit,
    )
    found = [_tenant(row) for row in rows]
    return found[::-1] if window.is_backward else found


async def rename(connection: Connection, tenant: str, name: str) -> None:
    """Give a tenant another name; `Conflict` when it is taken."""
    with refuse_taken(_NAME_TAKEN):
        await connection.execute("UPDATE tenants SET name = $2 WHERE id = $1", tenant, name)


async def set_disabled(connection: Connection, tenant: str, *, disabled: bool) -> None:
    """Refuse all credentials of a tenant, or accept them again."""
    await connection.execute(
        "UPDATE tenants SET disabled_at ="
        " CASE WHEN $2 THEN coalesce(disabled_at, clock_timestamp()) END WHERE id = $1",
        tenant,
        disabled,
    )


async def set_policy(
    connection: Connection,
    tenant: str,
    *,
    tier: str | None,
    limits: object | None,
    retention: object | None,
) -> None:
    """Change what is given of a policy."""
    await connection.execute(
        "UPDATE policies SET tier = coalesce($2, tier), limits = coalesce($3, limits),"
        " retention = coalesce($4, retention), updated_at = clock_timestamp()"
        " WHERE tenant_id = $1",
        tenant,
        tier,
        None if limits is None else to_json(limits),
        None if retention is None else to_json(retention),
    )


async def revoke_user(connection: Connection, tenant: str, owner: str) -> None:
    """End what was issued to a user until now."""
    await connection.execute(
        "INSERT INTO revoked_users (tenant_id, owner) VALUES ($1, $2)"
        " ON CONFLICT (tenant_id, owner) DO UPDATE SET revoked_at = clock_timestamp()",
        tenant,
        owner,
    )


async def unrevoke_user(connection: Connection, tenant: str, owner: str) -> bool:
    """Let what was issued hold again; whether the user was revoked."""
    status: str = await connection.execute(
        "DELETE FROM revoked_users WHERE tenant_id = $1 AND owner = $2", tenant, owner
    )
    return status != "DELETE 0"


def to_json(value: object) -> str:
    """JSON as the driver sends it."""
    return msgspec.json.encode(value).decode()


def _tenant(row: Record) -> Tenant:
    limits: dict[str, Any] = msgspec.json.decode(row["limits"])
    return Tenant(
        id=row["id"].hex,
        name=row["name"],
        tier=row["tier"],
        overrides=limits,
        retention=msgspec.json.decode(row["retention"]),
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        disabled_at=row["disabled_at"],
    )
