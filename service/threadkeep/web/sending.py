"""Sending large answers: a peer that does not read them must not hold them for ever."""

from __future__ import annotations

import asyncio
from typing import Final

from aiohttp import web
from typing_extensions import TypeIs

LARGE_BYTES: Final = 128 * 1024
"""Less fits into the buffers of the connection, and ends with it at the latest."""
SEND_SECONDS: Final = 30.0
"""What a peer may take for a large answer, and …"""
SLOWEST_BYTES: Final = 16 * 1024
"""… a second more for so many bytes of it: slower readers exist, but not for good."""


def is_large(response: web.StreamResponse) -> TypeIs[web.Response]:
    """Whether an answer is whole and so large that a peer could stall it."""
    return isinstance(response, web.Response) and (response.content_length or 0) > LARGE_BYTES


async def send_in_time(request: web.Request, response: web.Response) -> None:
    """Send it now; raises `ConnectionResetError` when it was not taken in time."""
    size = response.content_length or 0
    try:
        async with asyncio.timeout(SEND_SECONDS + size / SLOWEST_BYTES):
            await response.prepare(request)
            await response.write_eof()
    except TimeoutError as exc:
        if request.transport is not None:
            request.transport.abort()
        raise ConnectionResetError("The answer was not read in time.") from exc
