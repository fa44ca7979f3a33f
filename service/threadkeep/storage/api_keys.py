"""Rows of API keys: hashes of secrets, never secrets."""

from __future__ import annotations

from typing import Final

from threadkeep.domain.configuration import ApiKey, NewKey
from threadkeep.storage.database import Connection, Record
from threadkeep.storage.pages import Window

# Named, because an upgrade adds columns while this process runs.
_COLUMNS: Final = "tenant_id, id, name, scopes, created_at, expires_at, revoked_at"


async def insert(
    connection: Connection,
    tenant: str,
    key: str,
    new: NewKey,
    *,
    secret_hash: bytes,
) -> ApiKey:
    """Add a key; its scopes must be given."""
    rows = await connection.fetch(
        "INSERT INTO api_keys (tenant_id, id, name, secret_hash, scopes, expires_at)"  # noqa: S608 - constants
        f" VALUES ($1, $2, $3, $4, $5, $6) RETURNING {_COLUMNS}",
        tenant,
        key,
        new.name,
        secret_hash,
        new.scopes,
        new.expires_at,
    )
    return _key(rows[0])


async def page(connection: Connection, tenant: str, window: Window) -> list[ApiKey]:
    """Keys by id, the revoked ones too, ascending also when read backwards."""
    rows = await connection.fetch(
        f"SELECT {_COLUMNS} FROM api_keys WHERE tenant_id = $1 AND ($2::uuid IS NULL OR id > $2)"  # noqa: S608 - constants
        " AND ($3::uuid IS NULL OR id < $3)"
        " ORDER BY CASE WHEN $4 THEN id END DESC, id LIMIT $5",
        tenant,
        window.after,
        window.before,
        window.is_backward,
        window.limit,
    )
    found = [_key(row) for row in rows]
    return found[::-1] if window.is_backward else found


async def revoke(connection: Connection, tenant: str, key: str) -> ApiKey | None:
    """Revoke a key; the time of the first revocation stays."""
    row = await connection.fetchrow(
        "UPDATE api_keys SET revoked_at = coalesce(revoked_at, clock_timestamp())"  # noqa: S608 - constants
        f" WHERE tenant_id = $1 AND id = $2 RETURNING {_COLUMNS}",
        tenant,
        key,
    )
    return None if row is None else _key(row)


def _key(row: Record) -> ApiKey:
    return ApiKey(
        tenant=row["tenant_id"].hex,
        id=row["id"].hex,
        name=row["name"],
        scopes=row["scopes"],
        created_at=row["created_at"],
        expires_at=row["expires_at"],
        revoked_at=row["revoked_at"],
    )
