"""Credentials as the database knows them, found before there is a principal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from threadkeep.domain.limits import Limits, limits_of
from threadkeep.storage.database import Database, Record, first


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """An API key that holds."""

    tenant: str
    id: str
    secret_hash: bytes
    scopes: frozenset[str]
    expires_at: datetime | None
    limits: Limits


@dataclass(frozen=True, slots=True)
class IssuerRecord:
    """A key of a token issuer that holds: exactly one of the last three is set."""

    tenant: str
    id: str
    issuer: str
    algorithm: str
    audience: str
    limits: Limits
    jwks_url: str | None
    public_key: str | None
    sealed_secret: bytes | None


@dataclass(frozen=True, slots=True)
class Holding:
    """What makes a credential hold; equal ones are asked about once."""

    tenant: str
    owner: str
    key_id: str | None
    issued_at: datetime | None


async def find_key(database: Database, key: str) -> KeyRecord | None:
    """The API key with this id."""
    row = first(await database.call("SELECT * FROM lookup_api_key($1)", key))
    if row is None:
        return None
    return KeyRecord(
        tenant=row["tenant_id"].hex,
        id=key,
        secret_hash=row["secret_hash"],
        scopes=frozenset(row["scopes"]),
        expires_at=row["expires_at"],
        limits=limits_from(row),
    )


async def find_issuer(database: Database, issuer: str, key_id: str) -> IssuerRecord | None:
    """The key that verifies tokens of this issuer with this key id."""
    row = first(await database.call("SELECT * FROM lookup_issuer($1, $2)", issuer, key_id))
    if row is None:
        return None
    return IssuerRecord(
        tenant=row["tenant_id"].hex,
        id=row["id"].hex,
        issuer=issuer,
        algorithm=row["algorithm"],
        audience=row["audience"],
        limits=limits_from(row),
        jwks_url=row["jwks_url"],
        public_key=row["public_key"],
        sealed_secret=row["sealed_secret"],
    )


async def find_refused(database: Database, holdings: Sequence[Holding]) -> dict[Holding, bool]:
    """Those that no longer hold, and whether their tenant is disabled, in one round trip."""
    rows = await database.call(
        "SELECT ord, is_disabled FROM refused_credentials($1, $2, $3, $4)",
        [h.tenant for h in holdings],
        [h.owner for h in holdings],
        [h.key_id for h in holdings],
        [h.issued_at for h in holdings],
    )
    return {holdings[row["ord"] - 1]: row["is_disabled"] for row in rows}


def limits_from(row: Record) -> Limits:
    """Limits from a row with tier and limits."""
    overrides: dict[str, Any] = msgspec.json.decode(row["limits"])
    return limits_of(row["tier"], overrides)
