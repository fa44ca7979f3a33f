"""One open socket: what it follows, what it is told, when and why it closes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

from threadkeep import metrics
from threadkeep.domain.entries import Cursor
from threadkeep.domain.ids import THREAD, to_public
from threadkeep.domain.principals import Principal
from threadkeep.errors import NotFound, ThreadkeepError, TooMany
from threadkeep.logs import get_logger
from threadkeep.services.access.watches import DISABLED
from threadkeep.services.catalog import Services
from threadkeep.services.delivery import Frame, Subscription, UserSubscription
from threadkeep.web import frames
from threadkeep.web import websocket_limits as limits
from threadkeep.web.errors import error_body
from threadkeep.web.live_metrics import SLOW
from threadkeep.web.websocket_outbox import Outbox

_log = get_logger(__name__)

_NULL: Final = b"null"


class Session:
    """The state of one socket, and the `Sink` of everything that it has subscribed."""

    __slots__ = (
        "_bad",
        "_close_timer",
        "_eased",
        "_limited",
        "_transport",
        "code",
        "current",
        "feed",
        "frames_in",
        "frames_out",
        "in_flight",
        "is_heard",
        "is_pinged",
        "last_seq",
        "outbox",
        "principal",
        "request_id",
        "services",
        "subscriptions",
        "taken",
        "unwatch",
    )

    def __init__(
        self,
        services: Services,
        principal: Principal,
        transport: asyncio.Transport,
        outbox: Outbox,
        request_id: str,
    ) -> None:
        self.services = services
        self.principal = principal
        self.outbox = outbox
        self.request_id = request_id
        self.subscriptions: dict[str, Subscription] = {}
        """By the digits of the thread."""
        self.feed: UserSubscription | None = None
        self.current: str | None = None
        """The thread that was subscribed last: `switch_thread` leaves it."""
        self.code = 0
        """The code that the socket was or is being closed with; 0 while it is open."""
        self.in_flight = 0
        self.frames_in = 0
        self.frames_out = 0
        self.last_seq = 0
        self.is_heard = True
        self.is_pinged = False
        self.taken = 0
        self.unwatch: Callable[[], None] | None = None
        self._transport = transport
        self._bad: limits.Strikes | None = None
        self._limited: limits.Strikes | None = None
        self._eased: asyncio.Future[None] | None = None
        self._close_timer: asyncio.TimerHandle | None = None

    # What delivery asks of a sink.

    @property
    def closed(self) -> bool:
        """True once nothing can be sent any more."""
        return self.code != 0

    def push(self, given: Sequence[Frame]) -> None:
        """Queue frames; over the bound the socket is closed as slow, and nobody else notices."""
        if self.code:
            return
        encoded = [frame.websocket or frames.websocket(frame) for frame in given]
        if self.outbox.send_live(encoded):
            self.frames_out += len(encoded)
            self.last_seq = given[-1].seq or self.last_seq
        else:
            self._close_slow(given[0])

    async def room(self) -> None:
        """Wait until there is room for a chunk of what is caught up on."""
        await self.outbox.room()

    def rejoined(self, subscription: Subscription) -> None:
        """The thread has another history."""
        self.tell_joined(_NULL, subscription)

    def ended(self, subscription: Subscription, error: ThreadkeepError) -> None:
        """The thread is gone for good; the socket is not."""
        if self.subscriptions.get(subscription.thread) is subscription:
            del self.subscriptions[subscription.thread]
        thread = to_public(THREAD, subscription.thread)
        _, body = error_body(error, self.request_id)
        self.send(frames.failed(_NULL, body["error"], thread_id=thread))

    # Answers.

    def send(self, payload: bytes) -> None:
        """Queue one JSON object as a frame."""
        if not self.code:
            self.frames_out += 1
            self.outbox.send(frames.text(payload))

    def tell_joined(self, re: bytes, subscription: Subscription) -> None:
        """Answer a subscription: `subscribed`, and the snapshot where there is one."""
        self.send(
            frames.subscribed(
                re,
                subscription.thread,
                subscription.epoch,
                subscription.last_seq,
                subscription.verdict,
            )
        )
        if subscription.snapshot is not None:
            self.send(frames.snapshot(subscription.snapshot))

    def fail(self, re: bytes, exc: BaseException, action: str = "", target: str = "") -> None:
        """Answer a command that failed; `action` on the foreign `target` is audited."""
        status, body = error_body(exc, self.request_id)
        metrics.REFUSED.labels(body["error"]["code"]).inc()
        self.send(frames.failed(re, body["error"]))
        if status == 500:
            _log.error("socket.command_failed", command=action, exc_info=exc)
        elif isinstance(exc, NotFound) and target:
            asyncio.get_running_loop().call_soon(
                self.services.audit.refused, self.principal, f"WS {action}", target
            )
        elif isinstance(exc, TooMany):
            self._limited = self._limited or limits.Strikes()
            if self._limited.add():
                self.close(limits.TOO_MANY, "too_many")

    def refuse(self, re: bytes, error: ThreadkeepError) -> None:
        """Answer a frame that was no command; too many of them close the socket."""
        self.fail(re, error)
        self._bad = self._bad or limits.Strikes()
        if self._bad.add():
            self.close(limits.ABUSE, "abuse")

    # Back-pressure on what the client sends.

    def landed(self) -> None:
        """One append has its verdict."""
        self.in_flight -= 1
        if self._eased is not None and self.in_flight <= limits.COMMANDS_IN_FLIGHT // 2:
            eased, self._eased = self._eased, None
            if not eased.done():
                eased.set_result(None)

    async def ease(self) -> None:
        """Wait until the client may be read again."""
        if self.in_flight >= limits.COMMANDS_IN_FLIGHT:
            self._eased = asyncio.get_running_loop().create_future()
            await self._eased
        await self.outbox.room()

    # The life of the connection.

    @property
    def is_busy(self) -> bool:
        """True while commands wait for their answers."""
        return self.in_flight > 0

    def beat(self) -> float:
        """Ping, or see whether the ping was answered."""
        if self.code:
            return limits.PING_SECONDS
        if not self.is_pinged:
            self.is_pinged, self.is_heard = True, False
            self.taken = self.outbox.taken_from_full()
            self.outbox.send(frames.PING)
            return limits.PONG_SECONDS
        taken = self.outbox.taken_from_full()
        if not self.is_heard and not (self.taken and taken > self.taken):
            self.code = limits.ABNORMAL
            self.cut()
            return limits.PING_SECONDS
        self.is_pinged = False
        return limits.PING_SECONDS - limits.PONG_SECONDS

    def warn(self, reconnect_after_ms: int, reason: str) -> None:
        """Send `drain`."""
        self.send(frames.drain(reconnect_after_ms, reason))

    def leave(self) -> None:
        """The process is leaving."""
        self.close(limits.RESTARTING, "restart")

    def cut(self) -> None:
        """Drop the connection without a word."""
        self.code = self.code or limits.ABNORMAL
        self._transport.abort()

    def refused(self, reason: str) -> None:
        """The credential has expired or was revoked, or the tenant is disabled."""
        if reason == DISABLED:
            self.close(limits.DISABLED, "forbidden")
        else:
            self.close(limits.UNAUTHENTICATED, "not_authenticated")

    def close(self, code: int, reason: str = "") -> None:
        """Begin to close. What is queued is sent before; the peer has `CLOSE_SECONDS`."""
        if self.code:
            return
        self.outbox.send(frames.close(code, reason))
        self.outbox.flush()
        self.code = code
        self.release()
        self._cut_later()

    def release(self) -> None:
        """Give back what the open socket holds. Doing it twice is harmless."""
        self.services.delivery.leave(self)
        self.subscriptions, self.feed = {}, None
        unwatch, self.unwatch = self.unwatch, None
        if unwatch is not None:
            unwatch()

    def finish(self) -> None:
        """The peer has gone or has said goodbye: end the connection."""
        self.code = self.code or limits.ABNORMAL
        self.release()
        self.outbox.flush()
        self._transport.close()
        if not self.outbox.waiting:
            if self._close_timer is not None:
                self._close_timer.cancel()
        elif self._close_timer is None:
            self._cut_later()

    def _cut_later(self) -> None:
        self._close_timer = asyncio.get_running_loop().call_later(
            limits.CLOSE_SECONDS, self._transport.abort
        )

    def _close_slow(self, first: Frame) -> None:
        """4408, with the place up to which each thread was queued."""
        SLOW.labels("websocket").inc()
        cursors: dict[str, str] = {}
        for thread, subscription in self.subscriptions.items():
            seq = subscription.feed.seq if subscription.is_live else subscription.seq
            if first.seq and first.epoch == subscription.epoch:
                seq = min(seq, first.seq - 1)
            cursors[to_public(THREAD, thread)] = Cursor(subscription.epoch, seq).text()
        error = frames.slow_consumer(self.request_id)
        self.send(frames.failed(_NULL, error, cursors=cursors))
        self.close(limits.SLOW_CONSUMER, "slow_consumer")
