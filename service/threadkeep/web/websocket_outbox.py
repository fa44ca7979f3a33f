"""What waits to be sent to one socket: gathered per turn of the event loop, bounded in bytes."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Final

from aiohttp.abc import AbstractStreamWriter

from threadkeep.domain.limits import QUEUE_BYTES
from threadkeep.web.live_metrics import Totals

ROOM_BYTES: Final = QUEUE_BYTES // 4
"""Catching up and answers wait until no more than this is queued."""


class Flusher:
    """Writes every outbox that has something, once, at the end of the turn."""

    def __init__(self, totals: Totals) -> None:
        self.totals = totals
        self._filled: list[Outbox] = []

    def add(self, outbox: Outbox) -> None:
        """Have `outbox` flushed soon."""
        if not self._filled:
            asyncio.get_running_loop().call_soon(self._flush)
        self._filled.append(outbox)

    def _flush(self) -> None:
        filled, self._filled = self._filled, []
        for outbox in filled:
            outbox.flush()


class Outbox:
    """Encoded frames on their way to one transport."""

    __slots__ = (
        "_drained",
        "_flusher",
        "_live",
        "_pending",
        "_size",
        "_transport",
        "_writer",
        "_written",
    )

    def __init__(
        self, transport: asyncio.Transport, writer: AbstractStreamWriter, flusher: Flusher
    ) -> None:
        self._transport = transport
        self._writer = writer
        self._flusher = flusher
        self._pending: list[bytes] = []
        self._size = 0
        self._live = 0
        """Bytes of live frames since nothing was queued."""
        self._written = 0
        self._drained: asyncio.Task[None] | None = None

    @property
    def waiting(self) -> int:
        """Bytes that the kernel has not taken yet."""
        return self._size + self._transport.get_write_buffer_size()

    def send(self, data: bytes) -> None:
        """Queue one encoded frame."""
        pending = self._pending
        if not pending:
            self._flusher.add(self)
        pending.append(data)
        self._size += len(data)

    def send_live(self, encoded: list[bytes]) -> bool:
        """Queue frames that do not wait for room; False when the reader is too slow for them.

        What was queued for him before, at his own request, is not held against him.
        """
        size = sum(map(len, encoded))
        if not encoded:
            return True
        waiting = self.waiting
        self._live = self._live + size if waiting else size
        if waiting and waiting + size > QUEUE_BYTES and self._live > QUEUE_BYTES:
            return False
        if not self._pending:
            self._flusher.add(self)
        self._pending += encoded
        self._size += size
        return True

    def flush(self) -> None:
        """Hand everything to the transport in one write."""
        if not self._pending:
            return
        data = b"".join(self._pending)
        totals = self._flusher.totals
        totals.frames_out += len(self._pending)
        totals.bytes_out += self._size
        self._written += self._size
        self._pending = []
        self._size = 0
        if not self._transport.is_closing():
            self._transport.write(data)

    def taken_from_full(self) -> int:
        """Bytes that the kernel has taken so far, if it has not taken all; else 0.

        While these grow, a peer that is behind reads on, though a ping has not reached it yet.
        """
        left = self._transport.get_write_buffer_size()
        return self._written - left if left else 0

    async def room(self) -> None:
        """Wait until little is queued, or the connection is lost."""
        if self._size + self._transport.get_write_buffer_size() <= ROOM_BYTES:
            return
        self.flush()
        while self._transport.get_write_buffer_size() > ROOM_BYTES:
            if self._transport.is_closing():
                return
            # One task for all who wait: the writer does not survive that one of them is cancelled.
            if self._drained is None or self._drained.done():
                self._drained = asyncio.ensure_future(_drain(self._writer))
            await asyncio.shield(self._drained)


async def _drain(writer: AbstractStreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        await writer.drain()
