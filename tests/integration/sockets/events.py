"""A third-party reader of server-sent events, line by line as the standard says."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp
import msgspec

from tests.integration.http.callers import Caller

from .clients import SECONDS, Json


@dataclass(frozen=True)
class Event:
    """One event."""

    name: str
    id: str | None
    data: bytes

    @property
    def json(self) -> Json:
        """The data, decoded."""
        decoded: Json = msgspec.json.decode(self.data)
        return decoded


class Stream:
    """An open stream."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self.response = response
        self.comments = 0
        self.retry: int | None = None

    async def next(self, seconds: float = SECONDS) -> Event:
        """The next event; `EOFError` when the stream has ended."""
        fields: dict[str, bytes] = {}
        async with asyncio.timeout(seconds):
            while line := await self.response.content.readline():
                if line == b"\n":
                    if "data" in fields:
                        place = fields.get("id")
                        name = fields.get("event", b"message").decode()
                        named = place.decode() if place is not None else None
                        return Event(name, named, fields["data"])
                    fields = {}
                elif line.startswith(b":"):
                    self.comments += 1
                else:
                    field, _, value = line.rstrip(b"\n").partition(b": ")
                    fields[field.decode()] = value
                    if field == b"retry":
                        self.retry = int(value)
        raise EOFError

    async def take(self, n: int) -> list[Event]:
        """The next `n` events."""
        return [await self.next() for _ in range(n)]

    async def rest(self) -> list[Event]:
        """All events until the stream ends."""
        events: list[Event] = []
        with contextlib.suppress(EOFError):
            while True:
                events.append(await self.next())
        return events


@asynccontextmanager
async def open_stream(
    caller: Caller, thread: str, *, cursor: str | None = None, last_id: str | None = None
) -> AsyncIterator[Stream]:
    """A stream of a thread."""
    headers = dict(caller.headers)
    if last_id is not None:
        headers["Last-Event-ID"] = last_id
    async with caller.session.get(
        f"{caller.url}/v1/threads/{thread}/stream",
        params={"cursor": cursor} if cursor is not None else {},
        headers=headers,
        timeout=aiohttp.ClientTimeout(total=None),
    ) as response:
        assert response.status == 200, await response.read()
        assert response.headers["Content-Type"].startswith("text/event-stream")
        yield Stream(response)
