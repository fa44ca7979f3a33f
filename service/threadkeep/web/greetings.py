"""Connections from which the head of a request is awaited, and cut where it does not come."""

from __future__ import annotations

import asyncio
from typing import Final

from aiohttp import web

HEAD_SECONDS: Final = 10.0
"""A connection that has not sent the head of its request by then is cut."""


class Greetings:
    """Of one process. Between requests connections have other, longer limits."""

    def __init__(self) -> None:
        self._timers: dict[web.RequestHandler, asyncio.TimerHandle] = {}

    def __len__(self) -> int:
        return len(self._timers)

    def expect(self, connection: web.RequestHandler) -> None:
        """From now on there is time for the head of a request."""
        loop = asyncio.get_running_loop()
        if connection not in self._timers:
            self._timers[connection] = loop.call_later(HEAD_SECONDS, self._cut, connection)

    def arrived(self, connection: web.RequestHandler) -> None:
        """It is there, or will never come."""
        timer = self._timers.pop(connection, None)
        if timer is not None:
            timer.cancel()

    def _cut(self, connection: web.RequestHandler) -> None:
        self._timers.pop(connection, None)
        connection.force_close()


GREETINGS: Final = web.AppKey("greetings", Greetings)
