"""One TCP connection: plain appends are answered here, everything else is given to aiohttp.

An append costs aiohttp and its middleware four times what the append itself costs. So a plain
request that appends goes straight to the use case (`quick_appends`), any other plain one to
aiohttp and comes back when it is answered. What is not plain takes the connection to aiohttp for
good, so that there is never a doubt about where a request ends (docs/decisions/0018).
"""

from __future__ import annotations

import asyncio
from enum import Enum, auto
from typing import Final, Protocol, cast

from typing_extensions import override

from threadkeep.web.malformed import RequestHandler
from threadkeep.web.plain_request import PlainRequest, plain_request

GATHER_BYTES: Final = 64 * 1024
"""Many clients send the body apart from the head: a body of this size is waited for …"""
GATHER_SECONDS: Final = 1.0
"""… for so long, and as one piece."""
IDLE_SECONDS: Final = 75.0
"""How long a connection may wait for its next request; longer than usual proxies keep theirs."""


class Appends(Protocol):
    """What answers plain appends."""

    def begin(self, request: PlainRequest, connection: Connection) -> bool:
        """Begin what ends in `connection.answer`.

        False where it is not for these; nothing is changed then.
        """


class _State(Enum):
    QUIET = auto()
    """Every request has been answered, and nothing has come since."""
    GATHERING = auto()
    """The head of a plain request has come, and its body not yet."""
    APPENDING = auto()
    """A plain append waits for its verdict."""
    PASSED_ON = auto()
    """aiohttp has a plain request."""
    LEFT = auto()
    """aiohttp has the connection."""


class Connection(asyncio.Protocol):
    """The protocol of a connection until aiohttp's takes its place."""

    __slots__ = (
        "_appends",
        "_gather_timer",
        "_idle_since",
        "_idle_timer",
        "_is_full",
        "_piled",
        "_state",
        "_transport",
        "address",
        "handler",
    )

    def __init__(self, handler: RequestHandler, appends: Appends) -> None:
        self.handler: Final = handler
        """aiohttp's protocol of this connection."""
        self.address = ""
        """Where the caller is."""
        self._appends: Final = appends
        self._state = _State.QUIET
        self._piled = b""
        self._gather_timer: asyncio.TimerHandle | None = None
        self._is_full = False
        self._idle_since = 0.0
        self._idle_timer: asyncio.TimerHandle | None = None

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are not of asyncio's classes.
        self._transport = cast("asyncio.Transport", transport)
        self.address = (transport.get_extra_info("peername") or ("",))[0]
        self.handler.answered = self._answered
        self.handler.connection_made(transport)

    @override
    def data_received(self, data: bytes) -> None:
        state = self._state
        if state is _State.APPENDING:
            self._piled += data
            self._transport.pause_reading()
        elif state is _State.PASSED_ON:
            self._leave(data)
        else:
            data = self._gathered() + data
            request = plain_request(data)
            if request is None:
                self._leave(data)
            elif not request.missing:
                self._take(request, data)
            elif state is _State.QUIET and request.missing <= GATHER_BYTES:
                self._gather(data)
            else:
                self._leave(data)

    def _take(self, request: PlainRequest, data: bytes) -> None:
        self._state = _State.APPENDING
        if not self._is_full and self._appends.begin(request, self):
            self.handler.keep_alive(val=True)  # ends aiohttp's timer, which knows nothing of this
        else:
            self._state = _State.PASSED_ON
            self.handler.data_received(data)

    def _gather(self, data: bytes) -> None:
        self._state = _State.GATHERING
        self._piled = data
        loop = asyncio.get_running_loop()
        self._gather_timer = loop.call_later(GATHER_SECONDS, self._give_up)

    def _gathered(self) -> bytes:
        if self._gather_timer is not None:
            self._gather_timer.cancel()
            self._gather_timer = None
        piled, self._piled = self._piled, b""
        return piled

    def _give_up(self) -> None:
        self._leave(self._gathered())

    def answer(self, data: bytes) -> None:
        """Send the answer to an append, and go on with what has come meanwhile."""
        if self._transport.is_closing():
            return
        self._transport.write(data)
        self._rest()
        if piled := self._gathered():
            self._transport.resume_reading()
            self.data_received(piled)

    @override
    def pause_writing(self) -> None:
        self._is_full = True
        self.handler.pause_writing()

    @override
    def resume_writing(self) -> None:
        self._is_full = False
        self.handler.resume_writing()

    @override
    def eof_received(self) -> None:
        self.handler.eof_received()

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._let_go()
        self.handler.connection_lost(exc)

    def _answered(self) -> None:
        if self._state is _State.PASSED_ON:
            self._rest()

    def _rest(self) -> None:
        self._state = _State.QUIET
        loop = asyncio.get_running_loop()
        self._idle_since = loop.time()
        if self._idle_timer is None:
            self._idle_timer = loop.call_later(IDLE_SECONDS, self._look_idle)

    def _look_idle(self) -> None:
        loop = asyncio.get_running_loop()
        ends = self._idle_since + IDLE_SECONDS
        if self._state is _State.QUIET and loop.time() >= ends:
            self.handler.force_close()
        else:
            when = max(ends, loop.time() + 1)
            self._idle_timer = loop.call_at(when, self._look_idle)

    def _leave(self, data: bytes) -> None:
        self._state = _State.LEFT
        self._let_go()
        self._transport.set_protocol(self.handler)
        self.handler.data_received(data)

    def _let_go(self) -> None:
        self.handler.answered = None
        self._gathered()
        if self._idle_timer is not None:
            self._idle_timer.cancel()
            self._idle_timer = None
