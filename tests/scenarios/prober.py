"""A prober that asks ten times a second from outside, whatever becomes of its last question."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final, Literal

import httpx

from .callers import Caller, Json
from .charts import Chart, timeline

Kind = Literal["write", "read", "ready"]

HERTZ: Final = 10
ANSWER_SECONDS: Final = 10.0
"""After which a probe counts as unanswered."""
_GOOD: Final = {200, 201}


@dataclass(frozen=True, kw_only=True)
class Probe:
    """One question and what became of it; times are seconds since probing began."""

    kind: Kind
    sent: float
    answered: float
    outcome: str
    """`ok`, a status, or how the connection ended."""
    is_told: bool = True
    """Whether a refusal said when to come back."""

    @property
    def is_ok(self) -> bool:
        """Whether it was answered as it should."""
        return self.outcome == "ok"

    @property
    def is_refused(self) -> bool:
        """Whether somebody said no, or nobody listened; not when it only took too long."""
        return self.outcome.isdigit() or self.outcome.startswith("Connect")


@dataclass
class Prober:
    """All probes so far, and the moments that matter for them."""

    callers: list[Caller]
    thread: str
    """Where probes are written."""
    fixed: str
    """A thread that nobody writes to, for reading."""
    expected: Json
    """What reading it must give."""
    probes: list[Probe] = field(default_factory=list)
    marks: list[tuple[float, str]] = field(default_factory=list)
    wrong: list[Json] = field(default_factory=list)
    """Answers that were a success and not what is stored."""
    _begun: float = field(default_factory=time.perf_counter)
    _open: set[asyncio.Task[None]] = field(default_factory=set)

    def now(self) -> float:
        """Seconds since probing began."""
        return time.perf_counter() - self._begun

    def mark(self, label: str, *, at: float | None = None) -> float:
        """Remember a moment: this one, unless another is given."""
        self.marks.append((self.now() if at is None else at, label))
        return self.marks[-1][0]

    def of(self, kind: Kind) -> list[Probe]:
        """Probes of one kind by the moment they were sent."""
        return sorted((p for p in self.probes if p.kind == kind), key=lambda p: p.sent)

    def refused_since(self, moment: float, kind: Kind = "write") -> bool:
        """Whether one sent later was refused by now."""
        return any(p.is_refused for p in self.probes if p.kind == kind and p.sent >= moment)

    def is_told(self, asked: float, began: float) -> bool:
        """Whether a later write was answered by now, and monitors told that something is bad.

        An outage that was asked for is known to have begun only some time after it has.
        """
        is_answered = self.refused_since(asked) or self.served_since(began)
        return is_answered and self.refused_since(asked, "ready")

    def served_since(self, moment: float, kind: Kind = "write") -> bool:
        """Whether one sent later has succeeded by now."""
        return any(p.is_ok for p in self.probes if p.kind == kind and p.sent >= moment)

    def detection(self, moment: float, kind: Kind = "write") -> float | None:
        """Seconds from a moment until somebody was told that something is wrong; None: nobody."""
        refused = [p.answered for p in self.of(kind) if p.is_refused and p.sent >= moment]
        return min(refused) - moment if refused else None

    def downtime(self, kind: Kind = "write") -> float:
        """The longest time in which nobody was served, from success to success."""
        good = sorted(p.answered for p in self.of(kind) if p.is_ok)
        assert len(good) > 1, f"no {kind} succeeded twice"
        longest = max(later - earlier for earlier, later in pairwise(good))
        return max(0.0, longest - 1 / HERTZ)

    def availability(self, kind: Kind = "write") -> float:
        """Share of probes that succeeded."""
        probes = self.of(kind)
        return sum(p.is_ok for p in probes) / len(probes)

    def falsely_served(self, since: float, until: float) -> list[Probe]:
        """Writes sent and acknowledged while nothing could have been stored."""
        return [p for p in self.of("write") if p.is_ok and p.sent >= since and p.answered <= until]

    def chart(self, name: str) -> Chart:
        """All of it, for the report."""
        kinds: tuple[Kind, ...] = ("write", "read", "ready")
        rows: dict[str, list[tuple[float, float, bool]]] = {
            kind: [(p.sent, p.answered, p.is_ok) for p in self.of(kind)] for kind in kinds
        }
        return timeline(name, rows, self.marks)

    async def run(self) -> None:
        """Probe until cancelled."""
        number = 0
        while True:
            await asyncio.sleep(max(0.0, number / HERTZ - self.now()))
            caller = self.callers[number % len(self.callers)]
            for kind, ask in self._questions(caller, number).items():
                task = asyncio.create_task(self._probe(kind, ask))
                self._open.add(task)
                task.add_done_callback(self._open.discard)
            number += 1

    async def settle(self) -> None:
        """Wait for the answers that are still out."""
        await asyncio.gather(*self._open)

    def _questions(
        self, caller: Caller, number: int
    ) -> dict[Kind, Callable[[], Awaitable[httpx.Response]]]:
        body = {"messages": [{"content": f"probe {number}"}]}
        path = f"/v1/threads/{self.thread}/messages"
        key = {"Idempotency-Key": f"probe-{number}"}
        return {
            "write": lambda: caller.send("POST", path, json=body, headers=key),
            "read": lambda: caller.send("GET", f"/v1/threads/{self.fixed}/messages"),
            "ready": lambda: caller.send("GET", "/readyz"),
        }

    async def _probe(self, kind: Kind, ask: Callable[[], Awaitable[httpx.Response]]) -> None:
        sent, is_told = self.now(), True
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                answer = await ask()
        except (httpx.TransportError, TimeoutError) as exc:
            outcome = type(exc).__name__
        else:
            outcome = "ok" if answer.status_code in _GOOD else str(answer.status_code)
            is_told = outcome == "ok" or "Retry-After" in answer.headers
            if kind == "read" and outcome == "ok" and answer.json() != self.expected:
                self.wrong.append(answer.json())
        probe = Probe(kind=kind, sent=sent, answered=self.now(), outcome=outcome, is_told=is_told)
        self.probes.append(probe)


@asynccontextmanager
async def probing(callers: list[Caller]) -> AsyncIterator[Prober]:
    """Probe as long as the block lasts."""
    thread, fixed = [(await callers[0].create(title="probes"))["id"] for _ in range(2)]
    await callers[0].say(fixed, *(f"message {number}" for number in range(10)))
    expected = await callers[0].ask("GET", f"/v1/threads/{fixed}/messages", 200)
    prober = Prober(callers, thread, fixed, expected)
    task = asyncio.create_task(prober.run())
    try:
        yield prober
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await prober.settle()
