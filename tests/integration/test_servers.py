"""The servers that the fixtures hand out are what the tests take them for."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest
import redis.asyncio

from threadkeep.embedded.postgres import PostgresServer

from ..support.pgbouncer import PgBouncer
from ..support.postgres import APP, Database, one_value
from ..support.redis import RedisServer
from ..support.waiting import until


async def test_every_test_has_a_migrated_database_of_its_own(database: Database) -> None:
    assert await one_value(database.superuser_url, "SELECT current_database()") == database.name
    assert await one_value(database.superuser_url, "SELECT to_regclass('entries') IS NOT NULL")
    # Would fail in the second of two tests that share a database.
    await one_value(database.superuser_url, "CREATE TABLE once ()")


async def test_a_database_is_not_the_one_of_the_test_before(database: Database) -> None:
    await one_value(database.superuser_url, "CREATE TABLE once ()")


@pytest.mark.parametrize("role", ["app", "auditor"])
async def test_roles_log_in_without_rights_over_the_server(database: Database, role: str) -> None:
    url = database.app_url if role == "app" else database.auditor_url

    assert await one_value(url, "SELECT session_user::text") == f"threadkeep_{role}"
    assert await one_value(url, "SELECT current_setting('is_superuser')") == "off"
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await one_value(url, "CREATE TABLE mine ()")


async def test_the_pool_shares_connections_between_transactions(
    pgbouncer: PgBouncer, pgbouncer_url: str, database: Database
) -> None:
    """More clients than connections, each with a transaction: only a pool per transaction can."""
    clients = [await asyncpg.connect(pgbouncer_url, statement_cache_size=0) for _ in range(20)]
    backends = [await client.fetchval("SELECT pg_backend_pid()") for client in clients]

    assert len(set(backends)) <= 8 < len(clients)
    assert pgbouncer.url(database.name, APP) == pgbouncer_url
    for client in clients:
        await client.close()


async def test_the_crash_server_keeps_what_was_committed(
    crash_server: PostgresServer, crash_database: Database
) -> None:
    assert await one_value(crash_database.superuser_url, "SHOW fsync") == "on"
    await one_value(crash_database.superuser_url, "CREATE TABLE kept ()")

    await asyncio.to_thread(crash_server.kill)
    await asyncio.to_thread(crash_server.start)

    assert await one_value(crash_database.superuser_url, "SELECT to_regclass('kept') IS NOT NULL")
    assert await one_value(crash_database.app_url, "SELECT session_user::text") == APP


async def test_redis_answers(redis_url: str) -> None:
    async with redis.asyncio.Redis.from_url(redis_url) as client:
        assert await client.ping()


async def test_a_redis_of_its_own_can_be_killed_and_started(redis_server: RedisServer) -> None:
    await asyncio.to_thread(redis_server.kill)

    assert not redis_server.is_running
    assert not redis_server.is_ready()

    await asyncio.to_thread(redis_server.start)
    async with redis.asyncio.Redis.from_url(redis_server.url) as client:
        assert await client.ping()


async def test_a_paused_program_is_silent_until_it_goes_on(redis_server: RedisServer) -> None:
    async with redis.asyncio.Redis.from_url(
        redis_server.url, single_connection_client=True
    ) as client:
        assert await client.ping()
        redis_server.pause()
        answer = asyncio.ensure_future(client.ping())
        done, _ = await asyncio.wait({answer}, timeout=0.2)

        assert not done

        redis_server.resume()
        assert await asyncio.wait_for(answer, 5)


async def test_waiting_fails_with_what_was_seen_last() -> None:
    answers = iter([0, 0, 7])

    assert await until(lambda: next(answers), 5) == 7
    with pytest.raises(AssertionError, match="the count was still 0"):
        await until(lambda: 0, 0.01, what="the count")
