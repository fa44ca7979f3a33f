"""The embedded PostgreSQL starts, stops and survives whatever happens to it and its owner."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import psutil
import pytest

from threadkeep.embedded import postgres, unprivileged
from threadkeep.embedded.postgres import PostgresServer
from threadkeep.embedded.processes import has_ended, kill_tree, wait_ended

from ..conftest import start_postgres
from ..support import resources
from ..support.postgres import copy_directory, one_value
from ..support.waiting import until


@pytest.fixture
def server(made_directory: Path, tmp_path: Path) -> Iterator[PostgresServer]:
    copy_directory(made_directory, tmp_path / "data")
    server = PostgresServer(tmp_path / "data")
    start_postgres(server)
    yield server
    server.stop()


def processes_in(folder: Path) -> list[psutil.Process]:
    """All processes whose working directory is a data directory, as PostgreSQL's always is."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.cwd() == str(folder) and not has_ended(process):
                found.append(process)
        except psutil.Error:
            continue
    return found


async def test_data_stay_over_a_stop_and_a_start(server: PostgresServer, tmp_path: Path) -> None:
    await one_value(server.url("postgres"), "CREATE TABLE kept AS SELECT 42 AS answer")
    server.stop()

    assert server.pid is None
    assert not processes_in(tmp_path / "data")

    server.start()

    assert await one_value(server.url("postgres"), "SELECT answer FROM kept") == 42


async def test_a_kill_loses_nothing_committed(server: PostgresServer, tmp_path: Path) -> None:
    connection = await asyncpg.connect(server.url("postgres"))
    await connection.execute("CREATE TABLE kept (number int)")
    for number in range(3):
        await connection.execute("INSERT INTO kept VALUES ($1)", number)
        server.kill()

        assert server.pid is None
        assert not processes_in(tmp_path / "data")

        server.start()
        connection.terminate()
        connection = await asyncpg.connect(server.url("postgres"))
        rows = await connection.fetch("SELECT number FROM kept ORDER BY number")

        assert [row["number"] for row in rows] == list(range(number + 1))
    await connection.close()


async def test_commits_are_synced_unless_told_otherwise(server: PostgresServer) -> None:
    assert await one_value(server.url("postgres"), "SHOW fsync") == "on"
    assert await one_value(server.url("postgres"), "SHOW synchronous_commit") == "on"
    assert await one_value(server.url("postgres"), "SHOW full_page_writes") == "on"


async def test_a_stop_does_not_wait_for_clients(server: PostgresServer) -> None:
    connection = await asyncpg.connect(server.url("postgres"))
    asleep = connection.execute("SELECT pg_sleep(60)")
    server.stop(seconds=5)

    with pytest.raises((asyncpg.PostgresError, OSError, asyncpg.InterfaceError)):
        await asleep
    assert server.pid is None
    connection.terminate()


async def test_a_password_is_asked_for_over_tcp(tmp_path: Path, unused_tcp_port: int) -> None:
    with PostgresServer(
        tmp_path / "data", tcp_port=unused_tcp_port, password="it's:a/secret"
    ) as server:
        url = server.url("postgres")

        assert f"@127.0.0.1:{unused_tcp_port}/" in url
        assert await one_value(url, "SELECT 1") == 1
        with pytest.raises(asyncpg.InvalidPasswordError):
            await one_value(server.url("postgres", password="another"), "SELECT 1")


def test_a_port_without_a_password_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="password"):
        PostgresServer(tmp_path / "data", tcp_port=5432)


async def test_the_log_holds_no_statement(server: PostgresServer) -> None:
    with pytest.raises(asyncpg.PostgresError):
        await one_value(server.url("postgres"), "SELECT 'a private word'::int")

    assert "private" not in server.log_path.read_text()


