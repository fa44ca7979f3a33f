"""Tickets: each opens one socket once. Only their hashes are kept."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from threadkeep.domain.principals import Principal
from threadkeep.storage.credentials import limits_from
from threadkeep.storage.database import Database, first


@dataclass(frozen=True, slots=True)
class UsedTicket:
    """What a ticket stood for."""

    principal: Principal
    origin: str | None


async def insert_ticket(
    database: Database,
    principal: Principal,
    digest: bytes,
    *,
    origin: str | None,
    valid: timedelta,
) -> datetime:
    """Keep a ticket; the time at which it ends, by the database's clock."""
    async with database.transaction(principal) as connection:
        expires_at: datetime = await connection.fetchval(
            "INSERT INTO tickets (tenant_id, hash, owner, origin, actor, scopes, key_id,"
            " issued_at, session_expires_at, expires_at)"
            " VALUES ($1, $2, $3, $4, $5, $6, $7, coalesce($8, clock_timestamp()), $9,"
            " clock_timestamp() + $10) RETURNING expires_at",
            principal.tenant,
            digest,
            principal.owner,
            origin,
            principal.actor,
            sorted(principal.scopes),
            principal.key_id,
            principal.issued_at,
            principal.expires_at,
            valid,
        )
    return expires_at


async def use_ticket(database: Database, digest: bytes) -> UsedTicket | None:
    """Use a ticket up; None when there is none, or what it stood for no longer holds."""
    row = first(await database.call("SELECT * FROM use_ticket($1)", digest))
    if row is None:
        return None
    key = row["key_id"]
    principal = Principal(
        tenant=row["tenant_id"].hex,
        owner=row["owner"],
        actor=row["actor"],
        scopes=frozenset(row["scopes"]),
        limits=limits_from(row),
        expires_at=row["session_expires_at"],
        key_id=key.hex if key else None,
        issued_at=row["issued_at"],
    )
    return UsedTicket(principal, row["origin"])
