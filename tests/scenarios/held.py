"""Sockets that somebody keeps open, and how long he was without each."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import websockets

from ..support.waiting import until
from .callers import Caller
from .wire import open_socket

RESUME_SECONDS = 30.0
_GONE = (OSError, EOFError, TimeoutError, websockets.WebSocketException)
_PAUSE_SECONDS = 0.05


@dataclass
class Held:
    """A socket that somebody keeps open, and how long he was without it."""

    callers: list[Caller]
    thread: str
    breaks: list[float] = field(default_factory=list)
    """Seconds from each loss to the answer that it was resumed."""
    drains: int = 0
    """How often it was told before."""
    is_subscribed: bool = False
    last_seq: int = 0

    async def hold(self) -> None:
        """Subscribe, and resume after each break until cancelled."""
        cursor: dict[str, object] = {"after_seq": 0}
        lost: float | None = None
        for turn in itertools.count():
            caller = self.callers[turn % len(self.callers)]
            with contextlib.suppress(*_GONE):
                async with open_socket(caller.url, caller.headers) as socket:
                    answer = await socket.command("subscribe", thread_id=self.thread, **cursor)
                    if answer["type"] == "subscribed":
                        assert answer["verdict"] == "resumed", answer
                        self.is_subscribed = True
                        if lost is not None:
                            self.breaks.append(time.perf_counter() - lost)
                            lost = None
                        while True:
                            frame = await socket.next(120.0)
                            self.drains += frame.get("type") == "drain"
                            if "seq" in frame:
                                assert frame["seq"] == self.last_seq + 1
                                self.last_seq = frame["seq"]
                                cursor = {"cursor": f"{frame['epoch']}-{frame['seq']}"}
            if lost is None and self.is_subscribed:
                lost = time.perf_counter()
            await asyncio.sleep(_PAUSE_SECONDS)


@contextlib.asynccontextmanager
async def held_sockets(callers: list[Caller], thread: str, count: int) -> AsyncIterator[list[Held]]:
    """Sockets that resume after each break; what they saw wrong is raised at the end."""
    held = [Held(callers[n % 2 :] + callers[: n % 2], thread) for n in range(count)]
    tasks = [asyncio.create_task(each.hold()) for each in held]
    try:
        await until(lambda: all(each.is_subscribed for each in held), 60, what="all sockets")
        yield held
        head = (await callers[0].thread(thread))["last_seq"]
        await until(
            lambda: any(t.done() for t in tasks) or all(each.last_seq >= head for each in held),
            RESUME_SECONDS,
            what="the sockets at the end of the thread",
        )
        for task in tasks:
            if task.done():
                task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