async def test_a_server_ends_with_its_owner(tmp_path: Path) -> None:
    """Also when the owner is killed; afterwards the directory starts again, with its data."""
    folder = tmp_path / "data"
    code = (
        "import sys, threading; from pathlib import Path;"
        "from threadkeep.embedded.postgres import PostgresServer;"
        "server = PostgresServer(Path(sys.argv[1]));"
        # The thread that starts a server may end long before it.
        "starter = threading.Thread(target=server.start); starter.start(); starter.join();"
        "print(server.pid, flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as owner:
        assert owner.stdout is not None
        postmaster = psutil.Process(int(owner.stdout.readline()))
        assert wait_ended([postmaster], seconds=0.5) == [postmaster]
        owner.kill()
    try:
        await until(lambda: not processes_in(folder), 10, what="the end of the server")
    finally:
        kill_tree(postmaster, seconds=5)

    with PostgresServer(folder) as server:
        assert await one_value(server.url("postgres"), "SELECT 1") == 1
    assert "recovery in progress" not in server.log_path.read_text()


async def test_a_server_left_behind_is_ended(server: PostgresServer, tmp_path: Path) -> None:
    """One whose owner is gone, for instance because the kernel had no way to tell it so."""
    server.stop()
    options = ["-c", "listen_addresses=", "-c", f"unix_socket_directories={tmp_path}"]
    server_program = str(postgres.programs() / "postgres")
    orphan = subprocess.Popen(
        [*unprivileged.launcher().prefix, server_program, "-D", str(tmp_path / "data"), *options],
        stderr=subprocess.DEVNULL,
        env={"LC_ALL": "C.UTF-8"},
    )
    left_behind = psutil.Process(orphan.pid)
    try:
        await until((tmp_path / ".s.PGSQL.5432").exists, 10)
        server.start()

        assert orphan.wait(5) == 0
    finally:
        kill_tree(left_behind, seconds=5)
        orphan.wait(5)
    assert server.pid != orphan.pid
    assert await one_value(server.url("postgres"), "SELECT 1") == 1


async def test_a_stale_pid_file_that_names_another_program(
    server: PostgresServer, tmp_path: Path
) -> None:
    """After a crash the number may belong to anybody, who must be left alone."""
    server.kill()
    with subprocess.Popen(["sleep", "60"]) as other:
        pid_file = tmp_path / "data" / "postmaster.pid"
        lines = pid_file.read_text().splitlines()
        pid_file.write_text("\n".join([str(other.pid), *lines[1:]]) + "\n")
        (server.socket_directory / ".s.PGSQL.5432.lock").write_text(f"{other.pid}\n")
        server.start()

        assert await one_value(server.url("postgres"), "SELECT 1") == 1
        assert other.poll() is None
        other.kill()


async def test_a_long_path_gets_a_short_socket_elsewhere(tmp_path: Path) -> None:
    server = PostgresServer(tmp_path / ("long" * 30) / "data")
    start_postgres(server)
    folder = server.socket_directory

    assert not folder.is_relative_to(tmp_path)
    assert folder.stat().st_mode & 0o077 == 0
    assert await one_value(server.url("postgres"), "SELECT 1") == 1
    server.stop()
    assert not folder.exists()


def test_an_unfinished_initialisation_is_begun_anew(tmp_path: Path) -> None:
    (tmp_path / "data.new" / "base").mkdir(parents=True)
    (tmp_path / "data.new" / "PG_VERSION").write_text("18\n")

    with PostgresServer(tmp_path / "data") as server:
        assert server.pid is not None
    assert not (tmp_path / "data.new").exists()


async def test_a_crash_of_one_process_is_seen(server: PostgresServer) -> None:
    pid = server.pid
    assert pid is not None
    os.kill(pid, signal.SIGQUIT)

    assert not wait_ended([psutil.Process(pid)], seconds=5)
    await until(lambda: server.pid is None, 5)
    server.start()
    assert await one_value(server.url("postgres"), "SELECT 1") == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can start a program as somebody else")
async def test_without_user_namespaces_root_uses_another_user(
    short_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not resources.is_readable_by_all(postgres.programs()):
        pytest.skip("the virtual environment lies where only root can read it")
    short_folder.chmod(0o755)
    monkeypatch.setattr(postgres, "launcher", unprivileged._as_another_user)

    with PostgresServer(short_folder / "other-user", password="secret") as server:
        assert server.pid is not None
        assert psutil.Process(server.pid).uids().effective != 0
        assert await one_value(server.url("postgres"), "SELECT 1") == 1
        server.kill()
        server.start()
        assert await one_value(server.url("postgres"), "SELECT 1") == 1
