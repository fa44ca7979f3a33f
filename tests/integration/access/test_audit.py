from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import asyncpg
import pytest
from msgspec.structs import replace

from tests.support.postgres import Database as GivenDatabase
from tests.support.postgres import superuser
from tests.support.seeds import seed_tenant, seed_thread
from tests.support.waiting import until
from threadkeep.domain import ids
from threadkeep.domain.principals import Principal
from threadkeep.errors import Unavailable
from threadkeep.services.audit import Audit
from threadkeep.storage.database import Database


class Clock:
    """Time that tests move."""

    now = 1_700_000_000.0

    def __call__(self) -> float:
        """Seconds since 1970."""
        return self.now


async def rows(given: GivenDatabase) -> Sequence[tuple[Any, ...]]:
    async with superuser(given.superuser_url) as connection:
        found = await connection.fetch(
            "SELECT actor, owner, action, target, count FROM audit ORDER BY action, count"
        )
    return [tuple(row) for row in found]


async def test_refusals_of_one_foreign_thread_are_one_row_with_a_count(
    database: GivenDatabase, opened: Database
) -> None:
    tenant = await seed_tenant(database.superuser_url)
    thread = await seed_thread(database.superuser_url, tenant, "bob")
    audit = Audit(opened)
    ann = Principal(tenant, "ann", "user:ann")
    audit.refused(ann, "read_thread", thread)
    audit.refused(ann, "read_thread", f"thr_{thread}")
    audit.refused(ann, "append", thread)
    await audit.flush()

    assert await rows(database) == [
        ("user:ann", "ann", "append", thread, 1),
        ("user:ann", "ann", "read_thread", thread, 2),
    ]


async def test_a_foreign_tenants_thread_is_audited_for_the_one_who_tried(
    database: GivenDatabase, opened: Database
) -> None:
    mine, theirs = [await seed_tenant(database.superuser_url) for _ in range(2)]
    thread = await seed_thread(database.superuser_url, theirs, "ann")
    audit = Audit(opened)
    audit.refused(Principal(mine, "ann", "user:ann"), "read_thread", thread)
    await audit.flush()

    async with superuser(database.superuser_url) as connection:
        row = await connection.fetchrow("SELECT tenant_id, detail FROM audit")
    assert row is not None
    assert (row["tenant_id"].hex, row["detail"]) == (mine, '{"foreign_tenant": true}')


async def test_random_malformed_and_own_ids_leave_no_row(
    database: GivenDatabase, opened: Database
) -> None:
    tenant = await seed_tenant(database.superuser_url)
    own = await seed_thread(database.superuser_url, tenant, "ann")
    audit = Audit(opened)
    ann = Principal(tenant, "ann", "user:ann")
    for target in (ids.new_id(), own, "thr_1", "nonsense\0", ""):
        audit.refused(ann, "read_thread", target)
    await audit.aclose()

    assert await rows(database) == []


async def test_refusals_after_the_row_was_written_are_one_more_row_at_the_minutes_end(
    database: GivenDatabase, opened: Database
) -> None:
    tenant = await seed_tenant(database.superuser_url)
    thread = await seed_thread(database.superuser_url, tenant, "bob")
    clock = Clock()
    here, there = Audit(opened, clock=clock), Audit(opened, clock=clock)
    ann = Principal(tenant, "ann", "user:ann")
    for audit in (here, there, here):
        audit.refused(ann, "read_thread", thread)
        await audit.flush()

    assert await rows(database) == [("user:ann", "ann", "read_thread", thread, 1)]

    clock.now += 60
    here.refused(ann, "read_thread", thread)
    for audit in (here, there):
        await audit.aclose()
    assert [(action, count) for _, _, action, _, count in await rows(database)] == [
        ("read_thread", 1),
        ("read_thread", 1),
        ("read_thread_repeated", 1),
        ("read_thread_repeated", 1),
    ]


async def test_refusals_are_written_in_the_background_within_two_seconds(
    database: GivenDatabase, opened: Database
) -> None:
    tenant = await seed_tenant(database.superuser_url)
    thread = await seed_thread(database.superuser_url, tenant, "bob")
    audit = Audit(opened)
    audit.start()
    audit.refused(Principal(tenant, "ann", "user:ann"), "read_thread", thread)

    async def is_written() -> bool:
        return len(await rows(database)) == 1

    await until(is_written, 2.0)
    await audit.aclose()


async def test_facts_and_denials_are_written_for_each_tenant(
    database: GivenDatabase, opened: Database
) -> None:
    tenants = [await seed_tenant(database.superuser_url) for _ in range(3)]
    audit = Audit(opened)
    for tenant in tenants:
        ann = Principal(tenant, "ann", "user:ann")
        audit.denied(ann, "act_for", "bob")
        audit.record(ann, "export", "thread", 2)
    await audit.flush()

    for tenant in tenants:
        async with opened.transaction_as(tenant, None, readonly=True) as connection:
            found = await connection.fetch("SELECT action, count FROM audit ORDER BY action")
        assert [tuple(row) for row in found] == [("act_for", 1), ("export", 2)]


async def test_appends_are_one_row_per_thread_and_minute(
    database: GivenDatabase, opened: Database
) -> None:
    tenant = await seed_tenant(database.superuser_url)
    audit = Audit(opened)
    one, other = ids.new_id(), ids.new_id()
    for _ in range(500):
        audit.appended(tenant, "ann", "user:ann", one, 2)
    audit.appended(tenant, "ann", "key:1", other, 1)
    assert await rows(database) == []

    await audit.aclose()
    assert await rows(database) == [
        ("key:1", "ann", "message_append", other, 1),
        ("user:ann", "ann", "message_append", one, 1000),
    ]


async def test_nothing_counted_is_lost_while_the_database_is_away(
    database: GivenDatabase, opened: Database
) -> None:
    tenant = await seed_tenant(database.superuser_url)
    audit = Audit(opened)
    await opened.aclose()
    audit.denied(Principal(tenant, "ann", "user:ann"), "act_for", "bob")
    audit.appended(tenant, "ann", "user:ann", ids.new_id(), 1)
    with pytest.raises(Unavailable):
        await audit.flush()

    await opened.open()
    await audit.aclose()
    assert [action for _, _, action, _, _ in await rows(database)] == ["act_for", "message_append"]


async def test_a_flood_of_targets_is_bounded(opened: Database) -> None:
    audit = Audit(opened)
    ann = Principal(ids.new_id(), "ann", "user:ann")
    for number in range(11_000):
        audit.refused(ann, "read_thread", f"{number:032x}")
        audit.refused(replace(ann, owner="bob"), "read_thread", f"{0:032x}")

    assert len(audit._fresh) == 10_000
    assert audit._dropped > 0


@pytest.mark.parametrize("who", ["app_url", "superuser_url"])
@pytest.mark.parametrize(
    "change", ["UPDATE audit SET count = count + 1", "DELETE FROM audit", "TRUNCATE audit"]
)
async def test_the_audit_refuses_to_be_changed(
    database: GivenDatabase, opened: Database, who: str, change: str
) -> None:
    tenant = await seed_tenant(database.superuser_url)
    audit = Audit(opened)
    audit.denied(Principal(tenant, "ann", "user:ann"), "act_for", "bob")
    await audit.flush()

    async with superuser(getattr(database, who)) as connection:
        with pytest.raises(asyncpg.PostgresError, match=r"append-only|permission denied"):
            await connection.execute(change)
    assert len(await rows(database)) == 1
