"""Messages of a thread have one order: that of their seq, whoever sends them and whence."""

from __future__ import annotations

import asyncio

import pytest

from ..callers import Json, Tenant
from ..figures import Figures

pytestmark = pytest.mark.scenario("lifecycle", "message association and order")

PARALLEL = 100


async def test_five_messages_come_back_in_order(tenant: Tenant) -> None:
    user = tenant.user("ann")
    thread = (await user.create())["id"]
    roles = ["user", "assistant", "user", "assistant", "user"]
    for number, role in enumerate(roles):
        await user.say(thread, f"message {number}", role=role)
    messages = await tenant.user("ann", at=1).messages(thread)

    assert [m["payload"]["content"] for m in messages] == [f"message {n}" for n in range(5)]
    assert [m["payload"]["role"] for m in messages] == roles
    assert {m["thread_id"] for m in messages} == {thread}
    assert {m["tenant_id"] for m in messages} == {tenant.id}
    times = [m["ts"] for m in messages]
    assert times == sorted(set(times))


async def test_parallel_posts_leave_neither_gap_nor_repeat(
    tenant: Tenant, figures: Figures
) -> None:
    """Half of them through each process."""
    user = tenant.user("ann")
    thread = await user.create()
    answers = await asyncio.gather(
        *(tenant.user("ann", at=n).say(thread["id"], f"message {n}") for n in range(PARALLEL))
    )
    messages = await user.messages(thread["id"])
    first = thread["last_seq"] + 1

    assert [m["seq"] for m in messages] == list(range(first, first + PARALLEL))
    assert sorted(answer["first_seq"] for answer in answers) == [m["seq"] for m in messages]
    told = {f"message {n}": answers[n]["first_seq"] for n in range(PARALLEL)}
    assert {m["payload"]["content"]: m["seq"] for m in messages} == told
    times = [m["ts"] for m in messages]
    assert times == sorted(set(times))
    figures.record("parallel posts", PARALLEL, n=PARALLEL)


async def test_many_messages_at_once_stay_together(tenant: Tenant) -> None:
    user = tenant.user("ann")
    thread = (await user.create())["id"]
    await asyncio.gather(
        *(
            tenant.user("ann", at=n).say(thread, *(f"{n}/{part}" for part in range(10)))
            for n in range(10)
        )
    )
    texts = [m["payload"]["content"] for m in await user.messages(thread)]

    assert len(texts) == 100
    for start in range(0, 100, 10):
        number = texts[start].partition("/")[0]
        assert texts[start : start + 10] == [f"{number}/{part}" for part in range(10)]


async def test_pages_in_both_directions_show_the_same(tenant: Tenant) -> None:
    user = tenant.user("ann")
    thread = (await user.create())["id"]
    await user.say(thread, *(f"message {n}" for n in range(25)))
    forward = await user.messages(thread)
    path = f"/v1/threads/{thread}/messages"
    backward: list[Json] = []
    before = None
    while True:
        params = {"backward": "true", "limit": "7"} | (
            {"before_seq": str(before)} if before else {}
        )
        page = (await user.ask("GET", path, 200, params=params))["data"]
        if not page:
            break
        backward = page + backward
        before = page[0]["seq"]

    assert backward == forward
