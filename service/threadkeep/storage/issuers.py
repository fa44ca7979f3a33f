"""Rows of token issuers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from threadkeep.domain.configuration import Issuer, NewIssuer
from threadkeep.errors import Conflict
from threadkeep.storage.database import Connection, Record
from threadkeep.storage.pages import Window, refuse_taken

_TAKEN: Final = "This issuer has a key with this id already."
_FOREIGN: Final = "This issuer is registered already."
# Named, because an upgrade adds columns while this process runs.
_COLUMNS: Final = (
    "tenant_id, id, issuer, key_id, algorithm, "
    "audience, jwks_url, public_key, created_at, revoked_at"
)


@dataclass(frozen=True, slots=True)
class SigningKey:
    """What the service itself signs with."""

    id: str
    audience: str
    sealed_secret: bytes


async def claim(connection: Connection, tenant: str, issuer: str) -> None:
    """Keep a name for this tenant until the transaction ends; `Conflict` when another has it.

    Two tenants with keys of one issuer would share its users: the key id, which callers choose,
    would decide whose they are.
    """
    if not await connection.fetchval("SELECT claim_issuer($1, $2)", tenant, issuer):
        raise Conflict(_FOREIGN)


async def insert(
    connection: Connection, tenant: str, row_id: str, new: NewIssuer, sealed_secret: bytes | None
) -> Issuer:
    """Add a key; `Conflict` when (issuer, key id) is in use, by whichever tenant."""
    with refuse_taken(_TAKEN):
        rows = await connection.fetch(
            "INSERT INTO token_issuers (tenant_id, id, issuer, key_id, algorithm, audience,"  # noqa: S608 - constants
            " jwks_url, public_key, sealed_secret) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)"
            f" RETURNING {_COLUMNS}",
            tenant,
            row_id,
            new.issuer,
            new.key_id,
            new.algorithm,
            new.audience,
            new.jwks_url,
            new.public_key,
            sealed_secret,
        )
    return _issuer(rows[0])


async def page(connection: Connection, tenant: str, window: Window) -> list[Issuer]:
    """Keys by id, the revoked ones too, ascending also when read backwards."""
    rows = await connection.fetch(
        f"SELECT {_COLUMNS} FROM token_issuers"  # noqa: S608 - constants
        " WHERE tenant_id = $1 AND ($2::uuid IS NULL OR id > $2)"
        " AND ($3::uuid IS NULL OR id < $3)"
        " ORDER BY CASE WHEN $4 THEN id END DESC, id LIMIT $5",
        tenant,
        window.after,
        window.before,
        window.is_backward,
        window.limit,
    )
    found = [_issuer(row) for row in rows]
    return found[::-1] if window.is_backward else found


async def revoke(connection: Connection, tenant: str, row_id: str) -> Issuer | None:
    """Revoke a key; the time of the first revocation stays."""
    row = await connection.fetchrow(
        "UPDATE token_issuers SET revoked_at = coalesce(revoked_at, clock_timestamp())"  # noqa: S608 - constants
        f" WHERE tenant_id = $1 AND id = $2 RETURNING {_COLUMNS}",
        tenant,
        row_id,
    )
    return None if row is None else _issuer(row)


async def find_signing(
    connection: Connection, tenant: str, issuer: str, key_id: str
) -> SigningKey | None:
    """The HS256 key of this name that holds."""
    row = await connection.fetchrow(
        "SELECT id, audience, sealed_secret FROM token_issuers"
        " WHERE tenant_id = $1 AND issuer = $2 AND key_id = $3 AND revoked_at IS NULL"
        " AND sealed_secret IS NOT NULL",
        tenant,
        issuer,
        key_id,
    )
    return None if row is None else SigningKey(row["id"].hex, row["audience"], row["sealed_secret"])


def _issuer(row: Record) -> Issuer:
    return Issuer(
        tenant=row["tenant_id"].hex,
        id=row["id"].hex,
        issuer=row["issuer"],
        key_id=row["key_id"],
        algorithm=row["algorithm"],
        audience=row["audience"],
        jwks_url=row["jwks_url"],
        public_key=row["public_key"],
        created_at=row["created_at"],
        revoked_at=row["revoked_at"],
    )
