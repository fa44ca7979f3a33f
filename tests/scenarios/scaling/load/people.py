"""Active users over HTTP: each waits for the answer, pauses, and goes on."""

from __future__ import annotations

import asyncio
import random
import time
from collections import defaultdict

from .connection import GONE, Answer, Asking, Connection
from .mix import PAGE, THREADS, Operation, operations
from .plan import Place, Plan, Seen

_PATIENCE = 5
"""Attempts at what belongs to the test and not to the load."""
_PAUSE_SECONDS = 1.0


class Person:
    """One user with a connection of his own."""

    def __init__(self, plan: Plan, number: int, seen: Seen) -> None:
        place = Place.of(plan.urls[number % len(plan.urls)])
        self._plan = plan
        self._seen = seen
        self._chance = random.Random(plan.seed * 100_003 + number)
        self._asking = Asking(place, plan.bearer, f"user-{plan.seed}-{number}")
        self._connection = Connection(place)
        self._acknowledged: dict[str, dict[int, str]] = defaultdict(dict)
        """Thread → seq → text."""
        self._doubtful: set[str] = set()
        """Threads with a post that got no clear answer."""
        self._threads: list[str] = []

    async def prepare(self) -> None:
        """Make the threads that the user has from the beginning."""
        wanted = self._chance.randint(*THREADS)
        for _ in range(wanted * _PATIENCE):
            await self._create()
            if len(self._threads) == wanted:
                return
        raise RuntimeError(f"{self._asking.user} got {len(self._threads)} of {wanted} threads")

    async def live(self) -> None:
        """All operations, each after a pause."""
        for number, operation in enumerate(operations(self._chance, self._plan.operations)):
            await asyncio.sleep(self._chance.uniform(*self._plan.pause))
            begun = time.perf_counter()
            try:
                status = await self._do(operation, number)
            except GONE as exc:
                self._connection.close()
                self._seen.errors[type(exc).__name__] += 1
                continue
            if status in {200, 201}:
                self._seen.seconds[operation].append(time.perf_counter() - begun)
            else:
                self._seen.errors[f"{operation} {status}"] += 1

    async def check(self) -> None:
        """Read again what was acknowledged: everything, once, where it was said to be."""
        for thread, expected in self._acknowledged.items():
            found = await self._read_all(thread)
            by_seq = dict(found)
            self._seen.wrong["lost"] += sum(by_seq.get(s) != t for s, t in expected.items())
            if thread not in self._doubtful:
                self._seen.wrong["unasked"] += len(found) - len(expected)
        self._connection.close()

    async def _do(self, operation: Operation, number: int) -> int:
        if operation == "create":
            return (await self._create()).status
        thread = self._chance.choice(self._threads)
        path = f"/v1/threads/{thread}"
        if operation == "post":
            return await self._post(thread, f"{self._asking.user}, message {number}")
        if operation == "read":
            page = f"{path}/messages?backward=true&limit={PAGE}"
            return (await self._ask("GET", page)).status
        return (await self._ask("PATCH", path, {"metadata": {"turn": number}})).status

    async def _create(self) -> Answer:
        answer = await self._ask("POST", "/v1/threads", {"title": "about scaling"})
        if answer.status == 201:
            self._threads.append(answer.json["id"])
        return answer

    async def _post(self, thread: str, text: str) -> int:
        path = f"/v1/threads/{thread}/messages"
        try:
            answer = await self._ask("POST", path, {"messages": [{"content": text}]})
        except GONE:
            self._doubtful.add(thread)
            raise
        if answer.status == 201:
            self._acknowledged[thread][answer.json["first_seq"]] = text
            self._seen.acknowledged += 1
        elif answer.status >= 500:
            self._doubtful.add(thread)
        return answer.status

    async def _read_all(self, thread: str) -> list[tuple[int, str]]:
        found: list[tuple[int, str]] = []
        while True:
            last = found[-1][0] if found else 0
            path = f"/v1/threads/{thread}/messages?limit=100&after_seq={last}"
            page = (await self._patiently(path)).json
            found += [(each["seq"], each["payload"]["content"]) for each in page["data"]]
            if not page["has_more"]:
                return found

    async def _patiently(self, path: str) -> Answer:
        answer = await self._ask("GET", path)
        for _ in range(_PATIENCE):
            if answer.status == 200:
                return answer
            await asyncio.sleep(_PAUSE_SECONDS)
            answer = await self._ask("GET", path)
        raise RuntimeError(f"GET {path}: {answer.status} {answer.body[:500]!r}")

    async def _ask(self, method: str, path: str, body: object = None) -> Answer:
        return await self._connection.ask(self._asking.request(method, path, body))


async def run(plan: Plan, seen: Seen) -> None:
    """All users of a level at once."""
    people = [Person(plan, number, seen) for number in range(plan.users)]
    await asyncio.gather(*(person.prepare() for person in people))
    begun = time.perf_counter()
    await asyncio.gather(*(person.live() for person in people))
    seen.wall = time.perf_counter() - begun
    if plan.is_checked:
        await asyncio.gather(*(person.check() for person in people))
