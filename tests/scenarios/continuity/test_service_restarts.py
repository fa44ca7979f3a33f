"""Processes of the service leave and come back: nobody notices more than a repeat.

Part of planned maintenance only: windows, announcements and the way back belong to the operator.
"""

from __future__ import annotations

import pytest

from ..figures import Figures
from ..held import RESUME_SECONDS, held_sockets
from ..levels import Levels
from ..prober import Prober, probing
from ..stage import Stage
from ..traffic import Traffic, traffic

pytestmark = [
    pytest.mark.part("continuity", "planned maintenance"),
    pytest.mark.timeout(900),
]

APPENDS = 60
"""Before and after each disturbance, at least."""


async def test_a_rolling_restart(durable_stage: Stage, levels: Levels, figures: Figures) -> None:
    """One process after the other leaves as it does at an upgrade, under load."""
    stage = durable_stage
    tenant = await stage.operator.tenant()
    ann = [tenant.user("ann", at=at) for at in range(len(stage.urls))]
    async with (
        probing(ann) as prober,
        traffic(ann, threads=2) as going,
        held_sockets(ann, going.threads[0], levels.sockets) as held,
    ):
        await going.grow(APPENDS)
        for number in range(2):
            prober.mark(f"{number} leaves")
            await stage.faults.restart(number)
            prober.mark(f"{number} is back")
            await going.grow(APPENDS)
    await going.compare()
    broken = [seconds for each in held for seconds in each.breaks]

    assert len(broken) >= levels.sockets, "fewer sockets were moved than there are"
    assert all(each.drains for each in held), "a socket was closed without being told"
    record("rolling restart", prober, going, broken, figures)


async def test_kills_of_the_service(durable_stage: Stage, levels: Levels, figures: Figures) -> None:
    """One process after the other is killed under load, and comes back."""
    stage = durable_stage
    tenant = await stage.operator.tenant()
    ann = [tenant.user("ann", at=at) for at in range(len(stage.urls))]
    async with (
        probing(ann) as prober,
        traffic(ann, threads=2) as going,
        held_sockets(ann, going.threads[0], levels.sockets) as held,
    ):
        for number in range(2):
            await going.grow(APPENDS)
            prober.mark(f"{number} is killed")
            await stage.faults.kill(number)
            await stage.faults.start(number)
            prober.mark(f"{number} is back")
        await going.grow(APPENDS)
    await going.compare()
    broken = [seconds for each in held for seconds in each.breaks]

    assert len(broken) >= levels.sockets, "fewer sockets were broken than there are"
    record("kills", prober, going, broken, figures)


def record(
    name: str, prober: Prober, going: Traffic, broken: list[float], figures: Figures
) -> None:
    """What the disturbance cost."""
    writes, refused = prober.of("write"), [p for p in prober.of("write") if not p.is_ok]
    acknowledged = len(going.ledger.acknowledged)

    assert prober.wrong == [], "a read succeeded with something else than what is stored"
    if broken:
        assert max(broken) < RESUME_SECONDS
        figures.latencies(f"{name}, socket resumed", broken)
    figures.record(f"{name}, acknowledged", acknowledged, n=acknowledged)
    figures.record(
        f"{name}, first attempts failed", sum(going.ledger.failures.values()), n=acknowledged
    )
    figures.record(f"{name}, failed after the repeat", 0, n=acknowledged)
    figures.record(f"{name}, probes refused", len(refused), n=len(writes))
    figures.record(f"{name}, no write for", prober.downtime(), "s", n=len(writes))
    figures.record(f"{name}, availability", 100 * prober.availability(), "%", n=len(writes))
    figures.draw(prober.chart(name))
