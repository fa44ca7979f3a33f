"""Sockets as third parties speak to them: the `websockets` package, aiohttp, and bytes."""

from __future__ import annotations

import asyncio
import os
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import count
from typing import Any
from urllib.parse import urlsplit

import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tests.integration.http.callers import Caller

Json = dict[str, Any]
SECONDS = 10.0


class Closed(Exception):
    """The socket was closed, with this code."""

    def __init__(self, code: int) -> None:
        super().__init__(f"closed with {code}")
        self.code = code


class Socket:
    """An open socket: commands and their answers, and other frames in their order."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self.raw: list[bytes] = []
        """Every frame as it came."""
        self.frames: list[Json] = []
        """Frames that answered no command and were not asked for yet."""
        self._ids = count(1)

    async def send(self, frame: Json | bytes | str) -> None:
        """Send a frame: a JSON object, text, or bytes in a text frame."""
        if isinstance(frame, dict):
            frame = msgspec.json.encode(frame)
        await self.connection.send(frame, text=True)

    async def command(self, kind: str, **fields: Any) -> Json:
        """Send a command; its answer, whatever it is."""
        number = next(self._ids)
        await self.send({"id": number, "type": kind, **fields})
        return await self.answer(number)

    async def ok(self, kind: str, **fields: Any) -> Json:
        """The same, where the answer must not be an error."""
        answer = await self.command(kind, **fields)
        assert answer["type"] != "error", answer
        return answer

    async def refused(self, kind: str, **fields: Any) -> Json:
        """The same, where it must be one: the error."""
        answer = await self.command(kind, **fields)
        assert answer["type"] == "error", answer
        error: Json = answer["error"]
        return error

    async def answer(self, number: int | str | None) -> Json:
        """The answer to a command; frames before it are kept."""
        while True:
            frame = await self.receive()
            if "re" in frame and frame["re"] == number and frame["type"] != "subscribed_again":
                return frame
            self.frames.append(frame)

    async def next(self) -> Json:
        """The next frame that is no answer."""
        return self.frames.pop(0) if self.frames else await self.receive()

    async def entries(self, n: int) -> list[Json]:
        """The next `n` entries; other frames must not come between."""
        return [await self.next() for _ in range(n)]

    async def until(self, is_last: Callable[[Json], bool]) -> list[Json]:
        """Frames up to the first that fits, with it."""
        seen = [await self.next()]
        while not is_last(seen[-1]):
            seen.append(await self.next())
        return seen

    async def receive(self) -> Json:
        """The next frame; `Closed` when the socket was closed instead."""
        try:
            async with asyncio.timeout(SECONDS):
                data = await self.connection.recv(decode=False)
        except ConnectionClosed as exc:
            raise Closed(exc.rcvd.code if exc.rcvd else 1006) from exc
        self.raw.append(bytes(data))
        frame: Json = msgspec.json.decode(data)
        return frame

    async def closed(self) -> tuple[int, list[Json]]:
        """The code with which it is closed, and the frames before."""
        seen: list[Json] = []
        while True:
            try:
                seen.append(await self.receive())
            except Closed as exc:
                return exc.code, seen


@asynccontextmanager
async def open_socket(caller: Caller, **options: Any) -> AsyncIterator[Socket]:
    """A socket by the `websockets` package; options are those of its `connect`."""
    headers = caller.headers | options.pop("headers", {})
    query = options.pop("query", "")
    async with connect(
        caller.url.replace("http", "ws", 1) + "/v1/ws" + query,
        additional_headers=headers,
        compression=None,
        max_size=None,
        proxy=None,
        ping_interval=None,
        **options,
    ) as connection:
        yield Socket(connection)


class Raw:
    """A socket without any library: what it sends may be wrong."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, opcode: int, payload: bytes, *, head: int | None = None) -> None:
        """One masked frame; `head` replaces its first byte."""
        size = len(payload)
        first = 0x80 | opcode if head is None else head
        if size < 126:
            lengths = struct.pack("!BB", first, 0x80 | size)
        elif size < 65536:
            lengths = struct.pack("!BBH", first, 0x80 | 126, size)
        else:
            lengths = struct.pack("!BBQ", first, 0x80 | 127, size)
        mask = os.urandom(4)
        masked = bytes(b ^ mask[n % 4] for n, b in enumerate(payload)) if size < 4096 else None
        if masked is None:  # a mask of zeros is a mask
            mask, masked = bytes(4), payload
        self.writer.write(lengths + mask + masked)
        await self.writer.drain()

    async def frame(self) -> tuple[int, bytes]:
        """(opcode, payload) of the next frame, which must be whole and unmasked."""
        async with asyncio.timeout(SECONDS):
            first, second = await self.reader.readexactly(2)
            assert first & 0x70 == 0, "reserved bits"
            assert second & 0x80 == 0, "masked"
            size = second & 0x7F
            if size == 126:
                size = int.from_bytes(await self.reader.readexactly(2), "big")
            elif size == 127:
                size = int.from_bytes(await self.reader.readexactly(8), "big")
            return first & 0x0F, await self.reader.readexactly(size)

    async def json(self) -> Json:
        """The next text frame, decoded."""
        opcode, payload = await self.frame()
        assert opcode == 1, (opcode, payload)
        decoded: Json = msgspec.json.decode(payload)
        return decoded

    async def code(self) -> int:
        """The code of the close frame that comes next but for text and pings."""
        while True:
            opcode, payload = await self.frame()
            if opcode == 8:
                return int.from_bytes(payload[:2], "big")


@asynccontextmanager
async def open_raw(caller: Caller, **options: Any) -> AsyncIterator[Raw]:
    """A socket after a handshake written by hand; options are those of `open_connection`."""
    address = urlsplit(caller.url)
    target: dict[str, Any] = {"host": address.hostname, "port": address.port}
    if "sock" in options:
        target = {}
    reader, writer = await asyncio.open_connection(**target, **options)
    lines = [
        "GET /v1/ws HTTP/1.1",
        f"Host: {address.netloc}",
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        *(f"{name}: {value}" for name, value in caller.headers.items()),
    ]
    writer.write("\r\n".join([*lines, "", ""]).encode())
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 101 "), head
    assert b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in head, head
    try:
        yield Raw(reader, writer)
    finally:
        writer.transport.abort()
