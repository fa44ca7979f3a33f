"""HTTP by the client: typed answers and errors, and nothing done twice."""

from __future__ import annotations

import socket
import subprocess
import sys
import time

import pytest

from tests.support.programs import free_port
from tests.support.tenants import DemoTenant
from threadkeep import client as package
from threadkeep.client import (
    Conflict,
    Gone,
    IdempotencyMismatch,
    InvalidRequest,
    NotAuthenticated,
    NotFound,
    RetryPolicy,
    StaleVersion,
    Thread,
    Threadkeep,
    Unavailable,
    Unreachable,
)

from .ways import Refusals, Way

_BUSY = b'{"error":{"code":"unavailable","message":"busy","retry_after_ms":700}}'
_UNKNOWN = b'{"error":{"code":"unavailable","message":"?","outcome":"unknown"}}'


async def contents(client: Threadkeep, thread: Thread) -> list[str]:
    entries = client.entries(thread, kinds=["message"])
    return [entry.payload.text async for entry in entries if isinstance(entry, package.Message)]


async def test_a_thread_goes_through_its_life(client: Threadkeep) -> None:
    thread = await client.threads.create(external_id="tides", title="Tides", metadata={"a": 1})
    again = await client.threads.create(external_id="tides")

    assert again.id == thread.id
    assert thread.cursor == f"{thread.epoch}-1"
    changed = await client.threads.update(thread, metadata={"b": 2}, if_version=thread.version)
    assert changed.metadata == {"a": 1, "b": 2}
    with pytest.raises(StaleVersion):
        await client.threads.update(thread, title=None, if_version=thread.version)
    assert (await client.threads.pause(thread)).state == "paused"
    with pytest.raises(Conflict) as refused:
        await client.append(thread, "too early")
    assert refused.value.state == "paused"
    await client.threads.resume(thread)
    assert (await client.threads.delete(thread)).state == "deleted"
    with pytest.raises(Gone):
        await client.threads.get(thread)
    assert (await client.threads.undelete(thread)).state == "active"


async def test_lists_are_read_page_by_page(client: Threadkeep) -> None:
    made = [(await client.threads.create(title=f"thread {n}")).id for n in range(7)]
    found = [thread.id async for thread in client.threads.list(limit=3)]

    assert sorted(found) == sorted(made)


async def test_refusals_are_typed(client: Threadkeep, thread: Thread, tenant: DemoTenant) -> None:
    async with tenant.client("bob") as other:
        with pytest.raises(NotFound):
            await other.threads.get(thread)
    with pytest.raises(InvalidRequest) as refused:
        await client.append(thread, {"content": "x", "role": "nobody"})
    assert refused.value.field == "messages[0].role"
    await client.append(thread, "one", key="k")
    with pytest.raises(IdempotencyMismatch):
        await client.append(thread, "two", key="k")
    async with Threadkeep(tenant.url, token="nonsense") as stranger:
        with pytest.raises(NotAuthenticated):
            await stranger.threads.get(thread)


async def test_an_append_whose_answer_is_lost_is_done_once(
    tenant: DemoTenant, way: Way, client: Threadkeep, thread: Thread
) -> None:
    async with tenant.client(url=way.url) as unlucky:
        way.answers_to_lose = 3
        appended = await unlucky.append(thread, "one", "two")

    assert way.lost == 3
    assert (appended.first_seq, appended.last_seq) == (2, 3)
    assert await contents(client, thread) == ["one", "two"]


async def test_what_could_be_done_twice_is_not_repeated(
    tenant: DemoTenant, way: Way, client: Threadkeep
) -> None:
    async with tenant.client(url=way.url) as unlucky:
        way.answers_to_lose = 1
        with pytest.raises(Unreachable) as lost:
            await unlucky.threads.create(title="without an external id")

    assert lost.value.outcome_unknown
    assert len([thread async for thread in client.threads.list()]) == 1


async def test_nobody_waits_for_longer_than_agreed() -> None:
    policy = RetryPolicy(total_seconds=1.0)
    begun = time.monotonic()
    async with Threadkeep(f"http://127.0.0.1:{free_port()}", token="x", retry=policy) as client:
        with pytest.raises(Unreachable) as refused:
            await client.append("thr_0", "nobody hears it")

    assert 0.2 < time.monotonic() - begun < 3 * policy.total_seconds
    assert not refused.value.outcome_unknown


async def test_a_service_that_is_silent_is_given_up() -> None:
    policy = RetryPolicy(total_seconds=0.6, attempt_seconds=0.2)
    begun = time.monotonic()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        async with Threadkeep(url, token="x", retry=policy) as client:
            with pytest.raises(Unreachable) as refused:
                await client.append("thr_0", "nobody answers")

    assert time.monotonic() - begun < 5 * policy.total_seconds
    assert refused.value.outcome_unknown


async def test_hints_are_obeyed_and_the_key_stays() -> None:
    refusals = Refusals([(503, {"Retry-After": "1"}, b"from a proxy"), (503, {}, _BUSY)])
    async with refusals.serving(), Threadkeep(refusals.url, token="x") as client:
        await client.append("thr_0", "patience")
    first, second, third = refusals.times

    assert second - first >= 1.0
    assert third - second >= 0.7
    assert len(set(refusals.keys)) == 1
    assert refusals.keys[0]


async def test_an_unknown_outcome_is_asked_for_only_with_a_key() -> None:
    refusals = Refusals([(503, {}, _UNKNOWN)] * 2)
    async with refusals.serving(), Threadkeep(refusals.url, token="x") as client:
        with pytest.raises(Unavailable) as refused:
            await client.threads.pause("thr_0")

        assert refused.value.outcome_unknown
        assert len(refusals.times) == 1
        await client.append("thr_0", "once")
        assert len(refusals.times) == 3


async def test_a_token_that_was_refused_is_renewed(tenant: DemoTenant) -> None:
    tokens = [tenant.token("ann", seconds=-5), tenant.token("ann")]
    async with Threadkeep(tenant.url, token=lambda: tokens.pop(0)) as client:
        await client.threads.create(title="with the second one")

    assert tokens == []


async def test_an_api_key_acts_for_a_user(tenant: DemoTenant, client: Threadkeep) -> None:
    async with Threadkeep(tenant.url, api_key=tenant.api_key, user="ann") as backend:
        thread = await backend.threads.create(title="for ann")

    assert (await client.threads.get(thread)).owner == "ann"


def test_the_client_needs_nothing_of_the_server() -> None:
    program = (
        "import sys, threadkeep.client as c;"
        "print(sorted(m for m in sys.modules if m.split('.')[0] in"
        " {'asyncpg', 'sqlalchemy', 'alembic', 'redis', 'structlog', 'jwt', 'click', 'uuid_utils'}"
        " or m.startswith('threadkeep.') and not m.startswith('threadkeep.client')))"
    )
    answer = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=True
    )

    assert answer.stdout.strip() == "[]"
