"""Creating and changing a thread is quick."""

from __future__ import annotations

import pytest

from ..callers import Tenant
from ..figures import Figures
from ..levels import Levels

pytestmark = pytest.mark.scenario("lifecycle", "performance")


async def test_creation_and_update_one_after_the_other(
    tenant: Tenant, figures: Figures, levels: Levels
) -> None:
    user = tenant.user("ann")
    await user.create()  # opens the connection
    created = [
        await user.timed("POST", "/v1/threads", 201, json={"title": f"thread {n}"})
        for n in range(levels.samples)
    ]
    threads = await user.pages("/v1/threads", limit=100)
    updated = [
        await user.timed(
            "PATCH",
            f"/v1/threads/{threads[n % len(threads)]['id']}",
            200,
            json={"metadata": {"turn": n}},
        )
        for n in range(levels.samples)
    ]
    assert len(threads) == levels.samples + 1
    assert len(updated) == levels.samples
    figures.latencies("create", created, avg=100, longest=500)
    figures.latencies("update", updated, avg=50)
