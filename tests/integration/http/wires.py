"""Connections on which every byte, and every piece that is sent at once, is chosen by the test."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import msgspec
from multidict import CIMultiDict

from threadkeep.web.quick_appends import QUICK_APPENDS

from .callers import Answer, Caller, Running

WITHIN = 10.0
"""Seconds until an answer must be there."""


def request(
    caller: Caller, method: str, path: str, body: Any = None, headers: Mapping[str, str] = {}
) -> bytes:
    """A request as bytes; bytes are a body as it is, and an empty header is left out."""
    sent = {"Host": "threadkeep.example", **caller.headers, **headers}
    content = b""
    if body is not None:
        content = body if isinstance(body, bytes) else msgspec.json.encode(body)
        sent = {"Content-Type": "application/json", "Content-Length": str(len(content)), **sent}
    lines = "".join(f"{name}: {value}\r\n" for name, value in sent.items() if value)
    return f"{method} {path} HTTP/1.1\r\n{lines}\r\n".encode() + content


class Wire:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, *pieces: bytes) -> None:
        """Send pieces one by one, each of which the service has read before the next is sent."""
        for n, piece in enumerate(pieces):
            if n:
                await asyncio.sleep(0.01)  # nothing tells when the other side has read
            self.writer.write(piece)
            await self.writer.drain()

    async def answer(self) -> Answer:
        """The next answer."""
        async with asyncio.timeout(WITHIN):
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode()
            first, *lines = head.rstrip().split("\r\n")
            headers: CIMultiDict[str] = CIMultiDict()
            for line in lines:
                name, _, value = line.partition(": ")
                headers.add(name, value)
            body = await self.reader.readexactly(int(headers.get("Content-Length", "0")))
        return Answer(int(first.split()[1]), headers, body)

    async def ask(self, *pieces: bytes) -> Answer:
        """Send pieces, and wait for the one answer."""
        await self.send(*pieces)
        return await self.answer()

    async def is_closed(self) -> bool:
        """Whether the service closes the connection, without another word."""
        async with asyncio.timeout(WITHIN):
            return await self.reader.read(1) == b""


@asynccontextmanager
async def wire_to(caller: Caller, buffer: int = 0) -> AsyncIterator[Wire]:
    """A connection to the service that a caller calls, which keeps `buffer` unread bytes."""
    host, _, port = caller.url.removeprefix("http://").partition(":")
    with socket.socket() as connection:
        if buffer:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        connection.setblocking(False)  # noqa: FBT003 - its only way
        await asyncio.get_running_loop().sock_connect(connection, (host, int(port)))
        limit = buffer or 64 * 1024
        reader, writer = await asyncio.open_connection(sock=connection, limit=limit)
        try:
            yield Wire(reader, writer)
        finally:
            writer.close()


def append(who: Caller, thread: str, content: object = "hello", **headers: str) -> bytes:
    """A plain append."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    body = {"messages": [{"content": content}]}
    return request(who, "POST", f"/v1/threads/{thread}/messages", body, named)


def taken(running: Running) -> int:
    """Appends that went the quick way."""
    return running.app[QUICK_APPENDS].taken


async def contents(who: Caller, thread: str) -> list[Any]:
    """What has been said in a thread."""
    page = await who.get(f"/v1/threads/{thread}/messages", params={"limit": "100"})
    return [entry["payload"]["content"] for entry in page.json["data"]]
