"""The load: sockets and connections that keep a window of appends in flight, closed loop."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from dataclasses import dataclass, field
from typing import cast

from typing_extensions import override

from . import wire

TEXT = "a message of about one hundred characters, as people write them to each other every day"


@dataclass
class Tally:
    """What all connections of one line saw inside the measured time."""

    started: float = 0.0
    """When measuring began; answers before it are warm-up."""
    ends: float = 0.0
    done: int = 0
    failed: int = 0
    delivered: int = 0
    latencies: list[float] = field(default_factory=list)
    """Seconds from send to answer."""

    def note(self, sent: float, now: float) -> None:
        """One acknowledged append."""
        if self.started <= now <= self.ends:
            self.done += 1
            self.latencies.append(now - sent)

    def is_open(self) -> bool:
        """Whether another append should be sent."""
        return time.perf_counter() < self.ends


@dataclass(frozen=True)
class Caller:
    """Where and as whom."""

    host: str
    port: int
    bearer: str
    user: str

    @property
    def authority(self) -> str:
        """Host and port as HTTP writes them."""
        return f"{self.host}:{self.port}"


class Peer(asyncio.Protocol):
    """A WebSocket as bytes: opens itself and hands over the text frames of each read."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller
        self._buffer = bytearray()
        self._transport: asyncio.Transport | None = None
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def took(self, payloads: list[bytes], now: float) -> None:
        """Text frames have come, at `now` by `time.perf_counter`."""

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are not of asyncio's classes.
        self._transport = cast("asyncio.Transport", transport)
        self.write(wire.handshake(self._caller.authority, self._caller.bearer, self._caller.user))

    @override
    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if not self.opened.done() and not self._take_handshake():
            return
        now = time.perf_counter()
        self.took([text for opcode, text in wire.frames_in(self._buffer) if opcode == 1], now)

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        if not self.opened.done():
            self.opened.set_exception(ConnectionError("refused"))

    def write(self, data: bytes) -> None:
        """Send encoded frames."""
        assert self._transport is not None
        self._transport.write(data)

    def close(self) -> None:
        """Drop the connection."""
        if self._transport is not None:
            self._transport.abort()

    def _take_handshake(self) -> bool:
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return False
        head = bytes(self._buffer[:end])
        del self._buffer[: end + 4]
        if b" 101 " not in head.split(b"\r\n")[0]:
            self.opened.set_exception(ConnectionError(head.decode()))
            return False
        self.opened.set_result(None)
        return True


class Socket(Peer):
    """One WebSocket that appends to one thread, `window` at a time; window 0 only listens."""

    def __init__(self, caller: Caller, tally: Tally, *, thread: str, key: str, window: int) -> None:
        super().__init__(caller)
        self._tally = tally
        self._thread = thread
        self._key = key
        self._window = window
        self._sent: dict[int, float] = {}
        self._number = 0
        self.subscribed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.idle = asyncio.Event()

    @override
    def took(self, payloads: list[bytes], now: float) -> None:
        answers = 0
        for payload in payloads:
            if payload.startswith(wire.ACK):
                answers += 1
                self._tally.note(self._sent.pop(_number_of(payload), now), now)
            else:
                self._other(payload, now)
        if answers and self._window:
            self._send(answers)

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self.idle.set()

    def start(self) -> None:
        """Fill the window."""
        self._send(self._window)

    def subscribe(self) -> None:
        """Ask for the thread's live entries."""
        self.write(wire.subscribe(self._thread))

    def _other(self, payload: bytes, now: float) -> None:
        if payload.startswith(wire.ENTRY):
            if self._tally.started <= now <= self._tally.ends:
                self._tally.delivered += 1
        elif b'"subscribed"' in payload[:60]:
            if not self.subscribed.done():
                self.subscribed.set_result(None)
        elif b'"error"' in payload[:60]:
            self._tally.failed += 1
            self._sent.pop(_number_of(payload), None)
            if not self._sent:
                self.idle.set()

    def _send(self, count: int) -> None:
        if not self._tally.is_open():
            if not self._sent:
                self.idle.set()
            return
        now = time.perf_counter()
        frames = []
        for _ in range(count):
            self._number += 1
            self._sent[self._number] = now
            frames.append(wire.command(self._number, self._thread, self._key, TEXT))
        self.write(b"".join(frames))


class Poster(asyncio.Protocol):
    """One keep-alive HTTP connection that posts one message after another."""

    def __init__(self, caller: Caller, tally: Tally, *, thread: str, key: str) -> None:
        self._caller = caller
        self._tally = tally
        self._thread = thread
        self._key = key
        self._number = 0
        self._buffer = bytearray()
        self._sent: deque[float] = deque()
        self._transport: asyncio.Transport | None = None
        self.idle = asyncio.Event()

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    @override
    def data_received(self, data: bytes) -> None:
        self._buffer += data
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        head = bytes(self._buffer[:end]).lower()
        at = head.find(b"content-length:")
        size = int(head[at + 15 :].split(b"\r\n", 1)[0])
        if len(self._buffer) < end + 4 + size:
            return
        del self._buffer[: end + 4 + size]
        if head.startswith((b"http/1.1 200", b"http/1.1 201")):
            self._tally.note(self._sent.popleft(), time.perf_counter())
        else:
            self._sent.popleft()
            self._tally.failed += 1
        self.start()

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self.idle.set()

    def start(self) -> None:
        """Send the next request, or rest when the time is over."""
        if not self._tally.is_open():
            self.idle.set()
            return
        self._number += 1
        self._sent.append(time.perf_counter())
        c = self._caller
        key = f"{self._key}-{self._number}"
        assert self._transport is not None
        self._transport.write(wire.post(c.authority, c.bearer, c.user, self._thread, key, TEXT))

    def close(self) -> None:
        """Drop the connection."""
        if self._transport is not None:
            self._transport.abort()


def _number_of(payload: bytes) -> int:
    at = payload.find(b'"re":')
    digits = payload[at + 5 : at + 16].split(b",", 1)[0].split(b"}", 1)[0]
    return int(digits) if at >= 0 and digits.isdigit() else -1
