"""Connected users: a socket each, commands at moments of their own, whatever is still unanswered.

The moments are chosen beforehand and latencies count from them, so that a service that stands
still is not given time by users who wait for it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import time
from typing import Any, Final, cast

from typing_extensions import override

from ....bench import wire
from .connection import SECONDS, connect
from .mix import PAGE, Operation, operations
from .plan import Place, Plan, Seen

_OPENED_AT_ONCE: Final = 100
_PATIENCE_SECONDS: Final = 10.0
"""For the last frames."""
_PING: Final = 9
_PONG: Final = 0x8A


class Socket(asyncio.Protocol):
    """One connected user with one thread, which he follows."""

    def __init__(self, plan: Plan, number: int, seen: Seen) -> None:
        self._place = Place.of(plan.urls[number % len(plan.urls)])
        self._plan = plan
        self._seen = seen
        self._user = f"socket-{plan.seed}-{number}"
        self._chance = random.Random(plan.seed * 100_019 + number)
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray()
        self._is_open = False
        self._asked: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._sent: dict[str, float] = {}
        """Text → moment of a message that was not delivered yet."""
        self._acknowledged: set[int] = set()
        self._came = asyncio.Event()
        """Set when an entry came."""
        self._thread = ""
        self._first = self._last = 0
        """Of the thread: seq when it was subscribed, and of the last frame."""
        self._opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def prepare(self) -> None:
        """Connect, make the thread and follow it."""
        async with asyncio.timeout(SECONDS):
            await connect(self, self._place)
            await self._opened
            made = await self._ask("create_thread", title="about sockets")
            self._thread = made["thread"]["id"]
            joined = await self._ask("subscribe", thread_id=self._thread)
        self._first = self._last = joined["last_seq"]

    async def live(self, start: float) -> None:
        """Send every command at its moment, and wait for all answers."""
        at, sent = start, []
        async with asyncio.TaskGroup() as group:
            for number, operation in enumerate(operations(self._chance, self._plan.operations)):
                at += self._chance.uniform(*self._plan.pause)
                sent.append(group.create_task(self._do(operation, number, at)))

    def check(self) -> None:
        """Everything acknowledged must have come, in order, and nothing else."""
        undelivered = sum(seq > self._last for seq in self._acknowledged)
        self._seen.wrong["undelivered"] += undelivered

    async def delivered(self) -> None:
        """Wait until all that was acknowledged has come, or for a while."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_PATIENCE_SECONDS):
                while self._acknowledged and max(self._acknowledged) > self._last:
                    self._came = asyncio.Event()
                    await self._came.wait()

    def close(self) -> None:
        """Drop the connection."""
        if self._transport is not None:
            self._transport.abort()

    async def _do(self, operation: Operation, number: int, at: float) -> None:
        await asyncio.sleep(at - time.perf_counter())
        try:
            async with asyncio.timeout(SECONDS):
                answer = await self._send(operation, number, at)
        except (OSError, EOFError, TimeoutError) as exc:
            self._seen.errors[type(exc).__name__] += 1
            return
        if answer["type"] != "ok":
            self._seen.errors[f"{operation} {answer['error']['code']}"] += 1
            return
        self._seen.seconds[operation].append(time.perf_counter() - at)
        if operation == "post":
            self._acknowledged.add(answer["seq"])
            self._seen.acknowledged += 1

    async def _send(self, operation: Operation, number: int, at: float) -> dict[str, Any]:
        if operation == "create":
            return await self._ask("create_thread", title=f"number {number}")
        if operation == "update":
            return await self._ask("rename_thread", thread_id=self._thread, title=f"now {number}")
        if operation == "read":
            read = {"thread_id": self._thread, "limit": PAGE, "backward": True}
            return await self._ask("get_thread_history", **read)
        text = f"{self._user}, message {number}"
        self._sent[text] = at
        return await self._ask("user_message", thread_id=self._thread, content=text)

    async def _ask(self, kind: str, **fields: Any) -> dict[str, Any]:
        if self._transport is None:
            raise EOFError("closed")
        number = len(self._asked)
        future = self._asked[number] = asyncio.get_running_loop().create_future()
        command = json.dumps({"id": number, "type": kind, **fields})
        self._transport.write(wire.frame(command.encode()))
        answer: dict[str, Any] = await future
        return answer

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        authority = f"{self._place.host}:{self._place.port}"
        self._transport.write(wire.handshake(authority, self._plan.bearer, self._user))

    @override
    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if not self._is_open and not self._take_handshake():
            return
        for opcode, payload in wire.frames_in(self._buffer):
            if opcode == wire.TEXT & 0x0F:
                self._take(json.loads(payload))
            elif opcode == _PING and self._transport is not None:
                self._transport.write(bytes([_PONG]) + wire.frame(payload)[1:])

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        end = exc or EOFError("closed")
        if not self._opened.done():
            self._opened.set_exception(end)
        for waiting in self._asked.values():
            if not waiting.done():
                waiting.set_exception(end)

    def _take_handshake(self) -> bool:
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return False
        status = bytes(self._buffer[:end]).split(b"\r\n")[0]
        del self._buffer[: end + 4]
        self._is_open = b" 101 " in status
        if self._is_open:
            self._opened.set_result(None)
        else:
            self._opened.set_exception(EOFError(status.decode()))
        return self._is_open

    def _take(self, frame: dict[str, Any]) -> None:
        if "re" in frame and frame["re"] is not None:
            waiting = self._asked[frame["re"]]
            if not waiting.done():
                waiting.set_result(frame)
        elif "seq" in frame:
            self._take_entry(frame)

    def _take_entry(self, entry: dict[str, Any]) -> None:
        if entry["thread_id"] != self._thread:
            self._seen.wrong["foreign"] += 1
            return
        self._seen.wrong["gaps"] += entry["seq"] != self._last + 1
        self._last = entry["seq"]
        self._came.set()
        if entry["type"] == "message":
            sent = self._sent.pop(entry["payload"]["content"], None)
            if sent is not None:
                self._seen.delivered.append(time.perf_counter() - sent)


async def run(plan: Plan, seen: Seen) -> None:
    """All connected users of a level."""
    sockets = [Socket(plan, number, seen) for number in range(plan.users)]
    for at in range(0, len(sockets), _OPENED_AT_ONCE):
        await asyncio.gather(*(each.prepare() for each in sockets[at : at + _OPENED_AT_ONCE]))
    begun = time.perf_counter()
    await asyncio.gather(*(each.live(begun) for each in sockets))
    seen.wall = time.perf_counter() - begun
    await asyncio.gather(*(each.delivered() for each in sockets))
    for each in sockets:
        each.check()
        each.close()
