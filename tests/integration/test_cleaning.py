"""A run of the scenarios leaves a service as it found it."""

from __future__ import annotations

from ..conftest import Deploy
from ..scenarios import cleaning
from ..scenarios.callers import Tenant, platform
from ..scenarios.database import connected, digits
from ..support.postgres import Database
from ..support.waiting import until

LOG = ("threads", "heads", "entries", "api_keys")
_COUNTED = """
    SELECT c.relname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
    WHERE a.attname = 'tenant_id' AND c.relkind IN ('r', 'p') AND NOT c.relispartition
"""


async def test_cleaning_takes_a_tenants_rows_and_nobody_elses(
    deploy: Deploy, database: Database
) -> None:
    deployment = await deploy(database, processes=1)
    dsn = database.superuser_url
    async with platform(deployment.urls, deployment.platform_key) as operator:
        gone, kept = await operator.tenant(), await operator.tenant()
        thread = await talk(gone)
        kept_thread = await talk(kept)
        await operator.agent(gone, "player", "scripted", steps=[{"say": "yes"}])
        before = await rows(dsn, kept.id)
        log = await kept.user("ann").entries(kept_thread)

        await cleaning.clean(deployment.urls, deployment.platform_key, dsn, [gone.id])

        assert {k for k, n in (await rows(dsn, gone.id)).items() if n} <= {"audit"}
        assert (await rows(dsn, gone.id))["audit"] > 0
        after = await rows(dsn, kept.id)
        assert {table: after[table] for table in LOG} == {table: before[table] for table in LOG}
        assert await kept.user("ann").entries(kept_thread) == log
        answer = await gone.user("ann").send("GET", f"/v1/threads/{thread}")
        assert answer.status_code in {401, 403, 404}
        await kept.user("ann").say(kept_thread, "a needle of later")
        await until(lambda: hits(kept, "needle"), 15, what="the search of another tenant")


async def talk(tenant: Tenant) -> str:
    """A thread with messages that the search has found."""
    user = tenant.user("ann")
    thread: str = (await user.create(external_id="mine"))["id"]
    await user.say(thread, "one", "two", "three")
    # What is projected after the rows are gone would bring some of them back.
    await until(lambda: hits(tenant, "three"), 15, what="the search")
    return thread


async def hits(tenant: Tenant, word: str) -> bool:
    page = await tenant.user("ann").ask("GET", "/v1/search", 200, params={"q": word})
    return bool(page["data"])


async def rows(dsn: str, tenant: str) -> dict[str, int]:
    """Table → how many rows are a tenant's."""
    async with connected(dsn) as connection:
        names = [row["relname"] for row in await connection.fetch(_COUNTED)]
        return {
            name: await connection.fetchval(
                f'SELECT count(*) FROM "{name}" WHERE tenant_id = $1::uuid', digits(tenant)
            )
            for name in names
        }
