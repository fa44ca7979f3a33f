"""Connections that have not said anything yet."""

from __future__ import annotations

import asyncio

from aiohttp import web

Greetings = dict[web.RequestHandler, asyncio.TimerHandle]
GREETINGS = web.AppKey("greetings", Greetings)
"""Connections from which no request has come yet, and the timers that cut them."""


def greeted(app: web.Application, connection: web.RequestHandler) -> None:
    """The first request of a connection has arrived: it will not be cut for silence."""
    timer = app[GREETINGS].pop(connection, None)
    if timer is not None:
        timer.cancel()
