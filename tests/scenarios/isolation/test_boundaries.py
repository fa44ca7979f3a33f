"""The database itself keeps users and tenants apart, whatever the service asks it."""

from __future__ import annotations

from typing import Any

import asyncpg
import pytest

from ..callers import Tenant
from ..conftest import NewTenant
from ..database import APP, AUDITOR, as_role, connected, digits
from ..figures import Figures

pytestmark = pytest.mark.scenario("isolation", "basic boundaries")

THREADS = {
    "ann@example.com": ["financial data", "strategy"],
    "bob@example.com": ["competitor analysis", "merger"],
    "eve@example.com": ["funding"],
}
BY_USER = ("threads", "heads", "entries", "runs", "partials", "search", "tickets", "read_markers")


async def seed(tenant: Tenant) -> dict[str, list[str]]:
    """Threads of three users with a message in each; ids by user."""
    made: dict[str, list[str]] = {}
    for name, titles in THREADS.items():
        user = tenant.user(name)
        threads = [await user.create(title=title, metadata={"owner": name}) for title in titles]
        made[name] = [thread["id"] for thread in threads]
        for thread in made[name]:
            await user.say(thread, f"a secret of {name}")
    return made


async def tables(dsn: str) -> list[str]:
    """All tables of the schema."""
    async with connected(dsn) as connection:
        rows = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    return [row["tablename"] for row in rows]


async def test_three_users_hold_two_two_and_one(tenant: Tenant) -> None:
    made = await seed(tenant)
    for number, (name, threads) in enumerate(made.items()):
        listed = await tenant.user(name, at=number).pages("/v1/threads")

        assert {thread["id"] for thread in listed} == set(threads)
        assert {thread["owner"] for thread in listed} == {name}
        assert {thread["metadata"]["owner"] for thread in listed} == {name}
    assert [len(threads) for threads in made.values()] == [2, 2, 1]
    assert len({thread for threads in made.values() for thread in threads}) == 5


@pytest.mark.parametrize("role", [APP, AUDITOR])
async def test_without_a_principal_no_table_shows_a_row(
    tenant: Tenant, admin_dsn: str, figures: Figures, role: str
) -> None:
    await seed(tenant)
    seen: dict[str, int] = {}
    names = await tables(admin_dsn)
    for name in names:
        async with as_role(admin_dsn, role) as connection:
            seen[name] = await connection.fetchval(f'SELECT count(*) FROM "{name}"')
    assert seen == dict.fromkeys(names, 0)
    assert len(names) > 15
    async with connected(admin_dsn) as connection:
        assert await connection.fetchval("SELECT count(*) FROM entries") > 0
    figures.record(f"tables read as {role}", len(names), n=len(names))
    figures.record(f"rows seen as {role}", sum(seen.values()), n=len(names))


async def test_with_one_principal_no_table_shows_a_row_of_another(
    tenant: Tenant, new_tenant: NewTenant, admin_dsn: str, figures: Figures
) -> None:
    """Of another tenant nowhere, of another user in no table of users."""
    other = await new_tenant()
    for each in (tenant, other):
        await seed(each)
    foreign, own = {}, 0
    for name in await tables(admin_dsn):
        for column, value in (("tenant_id", digits(other.id)), ("owner", "bob@example.com")):
            if column == "owner" and name not in BY_USER:
                continue
            async with as_role(
                admin_dsn, APP, tenant=digits(tenant.id), owner="ann@example.com"
            ) as connection:
                if not await has_column(connection, name, column):
                    continue
                query = f'SELECT count(*) FROM "{name}" WHERE {column} = $1'
                foreign[name, column] = await connection.fetchval(query, value)
                own += await connection.fetchval(f'SELECT count(*) FROM "{name}"')
    assert set(foreign.values()) == {0}, foreign
    assert own > 0
    figures.record("foreign rows", sum(foreign.values()), n=len(foreign))


async def test_no_role_of_the_service_can_step_over_row_security(admin_dsn: str) -> None:
    async with connected(admin_dsn) as connection:
        roles = await connection.fetch(
            "SELECT rolname, rolsuper, rolbypassrls FROM pg_roles WHERE rolname ^@ 'threadkeep_'"
        )
        owned = await connection.fetch(
            "SELECT relname FROM pg_class WHERE relowner = $1::regrole AND relkind = 'r'", APP
        )
        open_tables = await connection.fetch(
            "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace"
            " AND relkind = 'r' AND NOT (relrowsecurity AND relforcerowsecurity)"
        )
    assert {row["rolname"] for row in roles} >= {APP, AUDITOR, "threadkeep_writer"}
    assert [r["rolname"] for r in roles if r["rolsuper"] or r["rolbypassrls"]] == []
    assert [row["relname"] for row in owned] == []
    assert [row["relname"] for row in open_tables] == []


async def test_the_application_cannot_write_for_somebody_else(
    tenant: Tenant, new_tenant: NewTenant, admin_dsn: str
) -> None:
    made = await seed(tenant)
    other = await new_tenant()
    victim = made["bob@example.com"][0]
    async with as_role(
        admin_dsn, APP, tenant=digits(tenant.id), owner="ann@example.com"
    ) as connection:
        for table, key in (("threads", "id"), ("heads", "thread_id")):
            changed = await connection.execute(
                f"UPDATE {table} SET owner = owner WHERE {key} = $1", digits(victim)
            )
            assert changed == "UPDATE 0"
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="row-level security"):
            await connection.execute(
                "INSERT INTO read_markers (tenant_id, owner, thread_id, seq)"
                " VALUES ($1, 'ann@example.com', $2, 1)",
                digits(other.id),
                digits(victim),
            )
    async with as_role(admin_dsn, APP, tenant=digits(tenant.id)) as connection:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute("DELETE FROM entries")


async def has_column(connection: asyncpg.Connection[Any], table: str, column: str) -> bool:
    """Whether a table has a column."""
    return bool(
        await connection.fetchval(
            "SELECT count(*) FROM pg_attribute WHERE attrelid = $1::text::regclass"
            " AND attname = $2",
            f'public."{table}"',
            column,
        )
    )
