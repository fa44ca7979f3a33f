"""What lies between a client and the service: a way that can be cut, and a voice that refuses."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

from aiohttp import web

_CHUNK = 65536


class Way:
    """Passes bytes on to the service; cuts connections and loses answers when told to."""

    def __init__(self, url: str) -> None:
        self.upstream = url
        """The service that new connections lead to."""
        self.is_shut = False
        """While true every new connection is dropped at once."""
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()
        self.answers_to_lose = 0
        """So many answers are swallowed, and their connections cut."""
        self.lost = 0
        self.connections = 0

    @property
    def url(self) -> str:
        """The service by this way."""
        assert self._server is not None
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    def cut(self) -> None:
        """Drop all connections at once."""
        for writer in tuple(self._open):
            writer.transport.abort()

    async def start(self) -> None:
        """Listen on a free port."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)

    async def stop(self) -> None:
        """Listen no more."""
        assert self._server is not None
        self._server.close()
        self.cut()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        if self.is_shut:
            writer.transport.abort()
            return
        parts = urlsplit(self.upstream)
        try:
            up_reader, up_writer = await asyncio.open_connection(parts.hostname, parts.port)
        except OSError:
            writer.transport.abort()
            return
        sides = {writer, up_writer}
        self._open |= sides
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pass_on(reader, up_writer, is_answer=False))
                group.create_task(self._pass_on(up_reader, writer, is_answer=True))
        except* ConnectionError:
            pass
        finally:
            self._open -= sides
            for side in sides:
                side.transport.abort()

    async def _pass_on(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, is_answer: bool
    ) -> None:
        while data := await reader.read(_CHUNK):
            if is_answer and self.answers_to_lose:
                self.answers_to_lose -= 1
                self.lost += 1
                break
            writer.write(data)
            await writer.drain()
        raise ConnectionResetError


@asynccontextmanager
async def way_to(url: str) -> AsyncIterator[Way]:
    """A running way."""
    way = Way(url)
    await way.start()
    try:
        yield way
    finally:
        await way.stop()


class Refusals:
    """Answers every request with the next of these, then as if all were well; notes when."""

    def __init__(self, answers: Sequence[tuple[int, dict[str, str], bytes]]) -> None:
        self._answers = list(answers)
        self.times: list[float] = []
        self.keys: list[str | None] = []
        self.url = ""

    async def _answer(self, request: web.Request) -> web.Response:
        self.times.append(asyncio.get_running_loop().time())
        self.keys.append(request.headers.get("Idempotency-Key"))
        status, headers, body = (
            self._answers.pop(0)
            if self._answers
            else (200, {}, b'{"data":[],"first_seq":2,"last_seq":2,"epoch":"0"}')
        )
        return web.Response(status=status, headers=headers, body=body)

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[Refusals]:
        """While it listens."""
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._answer)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
            yield self
        finally:
            with contextlib.suppress(Exception):
                await runner.cleanup()
