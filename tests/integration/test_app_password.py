"""`threadkeep migrate` gives the service's role its login, from a file."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from threadkeep.embedded.postgres import PostgresServer
from threadkeep.storage import roles

from ..conftest import start_postgres
from ..support.postgres import one_value, run_now

PASSWORD = "it's-$1:a/secret"


@pytest.fixture
def server(tmp_path: Path, unused_tcp_port: int) -> Iterator[PostgresServer]:
    """One that asks for passwords, for this test alone: roles belong to the whole server."""
    server = PostgresServer(
        tmp_path / "postgres",
        tcp_port=unused_tcp_port,
        password="superuser",
        fsync=False,
        settings={"log_statement": "all", "log_min_error_statement": "error"},
    )
    start_postgres(server)
    run_now(roles.create_database(server.url("postgres"), "threadkeep"))
    yield server
    server.stop()


async def migrate(url: str, folder: Path, password: str | None) -> tuple[int, str]:
    """Exit code and standard error of the command."""
    environment = {"PATH": os.environ["PATH"], "THREADKEEP_DATABASE_URL": url}
    if password is not None:
        path = folder / "app-password"
        path.write_text(f"{password}\n", encoding="utf-8")
        environment["THREADKEEP_APP_PASSWORD_FILE"] = str(path)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "threadkeep", "migrate"),
        env=environment,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    _, errors = await process.communicate()
    return process.returncode or 0, errors.decode()


async def logs_in(server: PostgresServer, password: str) -> bool:
    url = server.url("threadkeep", roles.APP, password)
    try:
        return bool(await one_value(url, "SELECT current_user = $1", roles.APP))
    except (asyncpg.InvalidPasswordError, asyncpg.InvalidAuthorizationSpecificationError):
        return False


async def test_the_role_logs_in_with_the_password_that_came_last(
    server: PostgresServer, tmp_path: Path
) -> None:
    assert await migrate(server.url("threadkeep"), tmp_path, PASSWORD) == (0, "")

    assert await logs_in(server, PASSWORD)
    assert not await logs_in(server, f"{PASSWORD}!")
    # Statements are logged here.
    log = server.log_path.read_text("utf-8")
    assert "ALTER ROLE" in log
    assert PASSWORD not in log
    assert PASSWORD.replace("'", "''") not in log

    assert await migrate(server.url("threadkeep"), tmp_path, "rotated") == (0, "")

    assert await logs_in(server, "rotated")
    assert not await logs_in(server, PASSWORD)


async def test_without_a_file_the_login_is_left_alone(
    server: PostgresServer, tmp_path: Path
) -> None:
    assert await migrate(server.url("threadkeep"), tmp_path, None) == (0, "")

    assert not await logs_in(server, "")
    query = "SELECT rolcanlogin FROM pg_roles WHERE rolname = $1"
    assert await one_value(server.url("threadkeep"), query, roles.APP) is False


async def test_replicas_that_start_together_take_turns(
    server: PostgresServer, tmp_path: Path
) -> None:
    await migrate(server.url("threadkeep"), tmp_path, None)
    url = server.url("threadkeep")

    await asyncio.gather(*(roles.allow_login(url, roles.APP, PASSWORD) for _ in range(16)))

    assert await logs_in(server, PASSWORD)


async def test_a_password_that_cannot_be_hashed_here_is_a_wrong_setting(tmp_path: Path) -> None:
    code, errors = await migrate("postgresql://nobody@127.0.0.1:1/nothing", tmp_path, "pässword")

    assert code == 2
    assert "THREADKEEP_APP_PASSWORD" in errors
    assert "pässword" not in errors
