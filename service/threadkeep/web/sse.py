"""`/v1/threads/{id}/stream`: the entries of one thread as server-sent events."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from typing import Final

import msgspec
from aiohttp import web

from threadkeep.domain.entries import Cursor
from threadkeep.domain.limits import QUEUE_BYTES
from threadkeep.errors import Forbidden, NotAuthenticated, ThreadkeepError
from threadkeep.logs import get_logger
from threadkeep.services.access.watches import DISABLED
from threadkeep.services.delivery import Frame, Subscription
from threadkeep.web import bodies, frames
from threadkeep.web import websocket_limits as limits
from threadkeep.web.errors import error_body
from threadkeep.web.handlers.threads import thread_of
from threadkeep.web.keys import PRINCIPAL, REQUEST_ID, SERVICES
from threadkeep.web.live import LIVE, Live
from threadkeep.web.live_metrics import SLOW
from threadkeep.web.schemas.search import StreamQuery
from threadkeep.web.websocket_outbox import ROOM_BYTES

_log = get_logger(__name__)

CONTENT_TYPE: Final = "text/event-stream"
HEARTBEAT_SECONDS: Final = 15.0
_LOOK_SECONDS: Final = 5.0
"""How often it is seen whether the reader has gone: nothing tells it while nothing is sent."""
_RETRY_MS: Final = (1000, 3000)
"""Readers wait so long before they connect again, each another time."""
_COMMENT: Final = b":\n\n"


async def open_stream(request: web.Request) -> web.StreamResponse:
    """Entries from the reader's cursor on; without a valid one a snapshot first."""
    live = request.app[LIVE]
    live.refuse_while_draining()
    thread, cursor = thread_of(request), _cursor(request)
    services, principal = request.app[SERVICES], request[PRINCIPAL]
    with services.rates.socket(principal):
        stream = Stream(request, live)
        subscription = await services.delivery.subscribe(
            principal, thread, cursor=cursor, sink=stream
        )
        unwatch = services.credentials.watch(principal, stream.refused)
        try:
            return await stream.serve(subscription)
        finally:
            unwatch()
            services.delivery.unsubscribe(subscription)


def _cursor(request: web.Request) -> Cursor | None:
    """Where the reader stands: what a browser repeats comes before what the address says."""
    query = bodies.query(request, StreamQuery)
    given = request.headers.get("Last-Event-ID") or query.cursor
    return Cursor.parse(given) if given else None


