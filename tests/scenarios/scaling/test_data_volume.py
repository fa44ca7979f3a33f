"""A thread of ten thousand messages is read, searched and written as one of a hundred is."""

from __future__ import annotations

import time
from statistics import median
from typing import Any

import pytest

from ...support.waiting import until
from ..callers import Caller, Tenant
from ..charts import curves
from ..figures import Figures
from ..levels import Levels

pytestmark = [pytest.mark.scenario("scaling", "data volume"), pytest.mark.timeout(600)]

LADDER = (100, 500, 1000, 5000, 10_000)
LAST = 50
LAST_MS, ADD_MS, SEARCH_MS = 200.0, 100.0, 300.0
RATIO = 2.0
"""Between the medians of the longest and of the shortest, as specified."""
LOOSE = 5.0
"""The same on any machine; what grew with the thread would be a hundred times slower."""
REPEATS = 15


class Growing:
    """A thread that grows, and what its operations cost."""

    def __init__(self, user: Caller, thread: str) -> None:
        self._user = user
        self._thread = thread
        self._path = f"/v1/threads/{thread}"
        self.texts: list[str] = []

    async def grow(self, size: int) -> None:
        """Append up to so many messages; the last one holds a word that no other has."""
        while len(self.texts) < size:
            start, count = len(self.texts), min(100, size - len(self.texts))
            texts = [f"message {n} about tides and bridges" for n in range(start, start + count)]
            if start + count == size:
                texts[-1] = f"the {rare(size)} of this thread"
            await self._user.say(self._thread, *texts)
            self.texts += texts

    async def read_all(self) -> float:
        """Seconds to read everything; it must be what was written."""
        begun = time.perf_counter()
        messages = await self._user.messages(self._thread)
        seconds = time.perf_counter() - begun
        assert [each["payload"]["content"] for each in messages] == self.texts
        return seconds

    async def read_last(self) -> float:
        """Seconds to read the end."""
        begun = time.perf_counter()
        params: dict[str, Any] = {"backward": "true", "limit": LAST}
        page = await self._user.ask("GET", f"{self._path}/messages", 200, params=params)
        seconds = time.perf_counter() - begun
        texts = [each["payload"]["content"] for each in page["data"]]
        assert texts == self.texts[-LAST:]
        return seconds

    async def add(self) -> float:
        """Seconds to append a message."""
        text = f"message {len(self.texts)}, one more"
        body = {"messages": [{"content": text}]}
        seconds = await self._user.timed("POST", f"{self._path}/messages", 201, json=body)
        self.texts.append(text)
        return seconds

    async def update(self) -> float:
        """Seconds to change the metadata."""
        body = {"metadata": {"size": len(self.texts)}}
        return await self._user.timed("PATCH", self._path, 200, json=body)

    async def take(self, kind: str) -> float:
        """Seconds of one of these operations by its name."""
        return await {"last": self.read_last, "add": self.add, "update": self.update}[kind]()

    async def search(self, size: int) -> float:
        """Seconds to find the rare word of a size."""
        begun = time.perf_counter()
        hits = await self._hits(size)
        seconds = time.perf_counter() - begun
        assert hits == [f"the {rare(size)} of this thread"]
        return seconds

    async def is_searchable(self, size: int) -> bool:
        """Whether the search has followed so far."""
        return bool(await self._hits(size))

    async def _hits(self, size: int) -> list[str]:
        page = await self._user.ask("GET", "/v1/search", 200, params={"q": rare(size)})
        return [hit["text"] for hit in page["data"]]


def rare(size: int) -> str:
    """A word for one size."""
    return f"needle{size}"


async def test_a_growing_thread(tenant: Tenant, figures: Figures, levels: Levels) -> None:
    user = tenant.user("ann")
    growing = Growing(user, (await user.create())["id"])
    seen: dict[int, dict[str, list[float]]] = {}
    sizes = [size for size in LADDER if size <= levels.volume_messages]
    assert len(sizes) > 1
    for size in sizes:
        await growing.grow(size)
        seen[size] = await measured(growing, size)
        record(figures, size, seen[size])
    medians = {
        kind: [(size, 1000 * median(kinds[kind])) for size, kinds in seen.items()]
        for kind in ("last", "search", "add", "update")
    }
    figures.draw(curves("median latency", x="messages in the thread", y="ms", lines=medians))
    other = tenant.user("bob")
    short = Growing(other, (await other.create())["id"])
    await short.grow(sizes[0])
    for kind, ratio in (await compared(growing, short)).items():
        assert ratio < LOOSE, kind
        figures.judge(f"{kind}, longest to shortest", ratio, "×", n=REPEATS, below=RATIO)


async def measured(growing: Growing, size: int) -> dict[str, list[float]]:
    """Seconds of each operation at one size; the first of each only warms up."""
    await until(lambda: growing.is_searchable(size), 60, what=f"the search at {size}")
    full = [await growing.read_all()]
    seen = {
        "last": [await growing.read_last() for _ in range(REPEATS + 1)][1:],
        "search": [await growing.search(size) for _ in range(REPEATS + 1)][1:],
        "add": [await growing.add() for _ in range(REPEATS + 1)][1:],
        "update": [await growing.update() for _ in range(REPEATS + 1)][1:],
    }
    return seen | {"full": full}


async def compared(long: Growing, short: Growing) -> dict[str, float]:
    """How many times longer each operation takes on the one than on the other.

    In turn, so that what else the machine does meanwhile meets both.
    """
    ratios: dict[str, float] = {}
    for kind in ("last", "add", "update"):
        pairs = [(await long.take(kind), await short.take(kind)) for _ in range(REPEATS + 1)][1:]
        of_long, of_short = zip(*pairs, strict=True)
        ratios[kind] = median(of_long) / median(of_short)
    return ratios


def record(figures: Figures, size: int, seen: dict[str, list[float]]) -> None:
    """The figures of one size."""
    full_ms = max(50.0, min(2000.0, 0.2 * size))
    figures.judge(f"all of {size}", 1000 * seen["full"][0], "ms", n=size, below=full_ms)
    figures.latencies(f"last {LAST} of {size}", seen["last"], avg=LAST_MS)
    figures.latencies(f"search in {size}", seen["search"], avg=SEARCH_MS)
    figures.latencies(f"add to {size}", seen["add"], avg=ADD_MS)
    figures.latencies(f"update of {size}", seen["update"])
