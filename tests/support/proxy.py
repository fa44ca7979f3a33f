"""A connection in the middle that loses answers: what was asked was done, nobody says so."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import parse_qs, unquote, urlsplit, urlunsplit


class Proxy:
    """Passes bytes on to PostgreSQL, until it is told to lose answers."""

    def __init__(self, url: str) -> None:
        self._upstream = url
        self.is_losing = False
        """While true the next answer of the server is swallowed and the connection cut."""
        self.is_silent = False
        """While true nothing of the server is passed on, and connections stay open: a network that
        swallows what it carries."""
        self.lost = 0
        """Answers lost so far."""
        self._server: asyncio.Server | None = None

    @property
    def url(self) -> str:
        """The same database through the proxy."""
        assert self._server is not None
        port = self._server.sockets[0].getsockname()[1]
        parts = urlsplit(self._upstream)
        login = parts.netloc.rpartition("@")[0]
        return urlunsplit(parts._replace(netloc=f"{login}@127.0.0.1:{port}", query=""))

    async def start(self) -> None:
        """Listen on a free port of the loopback interface."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)

    async def stop(self) -> None:
        """Stop listening; open connections end with their other side."""
        if self._server is not None:
            self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            up_reader, up_writer = await self._connect()
        except OSError:
            writer.close()
            return
        tasks = {
            asyncio.create_task(self._pass_on(reader, up_writer)),
            asyncio.create_task(self._answer(up_reader, writer)),
        }
        _, rest = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in rest:
            task.cancel()
        for side in (writer, up_writer):
            with contextlib.suppress(Exception):
                side.close()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        parts = urlsplit(self._upstream)
        folder = parse_qs(parts.query).get("host", [""])[0]
        port = parts.port or int(parse_qs(parts.query).get("port", ["5432"])[0])
        if folder:
            return await asyncio.open_unix_connection(f"{unquote(folder)}/.s.PGSQL.{port}")
        return await asyncio.open_connection(parts.hostname, port)

    @staticmethod
    async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            if self.is_losing:
                self.lost += 1
                return
            if self.is_silent:
                continue
            writer.write(data)
            await writer.drain()


@asynccontextmanager
async def proxied(url: str) -> AsyncIterator[Proxy]:
    """A running proxy before the database at `url`."""
    proxy = Proxy(url)
    await proxy.start()
    try:
        yield proxy
    finally:
        await proxy.stop()