class Stream:
    """One open stream, the `Sink` of its subscription."""

    def __init__(self, request: web.Request, live: Live) -> None:
        self._request = request
        self._live = live
        self._request_id = request[REQUEST_ID]
        self._response = web.StreamResponse(
            headers={"Content-Type": CONTENT_TYPE, "X-Accel-Buffering": "no"}
        )
        self._pending: list[bytes] = []
        self._size = 0
        self._filled = asyncio.Event()
        self._written = asyncio.Event()
        self._is_over = False
        self._reason = "gone"
        self._looks = 0
        self._cutter: asyncio.TimerHandle | None = None
        self._place: Cursor | None = None
        """What was queued last."""

    async def serve(self, subscription: Subscription) -> web.StreamResponse:
        """Send until somebody ends it."""
        live = self._live
        await self._response.prepare(self._request)
        live.add(self, _LOOK_SECONDS)
        live.streams += 1
        _log.info("stream.opened", thread_id=subscription.thread, verdict=subscription.verdict)
        try:
            self._add(f"retry: {random.randint(*_RETRY_MS)}\n\n".encode())  # noqa: S311 - jitter
            self._tell_joined(subscription)
            subscription.start()
            await self._write()
        except ConnectionError:
            pass  # the reader has gone: nothing to tell anybody
        finally:
            self._is_over = True
            self._written.set()
            if self._cutter is not None:
                self._cutter.cancel()
            live.remove(self)
            live.streams -= 1
            last_seq = self._place.seq if self._place else 0
            _log.info("stream.closed", reason=self._reason, last_seq=last_seq)
        return self._response

    # What delivery asks of a sink.

    @property
    def closed(self) -> bool:
        """True once nothing can be sent any more."""
        return self._is_over

    def push(self, given: Sequence[Frame]) -> None:
        """Queue frames; over the bound the stream is ended as slow."""
        if self._is_over:
            return
        waiting = self._waiting()
        encoded = [frames.sse(frame) for frame in given]
        if waiting and waiting + sum(map(len, encoded)) > QUEUE_BYTES:
            SLOW.labels("sse").inc()
            self._end("slow_consumer", self._slow())
            return
        self._live.totals.events += len(encoded)
        self._place = given[-1].cursor or self._place
        for event in encoded:
            self._add(event)

    async def room(self) -> None:
        """Wait until little is queued, or the stream is over."""
        while not self._is_over and self._waiting() > ROOM_BYTES:
            self._written.clear()
            await self._written.wait()

    def rejoined(self, subscription: Subscription) -> None:
        """The thread has another history."""
        self._tell_joined(subscription)

    def ended(self, _subscription: Subscription, error: ThreadkeepError) -> None:
        """The thread is gone for good."""
        self._end(error.code, self._error(error))

    # What the process asks of a connection.

    @property
    def is_busy(self) -> bool:
        """A stream takes no commands."""
        return False

    def beat(self) -> float:
        """See whether the reader has gone; send a comment so that nobody on the way hangs up."""
        transport = self._request.transport
        if transport is None or transport.is_closing():
            self._end("gone")
        self._looks += 1
        if self._looks * _LOOK_SECONDS % HEARTBEAT_SECONDS == 0 and not self._pending:
            self._add(_COMMENT)
        return _LOOK_SECONDS

    def warn(self, reconnect_after_ms: int, reason: str) -> None:
        """Send `drain`."""
        self._add(frames.event("drain", frames.drain(reconnect_after_ms, reason)))

    def leave(self) -> None:
        """The process is leaving."""
        self._end("restart")

    def cut(self) -> None:
        """Drop the connection without a word."""
        self._end("cut")
        if self._request.transport is not None:
            self._request.transport.abort()

    def refused(self, reason: str) -> None:
        """The credential has expired or was revoked, or the tenant is disabled."""
        error = Forbidden() if reason == DISABLED else NotAuthenticated()
        self._end(error.code, self._error(error))

    def _tell_joined(self, subscription: Subscription) -> None:
        snapshot = subscription.snapshot
        if snapshot is not None:
            self._place = Cursor(snapshot.thread.epoch, snapshot.last_seq)
            self._add(frames.event("snapshot", frames.snapshot(snapshot), self._place))

    def _add(self, data: bytes) -> None:
        if not self._is_over:
            self._pending.append(data)
            self._size += len(data)
            self._filled.set()

    def _waiting(self) -> int:
        transport = self._request.transport
        return self._size + (transport.get_write_buffer_size() if transport is not None else 0)

    async def _write(self) -> None:
        while self._pending or not self._is_over:
            await self._filled.wait()
            self._filled.clear()
            data, self._pending, self._size = b"".join(self._pending), [], 0
            if data:
                await self._response.write(data)
            self._written.set()
        await self._response.write_eof()

    def _end(self, reason: str, last: bytes = b"") -> None:
        """Send what is queued and `last`, then close; a reader who does not read is cut off."""
        if self._is_over:
            return
        if last:
            self._add(last)
        self._is_over = True
        self._reason = reason
        self._filled.set()
        self._written.set()
        transport = self._request.transport
        if transport is not None:
            self._cutter = asyncio.get_running_loop().call_later(
                limits.CLOSE_SECONDS, transport.abort
            )

    def _error(self, error: ThreadkeepError) -> bytes:
        return frames.event("error", msgspec.json.encode(error_body(error, self._request_id)[1]))

    def _slow(self) -> bytes:
        error = frames.slow_consumer(self._request_id)
        cursor = self._place.text() if self._place else None
        return frames.event("error", msgspec.json.encode({"error": error, "cursor": cursor}))
