"""What a run leaves behind in a service that is not its own: nothing."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Final

import asyncpg

from .callers import Platform, platform
from .database import connected, digits

_KEPT: Final = "audit%"
"""Tables whose rows nobody may delete: what was done to whom stays known."""
_OWNED: Final = """
    SELECT c.relname
    FROM pg_class c
    JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname = 'public'
    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'tenant_id' AND NOT a.attisdropped
    WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relname NOT LIKE $1
"""


async def clean(
    urls: Sequence[str], platform_key: str, dsn: str | None, tenants: Sequence[str]
) -> None:
    """Disable these tenants and, where the database can be reached, delete what is theirs."""
    async with platform(urls, platform_key) as operator:
        await disable(operator, tenants)
    if dsn:
        # Who is no superuser may not; nobody gets into disabled tenants.
        with contextlib.suppress(asyncpg.InsufficientPrivilegeError):
            await delete(dsn, tenants)


async def disable(operator: Platform, tenants: Sequence[str]) -> None:
    """Let nobody in any more."""
    for tenant in tenants:
        await operator.caller.ask("PATCH", f"/v1/tenants/{tenant}", 200, json={"disabled": True})


async def delete(dsn: str, tenants: Sequence[str]) -> int:
    """Delete all rows of these tenants but their audit; how many there were."""
    ids = [digits(tenant) for tenant in tenants]
    deleted = 0
    async with connected(dsn) as connection, connection.transaction():
        # References between the tables would ask for an order; nothing refers to them from outside.
        await connection.execute("SET LOCAL session_replication_role = replica")
        for row in await connection.fetch(_OWNED, _KEPT):
            # Names of tables are the catalogue's.
            done = await connection.execute(
                f'DELETE FROM "{row["relname"]}" WHERE tenant_id = ANY($1::uuid[])', ids
            )
            deleted += int(done.rpartition(" ")[2])
    return deleted
