"""Sockets and server-sent events as any third party would read them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import count
from typing import Any

import httpx
from websockets.asyncio.client import ClientConnection, connect

Json = dict[str, Any]
SECONDS = 10.0


class Socket:
    """An open socket: commands and their answers, and all other frames in their order."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self.frames: list[Json] = []
        """Frames that answered no command and were not asked for yet."""
        self._numbers = count(1)

    async def command(self, kind: str, **fields: Any) -> Json:
        """Send a command; its answer. Frames that come before it are kept."""
        number = f"c{next(self._numbers)}"
        await self.connection.send(json.dumps({"id": number, "type": kind, **fields}))
        async with asyncio.timeout(SECONDS):
            while True:
                frame = await self._read()
                if frame.get("re") == number:
                    return frame
                self.frames.append(frame)

    async def next(self, seconds: float = SECONDS) -> Json:
        """The next frame that is no answer."""
        if self.frames:
            return self.frames.pop(0)
        async with asyncio.timeout(seconds):
            return await self._read()

    async def until(self, is_last: Callable[[Json], bool], seconds: float = SECONDS) -> list[Json]:
        """Frames up to the first that fits, with it."""
        seen: list[Json] = []
        async with asyncio.timeout(seconds):
            while True:
                seen.append(await self.next(seconds))
                if is_last(seen[-1]):
                    return seen

    async def _read(self) -> Json:
        frame: Json = json.loads(await self.connection.recv())
        return frame


@asynccontextmanager
async def open_socket(url: str, headers: dict[str, str], **options: Any) -> AsyncIterator[Socket]:
    """A socket at an address of the service; options are those of `websockets.connect`."""
    address = url.replace("http", "ws", 1) + "/v1/ws"
    fixed: dict[str, Any] = {"compression": None, "max_size": None, "proxy": None}
    async with connect(address, additional_headers=headers, **fixed, **options) as connection:
        yield Socket(connection)


async def sse_entries(
    client: httpx.AsyncClient, url: str, headers: dict[str, str]
) -> AsyncIterator[tuple[str, Json]]:
    """(id, data) of each event of a stream."""
    timeout = httpx.Timeout(SECONDS, read=60.0)
    async with client.stream("GET", url, headers=headers, timeout=timeout) as answer:
        assert answer.status_code == 200, (await answer.aread())[:2000]
        fields: dict[str, str] = {}
        async for line in answer.aiter_lines():
            if not line:
                if "data" in fields:
                    yield fields.get("id", ""), json.loads(fields["data"])
                fields = {}
            elif not line.startswith(":"):
                name, _, value = line.partition(":")
                text = value.removeprefix(" ")
                fields[name] = f"{fields[name]}\n{text}" if name in fields else text
