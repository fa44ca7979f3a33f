"""What many do at once happens once each, and nobody's change is lost."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from ..callers import Tenant
from ..database import connected, digits
from ..figures import Figures

pytestmark = pytest.mark.scenario("lifecycle", "concurrent operations")

UPDATES = 50
REPEATS = 20
CREATIONS = 100


async def test_three_users_make_two_threads_each_at_once(tenant: Tenant) -> None:
    names = ["ann", "bob", "eve"] * 2
    made = await asyncio.gather(
        *(tenant.user(name, at=n).create(title=f"{n}") for n, name in enumerate(names))
    )
    assert len({thread["id"] for thread in made}) == 6
    for name in set(names):
        own = {thread["id"] for thread in made if thread["owner"] == name}
        assert {t["id"] for t in await tenant.user(name).pages("/v1/threads")} == own
        assert len(own) == 2


async def test_of_parallel_updates_at_one_version_one_succeeds(
    tenant: Tenant, figures: Figures
) -> None:
    thread = await tenant.user("ann").create(metadata={"start": True})
    path, match = f"/v1/threads/{thread['id']}", {"If-Match": f'"{thread["version"]}"'}
    answers = await asyncio.gather(
        *(
            tenant.user("ann", at=n).send(
                "PATCH", path, json={"metadata": {f"key{n}": n}}, headers=match
            )
            for n in range(UPDATES)
        )
    )
    statuses = Counter(answer.status_code for answer in answers)
    now = await tenant.user("ann").thread(thread["id"])
    (winner,) = [n for n, answer in enumerate(answers) if answer.status_code == 200]

    assert statuses == {200: 1, 412: UPDATES - 1}
    assert now["metadata"] == {"start": True, f"key{winner}": winner}
    assert now["version"] == thread["version"] + 1
    figures.record("parallel updates", UPDATES, n=UPDATES)
    figures.record("refused as stale", statuses[412], n=UPDATES)


async def test_updates_without_a_version_are_all_kept(tenant: Tenant) -> None:
    thread = (await tenant.user("ann").create())["id"]
    await asyncio.gather(
        *(
            tenant.user("ann", at=n).ask(
                "PATCH", f"/v1/threads/{thread}", 200, json={"metadata": {f"key{n}": n}}
            )
            for n in range(20)
        )
    )
    now = await tenant.user("ann").thread(thread)

    assert now["metadata"] == {f"key{n}": n for n in range(20)}
    assert now["version"] == 21


async def test_one_key_used_twenty_times_at_once_is_one_row(
    tenant: Tenant, admin_dsn: str, figures: Figures
) -> None:
    thread = (await tenant.user("ann").create())["id"]
    answers = await asyncio.gather(
        *(tenant.user("ann", at=n).say(thread, "once", key="one-key") for n in range(REPEATS))
    )
    async with connected(admin_dsn) as connection:
        rows = await connection.fetchval(
            "SELECT count(*) FROM entries WHERE thread_id = $1 AND kind = 'message'", digits(thread)
        )
    assert rows == 1
    assert all(answer == answers[0] for answer in answers)
    assert len(await tenant.user("ann", at=1).messages(thread)) == 1
    figures.record("repeats of one key", REPEATS, n=REPEATS)
    figures.record("rows", rows, n=REPEATS)


async def test_a_key_used_for_something_else_is_refused(tenant: Tenant) -> None:
    user = tenant.user("ann")
    thread = (await user.create())["id"]
    await user.say(thread, "first", key="k")
    body = {"messages": [{"content": "second"}]}
    refused = await tenant.user("ann", at=1).send(
        "POST", f"/v1/threads/{thread}/messages", json=body, headers={"Idempotency-Key": "k"}
    )
    assert refused.status_code == 422
    assert refused.json()["error"]["code"] == "idempotency_mismatch"
    assert len(await user.messages(thread)) == 1


async def test_get_or_create_gives_one_thread_to_all_who_ask_at_once(
    tenant: Tenant, figures: Figures
) -> None:
    """And again later: an existing one is found, whatever its state."""
    answers = await asyncio.gather(
        *(
            tenant.user("ann", at=n).send("POST", "/v1/threads", json={"external_id": "order-1"})
            for n in range(CREATIONS)
        )
    )
    assert Counter(answer.status_code for answer in answers) == {201: 1, 200: CREATIONS - 1}
    (thread,) = {answer.json()["id"] for answer in answers}
    await tenant.user("ann").act(thread, "archive")
    again = await tenant.user("ann", at=1).ask(
        "POST", "/v1/threads", 200, json={"external_id": "order-1"}
    )
    assert again["id"] == thread
    assert len(await tenant.user("ann").pages("/v1/threads")) == 1
    figures.record("get-or-create at once", CREATIONS, n=CREATIONS)
