"""Rows that tests of the lower layers start from, written by the superuser."""

from __future__ import annotations

import asyncpg

from threadkeep.domain import ids

OWNER = "ann"


async def seed_tenant(superuser_url: str, tier: str = "unlimited") -> str:
    """A tenant with its policy; its id."""
    tenant = ids.new_id()
    connection = await asyncpg.connect(superuser_url)
    try:
        await connection.execute(
            "INSERT INTO tenants (id, name) VALUES ($1, $2)", tenant, f"tenant {tenant}"
        )
        await connection.execute(
            "INSERT INTO policies (tenant_id, tier) VALUES ($1, $2)", tenant, tier
        )
    finally:
        await connection.close()
    return tenant


async def seed_thread(superuser_url: str, tenant: str, owner: str = OWNER) -> str:
    """An empty active thread, its log still without entries; its id."""
    thread = ids.new_id()
    connection = await asyncpg.connect(superuser_url)
    try:
        await connection.execute(
            "WITH t AS (INSERT INTO threads (tenant_id, id, owner, created_at, updated_at,"
            " last_activity_at, changed_at) VALUES ($1, $2, $3, now(), now(), now(), now()))"
            " INSERT INTO heads (tenant_id, thread_id, owner, last_at, salt)"
            " VALUES ($1, $2, $3, now(), 7)",
            tenant,
            thread,
            owner,
        )
    finally:
        await connection.close()
    return thread


async def set_state(superuser_url: str, thread: str, state: str) -> None:
    """Put a thread into a state without an entry, as no caller could."""
    connection = await asyncpg.connect(superuser_url)
    try:
        await connection.execute("UPDATE heads SET state = $2 WHERE thread_id = $1", thread, state)
    finally:
        await connection.close()
