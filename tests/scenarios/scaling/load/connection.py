"""One HTTP connection that stays open: a request, its answer, the next request."""

from __future__ import annotations

import asyncio
import functools
import json
from dataclasses import dataclass
from typing import Any, cast

from typing_extensions import override

from .plan import Place

SECONDS = 30.0
"""Longest wait for an answer."""
GONE = (OSError, EOFError, TimeoutError)
"""How a connection ends."""


@dataclass(frozen=True)
class Answer:
    """Status and body."""

    status: int
    body: bytes

    @property
    def json(self) -> dict[str, Any]:
        """The body."""
        decoded: dict[str, Any] = json.loads(self.body)
        return decoded


@dataclass(frozen=True)
class Asking:
    """Who asks: what every request of a user begins with."""

    place: Place
    bearer: str
    user: str

    def head(self, method: str, path: str) -> str:
        """The first lines of a request."""
        return (
            f"{method} {path} HTTP/1.1\r\nHost: {self.place.host}:{self.place.port}\r\n"
            f"Authorization: Bearer {self.bearer}\r\nThreadkeep-User: {self.user}\r\n"
        )

    def request(self, method: str, path: str, body: object = None) -> bytes:
        """A whole request."""
        if body is None:
            return (self.head(method, path) + "\r\n").encode()
        content = json.dumps(body).encode()
        lines = f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
        return (self.head(method, path) + lines).encode() + content


class Connection(asyncio.Protocol):
    """Opened when it is first needed, and again after it was lost."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._transport: asyncio.Transport | None = None
        self._waiting: asyncio.Future[Answer] | None = None
        self._buffer = bytearray()

    async def ask(self, request: bytes) -> Answer:
        """One request at a time; one of `GONE` when there is no answer."""
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(SECONDS):
            if self._transport is None:
                await connect(self, self._place)
            assert self._transport is not None
            self._waiting = loop.create_future()
            self._transport.write(request)
            return await self._waiting

    def close(self) -> None:
        """Drop it."""
        if self._transport is not None:
            self._transport.abort()

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are not of asyncio's classes.
        self._transport = cast("asyncio.Transport", transport)
        self._buffer.clear()

    @override
    def data_received(self, data: bytes) -> None:
        self._buffer += data
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        head = bytes(self._buffer[:end]).lower()
        at = head.find(b"content-length:")
        size = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
        if len(self._buffer) < end + 4 + size:
            return
        answer = Answer(int(head[9:12]), bytes(self._buffer[end + 4 : end + 4 + size]))
        del self._buffer[: end + 4 + size]
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(answer)

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(exc or EOFError("the connection was closed"))


async def connect(protocol: asyncio.Protocol, place: Place) -> None:
    """Open a connection for a protocol."""
    factory = functools.partial(_itself, protocol)
    tls = True if place.is_secure else None
    await asyncio.get_running_loop().create_connection(factory, place.host, place.port, ssl=tls)


def _itself(protocol: asyncio.Protocol) -> asyncio.Protocol:
    """`create_connection` wants a factory."""
    return protocol
