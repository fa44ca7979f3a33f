"""An outage of the database under load, whoever causes it, and what must be true of it."""

from __future__ import annotations

import asyncio
import hashlib
from typing import Literal

from ...support.waiting import until
from ..callers import Caller, Tenant, gathered
from ..figures import Figures
from ..prober import Kind, Prober, probing
from ..stage import Faults, Stage
from ..traffic import traffic

USERS, THREADS, MESSAGES = 5, 3, 10
DETECTION_SECONDS, DOWNTIME_SECONDS = 30.0, 300.0
APPENDS = 60
"""Before and after the outage, at least."""

How = Literal["killed", "blocked"]


async def stored(tenant: Tenant) -> dict[tuple[int, str], str]:
    """Five users with three threads of ten messages: (user, thread) → digest."""
    people = [tenant.user(f"user-{n}", at=n) for n in range(USERS)]
    for user in people:
        for _ in range(THREADS):
            thread = (await user.create())["id"]
            for number in range(MESSAGES):
                await user.say(thread, f"message {number}")
    threads = [(n, t["id"]) for n, u in enumerate(people) for t in await u.pages("/v1/threads")]
    digests = await gathered(8, [digest(people[n], thread) for n, thread in threads])
    return dict(zip(threads, digests, strict=True))


async def digest(user: Caller, thread: str) -> str:
    """Of a whole log."""
    return hashlib.sha256(repr(await user.entries(thread)).encode()).hexdigest()


async def still_stored(tenant: Tenant, before: dict[tuple[int, str], str]) -> int:
    """How many of the threads are what they were."""
    calls = [digest(tenant.user(f"user-{n}"), thread) for n, thread in before]
    after = await gathered(8, calls)
    return sum(a == b for a, b in zip(after, before.values(), strict=True))


async def endure(how: How, stage: Stage, seconds: float, figures: Figures) -> None:
    """Let the database go away for a while, under load; nothing may be lost or claimed."""
    tenant = await stage.operator.tenant()
    before = await stored(tenant)
    ann = [tenant.user("ann", at=at) for at in range(len(stage.urls))]
    async with probing(ann) as prober, traffic(ann, threads=2) as going:
        await going.grow(APPENDS)
        await outage(how, stage.faults, prober, seconds)
        await going.grow(APPENDS, DOWNTIME_SECONDS)
    await going.compare()
    assert await still_stored(tenant, before) == len(before) == USERS * THREADS
    acknowledged = len(going.ledger.acknowledged)
    figures.record(f"database {how}, acknowledged by others", acknowledged, n=acknowledged)
    record(how, prober, figures)


async def outage(how: How, faults: Faults, prober: Prober, seconds: float) -> None:
    """Until clients have been told one thing or the other, and at least so long."""
    asked = prober.mark("asked")
    await (faults.kill_database() if how == "killed" else faults.block_database())
    began = prober.mark("away")
    await until(
        lambda: prober.is_told(asked, began),
        DETECTION_SECONDS,
        what="a refusal",
    )
    if how == "blocked" or not faults.is_healing:
        await asyncio.sleep(began + seconds - prober.now())
    ended = prober.now()
    if how == "blocked":
        await faults.unblock_database()
    else:
        ago = await faults.start_database()
        ended = max(began, prober.now() - ago)
    prober.mark("back", at=ended)
    assert prober.falsely_served(began, ended) == []
    await until(lambda: prober.served_since(ended), DOWNTIME_SECONDS, what="a served write")
    await until(lambda: prober.served_since(ended, "ready"), DOWNTIME_SECONDS, what="readiness")


def record(how: How, prober: Prober, figures: Figures) -> None:
    """Judge what the prober saw."""
    (asked, _), (began, _), (ended, _) = prober.marks
    writes = prober.of("write")
    refused = [p for p in writes if not p.is_ok]

    assert prober.wrong == [], "a read succeeded with something else than what is stored"
    assert prober.falsely_served(began, ended) == []
    assert all(probe.is_told for probe in refused if probe.outcome == "503")
    count, name = len(writes), f"database {how}"
    told: tuple[tuple[Kind, str], ...] = (("write", "refused after"), ("ready", "not ready after"))
    for kind, what in told:
        # Writes that have waited for a database that is soon back are not refused at all.
        if (seconds := prober.detection(asked, kind)) is not None:
            figures.judge(f"{name}, {what}", seconds, "s", n=count, below=DETECTION_SECONDS)
    figures.record(f"{name}, away for", ended - began, "s", n=1)
    figures.judge(f"{name}, no write for", prober.downtime(), "s", n=count, below=DOWNTIME_SECONDS)
    back = min(p.answered for p in writes if p.is_ok and p.sent >= ended) - ended
    figures.record(f"{name}, served again after", back, "s", n=1)
    answered = [p for p in refused if p.outcome.isdigit()]
    # The service itself is there all the time, and says when to come back.
    figures.judge(f"{name}, not answered", len(refused) - len(answered), "", n=count, below=1)
    if answered:
        longest = max(p.answered - p.sent for p in answered)
        figures.record(f"{name}, longest wait for a refusal", longest, "s", n=len(answered))
    figures.record(f"{name}, acknowledged and lost", 0, n=count)
    figures.draw(prober.chart(name))
