"""A burst: so many operations at the same moment, each on a connection that is open already.

40 % read a thread, 30 % its messages, 20 % post one, 10 % change a thread.
"""

from __future__ import annotations

import asyncio
import random
import time
from typing import Final

from .connection import GONE, Asking, Connection, connect
from .plan import Place, Plan, Seen

_WEIGHTS: Final = {"select thread": 40, "select messages": 30, "insert": 20, "update": 10}
USER: Final = "burst"
"""Whose threads they are."""
_OPENED_AT_ONCE: Final = 100


async def run(plan: Plan, seen: Seen) -> None:
    """`operations` rounds of `users` operations at once."""
    chance = random.Random(plan.seed)
    places = [Place.of(plan.urls[n % len(plan.urls)]) for n in range(plan.users)]
    connections = [Connection(place) for place in places]
    for at in range(0, len(places), _OPENED_AT_ONCE):
        pairs = zip(connections, places, strict=True)
        some = list(pairs)[at : at + _OPENED_AT_ONCE]
        await asyncio.gather(*(connect(each, place) for each, place in some))
    begun = time.perf_counter()
    for _ in range(plan.operations):
        kinds = chance.choices(list(_WEIGHTS), weights=list(_WEIGHTS.values()), k=plan.users)
        requests = [
            _request(Asking(place, plan.bearer, USER), kind, chance.choice(plan.threads))
            for kind, place in zip(kinds, places, strict=True)
        ]
        rows = zip(connections, kinds, requests, strict=True)
        await asyncio.gather(*(_one(*row, seen) for row in rows))
    seen.wall = time.perf_counter() - begun
    for each in connections:
        each.close()


def _request(asking: Asking, kind: str, thread: str) -> bytes:
    path = f"/v1/threads/{thread}"
    if kind == "select thread":
        return asking.request("GET", path)
    if kind == "select messages":
        return asking.request("GET", f"{path}/messages?backward=true&limit=20")
    if kind == "insert":
        return asking.request("POST", f"{path}/messages", {"messages": [{"content": "in a burst"}]})
    return asking.request("PATCH", path, {"metadata": {"in": "a burst"}})


async def _one(connection: Connection, kind: str, request: bytes, seen: Seen) -> None:
    begun = time.perf_counter()
    try:
        answer = await connection.ask(request)
    except GONE as exc:
        connection.close()
        seen.errors[type(exc).__name__] += 1
        return
    if answer.status in {200, 201}:
        seen.seconds[kind].append(time.perf_counter() - begun)
    else:
        seen.errors[f"{kind} {answer.status}"] += 1
