"""Finding runs across threads and users: what may be claimed, what has lost its holder."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from threadkeep.domain.runs import Place
from threadkeep.storage.database import Database, Record


async def claimable(
    database: Database,
    tenant: str | None,
    kinds: Sequence[str],
    agents: Sequence[str] | None,
    limit: int,
) -> list[Place]:
    """Runs that could be claimed a moment ago, oldest first."""
    rows = await database.call(
        "SELECT * FROM claimable_runs($1, $2, $3, $4)", tenant, list(kinds), agents, limit
    )
    return [_place_of(row) for row in rows]


async def expired(database: Database, limit: int) -> list[Place]:
    """Runs that had lost their holder or their thread a moment ago."""
    return [_place_of(r) for r in await database.call("SELECT * FROM expired_runs($1)", limit)]


async def locate(database: Database, tenant: str, run: str) -> Place | None:
    """Where a tenant's run is."""
    for row in await database.call("SELECT * FROM locate_run($1, $2)", tenant, run):
        return Place(tenant, row["owner"], row["thread_id"].hex, run)
    return None


async def renew(
    database: Database, tenant: str, run: str, fence: int, seconds: float
) -> tuple[datetime | None, bool] | None:
    """(end of the lease, whether it is to be cancelled); None: no such run.

    The end is None for who does not hold the lease.
    """
    query = "SELECT * FROM renew_lease($1, $2, $3, $4)"
    for row in await database.call(query, tenant, run, fence, seconds):
        return row["lease_until"], row["cancel_requested"]
    return None


def _place_of(row: Record) -> Place:
    return Place(row["tenant_id"].hex, row["owner"], row["thread_id"].hex, row["id"].hex)
