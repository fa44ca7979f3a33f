"""The load generator: one line of load from standard input, its figures to standard output."""

from __future__ import annotations

import asyncio
import functools
import json
import resource
import secrets
import sys
import time
from dataclasses import dataclass, field
from typing import Any

import uvloop

from .figures import latencies
from .load import Caller, Poster, Socket, Tally

_WARM_UP_SECONDS = 0.7
_STAGGER = 50
"""Connections opened at the same moment."""


@dataclass(frozen=True)
class Line:
    """One line of load."""

    host: str
    port: int
    bearer: str
    user: str
    threads: list[str]
    kind: str = "socket"
    connections: int = 64
    window: int = 8
    seconds: float = 4.0
    subscribers: int = 0
    """Sockets that follow each thread."""
    options: dict[str, Any] = field(default_factory=dict)


async def run(line: Line) -> dict[str, float]:
    """Open the connections, load for the time, and count."""
    caller = Caller(line.host, line.port, line.bearer, line.user)
    tally = Tally()
    key = secrets.token_hex(6)
    listeners = await _listeners(line, caller, tally)
    senders = await _senders(line, caller, tally, key)
    tally.started = time.perf_counter() + _WARM_UP_SECONDS
    tally.ends = tally.started + line.seconds
    before = _cpu()
    for sender in senders:
        sender.start()
    await asyncio.wait_for(
        asyncio.gather(*(sender.idle.wait() for sender in senders)), line.seconds + 30
    )
    spent = _cpu() - before
    for connection in (*senders, *listeners):
        connection.close()
    return _figures(tally, line.seconds, spent)


async def _listeners(line: Line, caller: Caller, tally: Tally) -> list[Socket]:
    threads = [thread for thread in line.threads for _ in range(line.subscribers)]
    listeners = [Socket(caller, tally, thread=t, key="", window=0) for t in threads]
    await _connect(line, listeners)
    for listener in listeners:
        await listener.opened
        listener.subscribe()
    await asyncio.wait_for(asyncio.gather(*(each.subscribed for each in listeners)), 30)
    return listeners


async def _senders(line: Line, caller: Caller, tally: Tally, key: str) -> list[Socket | Poster]:
    senders: list[Socket | Poster] = []
    for number in range(line.connections):
        thread = line.threads[number % len(line.threads)]
        name = f"{key}-{number}"
        if line.kind == "http":
            senders.append(Poster(caller, tally, thread=thread, key=name))
        else:
            senders.append(Socket(caller, tally, thread=thread, key=name, window=line.window))
    await _connect(line, senders)
    for sender in senders:
        if isinstance(sender, Socket):
            await sender.opened
    return senders


async def _connect(line: Line, protocols: list[Any]) -> None:
    loop = asyncio.get_running_loop()
    for at in range(0, len(protocols), _STAGGER):
        await asyncio.gather(
            *(
                loop.create_connection(functools.partial(given, p), line.host, line.port)
                for p in protocols[at : at + _STAGGER]
            )
        )


def given(protocol: asyncio.Protocol) -> asyncio.Protocol:
    """The protocol itself, for `create_connection`, which wants a factory."""
    return protocol


def _figures(tally: Tally, seconds: float, spent: float) -> dict[str, float]:
    return {
        "appends": tally.done,
        "failed": tally.failed,
        "delivered": tally.delivered,
        "per_second": tally.done / seconds,
        "delivered_per_second": tally.delivered / seconds,
        **latencies(tally.latencies),
        "generator_cpu": spent / (seconds + _WARM_UP_SECONDS),
    }


def _cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    """Read one line as JSON, print its figures as JSON."""
    line = Line(**json.load(sys.stdin))
    print(json.dumps(uvloop.run(run(line))))


if __name__ == "__main__":
    main()
