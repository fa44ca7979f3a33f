"""`threadkeep serve` and `migrate` as processes: signals, exit codes, several on one port."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import psutil
import pytest

from tests.support.postgres import Database, with_login
from tests.support.service import ServiceProcess
from tests.support.waiting import until

SECONDS = 30.0


def run(environment: Mapping[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    """A command that ends by itself."""
    return subprocess.run(
        [sys.executable, "-m", "threadkeep", *arguments],
        env={"PATH": os.environ["PATH"], **environment},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )


@pytest.fixture
def service(database: Database, tmp_path: Path) -> Iterator[ServiceProcess]:
    """One process."""
    process = ServiceProcess("serve", tmp_path, database.service_environment())
    process.start()
    yield process
    process.stop()


@pytest.fixture
def workers(database: Database, tmp_path: Path) -> Iterator[ServiceProcess]:
    """Two processes on one port."""
    process = ServiceProcess(
        "workers", tmp_path, database.service_environment(), ("--workers", "2")
    )
    process.start()
    yield process
    process.stop()


def is_alive(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2.0)
    try:
        connection.request("GET", "/livez")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def test_wrong_settings_are_all_named() -> None:
    ended = run({"THREADKEEP_DRAIN_SECONDS": "soon", "THREADKEEP_LOG_LEVEL": "loud"}, "serve")

    assert ended.returncode == 2
    for name in ("DATABASE_URL", "DRAIN_SECONDS", "LOG_LEVEL"):
        assert f"THREADKEEP_{name}" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_wrong_option_is_wrong_usage() -> None:
    assert run({}, "serve", "--port", "x").returncode == 2
    assert run({}, "nothing").returncode == 2


def test_help_needs_nothing() -> None:
    ended = run({}, "--help")

    assert ended.returncode == 0
    assert all(command in ended.stdout for command in ("serve", "migrate", "dev", "admin"))


def test_the_list_of_commands_loads_none_of_them() -> None:
    """It is what a new user asks first, and the service takes seconds to load."""
    loaded = (
        "import sys; from click.testing import CliRunner; from threadkeep.cli import threadkeep;"
        " print(CliRunner().invoke(threadkeep, ['--help']).output);"
        " print(sorted(name for name in sys.modules if name.startswith('threadkeep')))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", loaded], capture_output=True, text=True, check=True, timeout=SECONDS
    )

    assert "report" in ended.stdout
    assert "threadkeep.cli.serve" not in ended.stdout
    assert "threadkeep.app" not in ended.stdout


@pytest.mark.parametrize("command", ["serve", "migrate"])
def test_an_address_that_is_none_is_a_wrong_setting(command: str) -> None:
    ended = run({"THREADKEEP_DATABASE_URL": "bogus-and-secret"}, command)

    assert ended.returncode == 2
    assert "THREADKEEP_DATABASE_URL: must be an address" in ended.stderr
    assert "secret" not in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("command", ["serve", "migrate"])
def test_a_database_that_is_not_there_is_a_wrong_setting(database: Database, command: str) -> None:
    url = with_login(database.superuser_url, "nowhere")
    ended = run({"THREADKEEP_DATABASE_URL": url}, command)

    assert ended.returncode == 2
    assert 'database "nowhere" does not exist' in ended.stderr
    assert "Traceback" not in ended.stderr


def test_only_the_owner_migrates(database: Database) -> None:
    ended = run({"THREADKEEP_DATABASE_URL": database.app_url}, "migrate")

    assert ended.returncode == 2
    assert "Migrations need the owner of the schema" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_database_that_is_away_is_a_sentence(tmp_path: Path) -> None:
    ended = run({"THREADKEEP_DATABASE_URL": f"postgresql://x@/x?host={tmp_path}"}, "serve")

    assert ended.returncode == 1
    assert "The database cannot be reached: [Errno 2]" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_missing_schema_is_a_missing_dependency(database: Database) -> None:
    url = with_login(database.superuser_url, "postgres")
    environment = database.service_environment() | {"THREADKEEP_DATABASE_URL": url}
    ended = run(environment, "serve", "--port", "0")

    assert ended.returncode == 3
    assert "threadkeep migrate" in ended.stderr


def test_migrate_can_be_repeated(database: Database) -> None:
    ended = run({"THREADKEEP_DATABASE_URL": database.superuser_url}, "migrate")

    assert (ended.returncode, ended.stderr) == (0, "")


@pytest.mark.parametrize("options", [(), ("--workers", "2")])
def test_a_taken_port_is_a_sentence(database: Database, options: tuple[str, ...]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        ended = run(database.service_environment(), "serve", "--port", port, *options)

    assert ended.returncode == 1
    assert port in ended.stderr
    assert "Traceback" not in ended.stderr


def test_sigterm_ends_with_0(service: ServiceProcess) -> None:
    assert is_alive(service.port)
    service.terminate()

    assert service.wait(SECONDS) == 0


def test_each_request_leaves_one_line_without_secrets(service: ServiceProcess) -> None:
    secret = "tk_" + "0" * 32 + "_" + "s" * 43
    connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=5.0)
    headers = {"Authorization": f"Bearer {secret}", "X-Request-Id": "told-by-the-test"}
    connection.request("GET", "/v1/threads?q=private", headers=headers)
    assert connection.getresponse().status == 401
    connection.close()
    # What is no HTTP shows its bytes to nobody either.
    with socket.create_connection(("127.0.0.1", service.port), timeout=5.0) as raw:
        raw.sendall(b"GET / HTTP/1.1\r\nAuthorization : Bearer " + secret.encode() + b"\r\n\r\n")
        assert b" 400 " in raw.recv(100)
    service.terminate()
    assert service.wait(SECONDS) == 0

    log = service.log_path.read_text("utf-8")
    told = [line for line in map(json.loads, log.splitlines()) if "told-by-the-test" in str(line)]
    assert [line["message"] for line in told] == ["http.request"]
    assert told[0] | {"status": 401, "route": "/v1/threads", "severity": "info"} == told[0]
    assert "http.malformed" in log
    assert "s" * 43 not in log
    assert "private" not in log


async def test_a_dead_worker_is_replaced(workers: ServiceProcess) -> None:
    def children() -> set[int]:
        return {child.pid for child in parent.children() if child.is_running()}

    parent = psutil.Process(workers.pid)
    await until(lambda: len(children()) == 2, SECONDS)
    first = children()
    victim = min(first)
    os.kill(victim, signal.SIGKILL)

    await until(lambda: len(children()) == 2 and victim not in children(), SECONDS)
    assert len(first & children()) == 1
    await until(lambda: is_alive(workers.port), SECONDS)


async def test_workers_end_with_their_parent(workers: ServiceProcess) -> None:
    children = psutil.Process(workers.pid).children()
    assert len(children) == 2
    os.kill(workers.pid, signal.SIGKILL)

    await until(lambda: not any(child.is_running() for child in children), SECONDS)


def test_workers_end_with_0_when_told(workers: ServiceProcess) -> None:
    workers.terminate()

    assert workers.wait(SECONDS) == 0


@pytest.mark.parametrize("first", ["supervisor", "workers"])
async def test_workers_drain_when_everybody_is_told(workers: ServiceProcess, first: str) -> None:
    """As terminals and systemd do it: nobody takes one signal for two."""
    await until(lambda: workers.output().count("serve.listening") == 2, SECONDS)
    parent = psutil.Process(workers.pid)
    told = [parent, *parent.children()]
    for process in told if first == "supervisor" else told[::-1]:
        process.send_signal(signal.SIGTERM)

    assert workers.wait(SECONDS) == 0
    assert workers.output().count("serve.stopped") == 2


async def test_workers_end_as_they_stand_when_told_twice(workers: ServiceProcess) -> None:
    await until(lambda: workers.output().count("serve.listening") == 2, SECONDS)
    with socket.create_connection(("127.0.0.1", workers.port), timeout=5.0) as waiting:
        waiting.sendall(b"POST /v1/threads HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n")
        children = psutil.Process(workers.pid).children()
        workers.terminate()
        await until(lambda: workers.output().count("serve.draining") == 2, SECONDS)
        workers.terminate()

        assert workers.wait(SECONDS) == 1
    assert not any(child.is_running() for child in children)
