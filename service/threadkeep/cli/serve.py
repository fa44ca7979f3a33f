"""`threadkeep serve`: the service, in one process or several on one port."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from typing import Final

import click
import uvloop

from threadkeep import logs
from threadkeep.app import create_app, drain
from threadkeep.cli import workers as processes
from threadkeep.errors import ThreadkeepError
from threadkeep.settings import Settings, load
from threadkeep.web.listening import Site, runner_of

_log = logs.get_logger(__name__)

REQUEST_SECONDS: Final = 5.0
"""After the drain: time for requests that are still being answered."""


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8080, show_default=True, help="Port; 0: any."
)
@click.option(
    "--workers",
    type=click.IntRange(1, 64),
    default=1,
    show_default=True,
    help="Processes that share the port.",
)
@click.option("--supervised", is_flag=True, hidden=True)
def serve(host: str, port: int, workers: int, *, supervised: bool) -> None:
    """Serve HTTP, SSE and WebSocket until SIGTERM; settings are THREADKEEP_… in the environment."""
    settings = load(os.environ)
    logs.configure(level=settings.log_level, fmt=settings.log_format)
    if workers > 1:
        sys.exit(uvloop.run(processes.supervise(host, port, workers)))
    uvloop.run(run(settings, host, port, is_supervised=supervised))


async def run(settings: Settings, host: str, port: int, *, is_supervised: bool = False) -> None:
    """Serve until a signal, then drain, finish and close."""
    stop = asyncio.Event()
    _listen_to_signals(stop)
    if is_supervised:
        asyncio.get_running_loop().add_reader(sys.stdin.fileno(), _orphaned, stop)
    app = create_app(settings)
    runner = runner_of(app, shutdown_seconds=REQUEST_SECONDS)
    try:
        await runner.setup()
        site = Site(runner, host, port, reuse_port=is_supervised)
        await _start(site, host, port)
        _log.info("serve.listening", address=site.name, pid=os.getpid())
        if not settings.platform_key:
            _log.warning("serve.no_platform_key", refuses="/v1/tenants, /v1/status, HS256 issuers")
        await stop.wait()
        _log.info("serve.draining")
        await drain(app)
    finally:
        await runner.cleanup()
    _log.info("serve.stopped")


async def _start(site: Site, host: str, port: int) -> None:
    try:
        await site.start()
    except OSError as exc:
        raise ThreadkeepError(f"Cannot listen on {host}:{port}: {exc.strerror or exc}.") from exc


def _listen_to_signals(stop: asyncio.Event) -> None:
    """The first signal drains; the second ends the process as it stands.

    One that comes while it drains because its supervisor has said so is the first.
    """
    is_asked = False

    def asked() -> None:
        nonlocal is_asked
        if is_asked:
            os._exit(1)
        is_asked = True
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, asked)


def _orphaned(stop: asyncio.Event) -> None:
    """Standard input has ended: the supervisor says so, or is gone."""
    asyncio.get_running_loop().remove_reader(sys.stdin.fileno())
    stop.set()
