"""Nothing acknowledged is lost, doubled or moved, whatever is killed and whenever."""

from __future__ import annotations

import itertools
from collections.abc import Awaitable, Callable
from functools import partial

import pytest

from ..figures import Figures
from ..levels import Levels
from ..stage import Faults, Stage
from ..traffic import traffic

THREADS = 4
APPENDS_BETWEEN_KILLS = 60

Victim = Callable[[], Awaitable[object]]
PROCESSES = 2


@pytest.mark.timeout(600)
@pytest.mark.scenario("persistence", "durability")
async def test_kills_lose_nothing_acknowledged(
    durable_stage: Stage, levels: Levels, figures: Figures
) -> None:
    """Kill -9 of both service processes and of PostgreSQL, in turn, under load of all kinds."""
    tenant = await durable_stage.operator.tenant()
    ann = [tenant.user("ann", at=at) for at in range(PROCESSES)]
    async with traffic(ann, threads=THREADS) as going:
        victims = itertools.cycle(victims_of(durable_stage.faults))
        for kill, start in itertools.islice(victims, levels.kills):
            await going.grow(APPENDS_BETWEEN_KILLS)
            await kill()
            await start()
        await going.grow(APPENDS_BETWEEN_KILLS)
    await going.compare()

    acknowledged = len(going.ledger.acknowledged)
    assert acknowledged >= APPENDS_BETWEEN_KILLS * (levels.kills + 1)
    figures.record("kills", levels.kills, n=levels.kills)
    figures.record("acknowledged", acknowledged, n=acknowledged)
    figures.record("lost, doubled or moved", 0, n=acknowledged)


def victims_of(faults: Faults) -> list[tuple[Victim, Victim]]:
    """How each service process and the database are killed, and started again."""
    processes = [
        (partial(faults.kill, number), partial(faults.start, number)) for number in range(PROCESSES)
    ]
    return [*processes, (faults.kill_database, faults.start_database)]
