"""The listening socket, and time limits on connections that say nothing."""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from aiohttp import web
from typing_extensions import override

from threadkeep.web.connection import IDLE_SECONDS, Connection
from threadkeep.web.greetings import GREETINGS
from threadkeep.web.malformed import RequestHandler
from threadkeep.web.quick_appends import QUICK_APPENDS

BACKLOG: Final = 1024
"""Connections that wait to be accepted; a drained replica's clients come back all at once."""

LINE_BYTES: Final = 64 * 1024
"""Longest request line: the longest query that the routes take, percent-encoded."""


class _WithoutContent(logging.Filter):
    """What is no HTTP is told by its own bytes, which may hold credentials: say only that it was.

    Exceptions of handlers do not come here, the middleware logs them.
    """

    @override
    def filter(self, record: logging.LogRecord) -> bool:
        kind = record.exc_info[0] if isinstance(record.exc_info, tuple) else None
        record.msg = "http.malformed"
        record.args = ()
        record.exc_info = record.exc_text = None
        record.error = kind.__name__ if kind is not None else ""
        return True


_protocol_log: Final = logging.getLogger("threadkeep.protocol")
_protocol_log.addFilter(_WithoutContent())


class Site(web.BaseSite):
    """A TCP address that is listened on; `reuse_port` shares it with other processes."""

    __slots__ = ("_appends", "_greetings", "_host", "_port", "_reuse_port")

    def __init__(
        self, runner: web.AppRunner, host: str, port: int, *, reuse_port: bool = False
    ) -> None:
        super().__init__(runner, backlog=BACKLOG)
        self._appends = runner.app[QUICK_APPENDS]
        self._greetings = runner.app[GREETINGS]
        self._host = host
        self._port = port
        self._reuse_port = reuse_port

    @property
    @override
    def name(self) -> str:
        return f"http://{self._host}:{self.port}"

    @property
    def port(self) -> int:
        """The port, chosen by the system where 0 was asked for."""
        if isinstance(self._server, asyncio.Server) or self._server is not None:
            return int(self._server.sockets[0].getsockname()[1])  # type: ignore[attr-defined]
        return self._port

    @override
    async def start(self) -> None:
        await super().start()
        self._server = await asyncio.get_running_loop().create_server(
            self._accept,
            self._host,
            self._port,
            backlog=self._backlog,
            reuse_port=self._reuse_port or None,
        )

    def _accept(self) -> asyncio.BaseProtocol:
        server = self._runner.server
        if server is None:
            raise RuntimeError("the runner is not set up")
        handler = RequestHandler(
            server,
            loop=asyncio.get_running_loop(),
            keepalive_timeout=IDLE_SECONDS,
            access_log=None,  # the middleware writes that line
            auto_decompress=False,  # a small body must not become a large one
            max_line_size=LINE_BYTES,
            logger=_protocol_log,
        )
        return Connection(handler, self._appends, self._greetings)


def runner_of(app: web.Application, *, shutdown_seconds: float) -> web.AppRunner:
    """Runs an application; when it stops, requests have `shutdown_seconds` to end."""
    return web.AppRunner(
        app,
        access_log=None,
        handle_signals=False,
        shutdown_timeout=shutdown_seconds,
    )
