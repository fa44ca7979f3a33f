"""Metadata grow key by key; every key is kept, seen by every process, and has a history."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from ..callers import Tenant
from ..figures import Figures

pytestmark = pytest.mark.scenario("lifecycle", "metadata evolution")

FIRST = {"test": "metadata evolution", "user_context": "ann@example.com", "created_by": "ann"}
UPDATES: list[dict[str, Any]] = [
    {"conversation_topic": "cost_optimization", "complexity": "basic"},
    {"agent_preferences": ["triage", "data"], "user_expertise": "intermediate"},
    {"optimization_goals": ["cost", "latency"], "budget_range": "10k-50k"},
    {"solution_status": "in_progress", "estimated_savings": 15000},
    {"conversation_completed": True, "user_satisfaction": "high", "follow_up_needed": False},
]
LIMIT = 64 * 1024


async def test_five_updates_are_read_through_the_other_process(
    tenant: Tenant, figures: Figures
) -> None:
    thread = (await tenant.user("ann").create(metadata=FIRST))["id"]
    expected, keys = dict(FIRST), [len(FIRST)]
    for number, update in enumerate(UPDATES):
        path = f"/v1/threads/{thread}"
        await tenant.user("ann", at=number).ask("PATCH", path, 200, json={"metadata": update})
        expected |= update
        seen = (await tenant.user("ann", at=number + 1).thread(thread))["metadata"]

        assert seen == expected
        keys.append(len(seen))
    assert keys == sorted(set(keys))
    history = [
        entry["payload"]["changes"]["metadata"]
        for entry in await tenant.user("ann").entries(thread)
        if entry["type"] == "thread_updated"
    ]
    assert [set(change) for change in history] == [set(update) for update in UPDATES]
    assert [c[k]["to"] for c, u in zip(history, UPDATES, strict=True) for k in u] == [
        value for update in UPDATES for value in update.values()
    ]
    figures.record("keys at the end", keys[-1], n=len(UPDATES))


async def test_two_writers_of_different_keys_are_both_kept(
    tenant: Tenant, figures: Figures
) -> None:
    rounds = 25
    thread = (await tenant.user("ann").create())["id"]

    async def write(number: int, turn: int) -> None:
        await tenant.user("ann", at=number).ask(
            "PATCH", f"/v1/threads/{thread}", 200, json={"metadata": {f"w{number}-{turn}": turn}}
        )

    for turn in range(rounds):
        await asyncio.gather(write(0, turn), write(1, turn))
    kept = (await tenant.user("ann").thread(thread))["metadata"]

    assert kept == {f"w{number}-{turn}": turn for number in (0, 1) for turn in range(rounds)}
    figures.record("updates at the same time", 2 * rounds, n=2 * rounds)
    figures.record("updates lost", 2 * rounds - len(kept), n=2 * rounds)


async def test_nested_keys_merge_and_null_takes_away(tenant: Tenant) -> None:
    user = tenant.user("ann")
    thread = (await user.create(metadata={"a": {"x": 1, "y": 2}, "b": [1], "c": 3}))["id"]
    patch = {"metadata": {"a": {"y": None, "z": 3}, "b": [2], "c": None}}
    await user.ask("PATCH", f"/v1/threads/{thread}", 200, json=patch)

    assert (await user.thread(thread))["metadata"] == {"a": {"x": 1, "z": 3}, "b": [2]}


@pytest.mark.parametrize("in_parts", [False, True])
async def test_metadata_over_64_kb_are_refused(tenant: Tenant, *, in_parts: bool) -> None:
    """Also when only the sum of what was there and what is added is too large."""
    user = tenant.user("ann")
    first = {"half": "x" * (LIMIT // 2)} if in_parts else {}
    thread = await user.create(metadata=first)
    more = {"more": "y" * (LIMIT // 2 if in_parts else LIMIT)}
    refused = await user.send("PATCH", f"/v1/threads/{thread['id']}", json={"metadata": more})
    created = await user.send("POST", "/v1/threads", json={"metadata": {"much": "x" * LIMIT}})

    assert (refused.status_code, created.status_code) == (413, 413)
    assert refused.json()["error"]["code"] == "too_large"
    assert await user.thread(thread["id"]) == thread


async def test_a_title_is_read_back_and_leaves_the_metadata(tenant: Tenant) -> None:
    user = tenant.user("ann")
    thread = (await user.create(title="old", metadata=FIRST))["id"]
    await user.ask("PATCH", f"/v1/threads/{thread}", 200, json={"title": "new"})
    seen = await tenant.user("ann", at=1).thread(thread)

    assert (seen["title"], seen["metadata"]) == ("new", FIRST)
