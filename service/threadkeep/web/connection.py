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

from threadkeep.web.greetings import Greetings
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

    def awaits(self, request: PlainRequest) -> bool:
        """Whether `begin` would take this request if its body had come."""

    def begin(self, request: PlainRequest, connection: Connection) -> bool:
        """Begin what ends in `connection.answer`.

        False where it is not for these; nothing is changed then.
        """


class _State(Enum):
    QUIET = auto()
    """Every request has been answered, and nothing has come since."""
    GATHERING = auto()
    """The head of a plain append has come, and its body not yet."""
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
        "_greetings",
        "_idle_since",
        "_idle_timer",
        "_is_full",
        "_missing",
        "_piled",
        "_state",
        "_transport",
        "address",
        "handler",
    )

    def __init__(self, handler: RequestHandler, appends: Appends, greetings: Greetings) -> None:
        self.handler: Final = handler
        """aiohttp's protocol of this connection."""
        self.address = ""
        """Where the caller is."""
        self._appends: Final = appends
        self._greetings: Final = greetings
        self._state = _State.QUIET
        self._piled = b""
        self._missing = 0
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
        self._greetings.expect(self.handler)
        self.handler.connection_made(transport)

    @override
    def data_received(self, data: bytes) -> None:
        if self._state is _State.APPENDING:
            self._piled += data
            self._transport.pause_reading()
        elif self._state is _State.PASSED_ON:
            self._pass_rest(data)
        else:
            self._begin(self._gathered() + data)

    def _begin(self, data: bytes) -> None:
        request = plain_request(data)
        if request is None or self._is_full:
            self._leave(data)
            return
        self._greetings.arrived(self.handler)
        if request.missing:
            self._begin_part(request, data)
        elif not self._append(request):
            self._pass_on(data, 0)

    def _begin_part(self, request: PlainRequest, data: bytes) -> None:
        if self._state is _State.GATHERING:
            self._leave(data)  # in more than two pieces
        elif request.missing <= GATHER_BYTES and self._appends.awaits(request):
            self._state = _State.GATHERING
            self._piled = data
            self.handler.keep_alive(val=True)  # ends its timer: the connection is not idle
            loop = asyncio.get_running_loop()
            self._gather_timer = loop.call_later(GATHER_SECONDS, self._give_up)
        else:
            self._pass_on(data, request.missing)

    def _append(self, request: PlainRequest) -> bool:
        self._state = _State.APPENDING
        if not self._appends.begin(request, self):
            return False
        self.handler.keep_alive(val=True)  # as above
        return True

    def _pass_on(self, data: bytes, missing: int) -> None:
        self._state = _State.PASSED_ON
        self._missing = missing
        self.handler.data_received(data)

    def _pass_rest(self, data: bytes) -> None:
        self._missing -= len(data)
        self.handler.data_received(data)

    def _gathered(self) -> bytes:
        if self._gather_timer is not None:
            self._gather_timer.cancel()
            self._gather_timer = None
        piled, self._piled = self._piled, b""
        return piled

    def _give_up(self) -> None:
        self._leave(self._gathered())

    def answer(self, data: bytes, *, is_last: bool = False) -> None:
        """Send the answer to an append, and go on with what has come meanwhile."""
        if self._transport.is_closing():
            return
        self._transport.write(data)
        self._rest()
        piled = self._gathered()
        if is_last:
            self._transport.close()
        elif piled:
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
        self._greetings.arrived(self.handler)
        self.handler.connection_lost(exc)

    def _answered(self) -> None:
        if self._missing:
            self._leave(b"")  # answered before its body has come, or more has come than that
        elif self._state is _State.PASSED_ON:
            self._rest()

    def _rest(self) -> None:
        self._state = _State.QUIET
        loop = asyncio.get_running_loop()
        self._idle_since = loop.time()
        if self._idle_timer is None:
            self._idle_timer = loop.call_later(IDLE_SECONDS, self._look_idle)

    def _look_idle(self) -> None:
        loop = asyncio.get_running_loop()
        if self._state is not _State.QUIET:
            self._idle_since = loop.time()
        ends = self._idle_since + IDLE_SECONDS
        if loop.time() >= ends:
            self.handler.force_close()
        else:
            self._idle_timer = loop.call_at(ends, self._look_idle)

    def _leave(self, data: bytes) -> None:
        if self._state in (_State.QUIET, _State.GATHERING):
            self._greetings.expect(self.handler)  # aiohttp's timer may have been ended
        self._state = _State.LEFT
        self._let_go()
        self._transport.set_protocol(self.handler)
        if data:
            self.handler.data_received(data)

    def _let_go(self) -> None:
        self.handler.answered = None
        self._gathered()
        if self._idle_timer is not None:
            self._idle_timer.cancel()
            self._idle_timer = None
