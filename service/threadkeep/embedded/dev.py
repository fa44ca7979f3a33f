"""`threadkeep dev`: PostgreSQL, the schema, the service and the demo, started and stopped together.

Processes of their own for the server and the service: killing any of them, or this one, is what a
crash would be elsewhere, and loses as little.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

from threadkeep.embedded.failures import EmbeddedServerError, Reason
from threadkeep.embedded.postgres import PostgresServer
from threadkeep.embedded.service import ServiceProcess, url_of
from threadkeep.embedded.workspace import DevFile, Workspace, workspace
from threadkeep.errors import DependencyError, ThreadkeepError
from threadkeep.storage import revision, roles

T = TypeVar("T")

DATABASE: Final = "threadkeep"
_WATCH_SECONDS: Final = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What can be chosen on the command line."""

    host: str
    port: int
    folder: Path
    ephemeral: bool
    languages: Sequence[str]
    """Of the demo's conversations; empty: none are imported."""


def run(options: Options) -> None:
    """Run until a signal; raises `ThreadkeepError` with one sentence where it cannot."""
    check_port(options.host, options.port)
    with workspace(options.folder, ephemeral=options.ephemeral) as work:
        try:
            asyncio.run(_run(options, work))
        except EmbeddedServerError as exc:
            kind = DependencyError if exc.reason is Reason.MISSING else ThreadkeepError
            hint = f" Its log is {work.postgres}.log." if exc.log else ""
            raise kind(f"{exc.message}{hint}") from exc


def check_port(host: str, port: int) -> None:
    """Raise where the port is taken, before anything has been started."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as exc:
            reason = exc.strerror or str(exc)
            raise ThreadkeepError(f"Cannot listen on {host}:{port}: {reason}.") from exc


async def _run(options: Options, work: Workspace) -> None:
    stopping = asyncio.Event()
    main = asyncio.ensure_future(_start(options, work))

    def asked() -> None:
        if stopping.is_set():
            os._exit(1)  # the kernel ends the processes with us
        stopping.set()
        _say("Stopping …")
        main.cancel()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, asked)
    with contextlib.suppress(asyncio.CancelledError):
        await main


async def _start(options: Options, work: Workspace) -> None:
    async with _postgres(work) as server, _service(options, work, server) as service:
        await _serve(options, work, server, service)


async def _serve(
    options: Options, work: Workspace, server: PostgresServer, service: ServiceProcess
) -> None:
    await service.wait_ready()
    url = url_of(options.host, options.port)
    users = await _describe(work, url, server)
    _say_ready(url, users, work, options)
    parts = [service.watch(), _watch(server)]
    if options.languages:
        parts.append(_import(work, url, users, options.languages))
    await _together(parts)


async def _together(parts: Sequence[Coroutine[Any, Any, None]]) -> None:
    """Run until all have ended or one has failed; that one's error is what is told."""
    tasks = [asyncio.ensure_future(part) for part in parts]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@asynccontextmanager
async def _postgres(work: Workspace) -> AsyncIterator[PostgresServer]:
    server = PostgresServer(work.postgres, password=work.state.superuser_password)
    if work.is_new:
        _say("Preparing PostgreSQL …")
    try:
        await _in_thread(server.start)
        await _prepare(work, server)
        yield server
    finally:
        await _in_thread(server.stop)


async def _prepare(work: Workspace, server: PostgresServer) -> None:
    """The database, its schema, and the service's login."""
    await roles.create_database(server.url("postgres"), DATABASE)
    url = server.url(DATABASE)
    if await roles.schema_revision(url) != revision.HEAD:
        from threadkeep.storage import migrate  # noqa: PLC0415 - Alembic is slow to load

        await _in_thread(lambda: migrate.upgrade(url))
    await roles.allow_login(url, roles.APP, work.state.app_password)


@asynccontextmanager
async def _service(
    options: Options, work: Workspace, server: PostgresServer
) -> AsyncIterator[ServiceProcess]:
    database_url = _app_url(work, server)
    service = ServiceProcess(
        options.host,
        options.port,
        settings={
            "THREADKEEP_DATABASE_URL": database_url,
            "THREADKEEP_DATABASE_DIRECT_URL": database_url,
            "THREADKEEP_PLATFORM_KEY": work.state.platform_key,
            "THREADKEEP_LOG_FORMAT": "json",
            # One person's sockets, who waits for the end.
            "THREADKEEP_DRAIN_SECONDS": "1",
        },
        log_path=work.service_log,
    )
    try:
        service.start()
        yield service
    finally:
        await _in_thread(service.stop)


async def _describe(work: Workspace, url: str, server: PostgresServer) -> dict[str, str]:
    """Make the tenant where needed, and write `dev.json`; the users' tokens."""
    from threadkeep import client  # noqa: PLC0415 - loaded while the service starts
    from threadkeep.embedded import demo_tenant  # noqa: PLC0415 - as above

    try:
        if await demo_tenant.ensure_tenant(url, work.state):
            work.save()
    except client.ThreadkeepError as exc:
        raise ThreadkeepError(f"The demo tenant could not be made: {exc}") from exc
    users = demo_tenant.tokens(work.state)
    work.publish(
        DevFile(
            url=url,
            tenant=work.state.tenant,
            api_key=work.state.api_key,
            users=users,
            database_url=_app_url(work, server),
            state_file=str(work.state_file.resolve()),
        )
    )
    return users


async def _import(
    work: Workspace, url: str, users: dict[str, str], languages: Sequence[str]
) -> None:
    from threadkeep import client  # noqa: PLC0415 - after the ready line
    from threadkeep.embedded import demo  # noqa: PLC0415 - as above

    try:
        await demo.import_dialogues(work, url, users, languages)
    except client.ThreadkeepError as exc:
        # Everything else works; the next start goes on where this one was.
        _say(f"The import of the dialogues was cut short: {exc}")


async def _watch(server: PostgresServer) -> None:
    while server.pid is not None:  # noqa: ASYNC110 - a process, which sets no event
        await asyncio.sleep(_WATCH_SECONDS)
    raise ThreadkeepError(f"PostgreSQL has ended by itself; see {server.log_path}.")


async def _in_thread(function: Callable[[], T]) -> T:
    """Call what blocks; a cancellation waits for it, so that nothing is stopped half-started."""
    task = asyncio.ensure_future(asyncio.to_thread(function))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        with contextlib.suppress(Exception):
            await task
        raise


def _app_url(work: Workspace, server: PostgresServer) -> str:
    return server.url(DATABASE, roles.APP, work.state.app_password)


def _say_ready(url: str, users: dict[str, str], work: Workspace, options: Options) -> None:
    _say(f"Threadkeep is ready on {url}")
    for user, token in users.items():
        _say(f"  console as {user}: {url}/#token={token}")
    _say(f"  API: {url}/docs   credentials: {work.dev_json}")
    if options.ephemeral:
        _say("  ephemeral: everything is removed at the end")
    _say("  Ctrl-C stops it.")


def _say(line: str) -> None:
    print(line, file=sys.stdout, flush=True)  # noqa: T201 - the command's answer
