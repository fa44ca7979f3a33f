"""Windows of appends over a socket that is cut again and again, checked against a ledger."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from tests.conftest import Deploy
from tests.support.postgres import Database
from tests.support.tenants import DemoTenant, make_tenant
from tests.support.waiting import Stopwatch
from threadkeep.client import (
    Entry,
    Message,
    NotFound,
    RetryPolicy,
    Subscription,
    Thread,
    Threadkeep,
    Unreachable,
)
from threadkeep.client.windows import Window

from .ways import Way

_COUNT = 400


async def contents(client: Threadkeep, thread: Thread) -> dict[int, str]:
    return {
        entry.seq: entry.payload.text
        async for entry in client.entries(thread)
        if isinstance(entry, Message)
    }


async def write(window: Window, count: int, way: Way | None = None) -> dict[int, str]:
    """Send messages one after the other; the ledger of what was acknowledged where.

    With a way it is cut again and again while some are not acknowledged yet.
    """
    ledger: dict[int, str] = {}
    async with window:
        sent = {}
        for n in range(count):
            sent[f"message {n}"] = await window.send(f"message {n}")
            if way is not None and n % 40 == 39:
                way.cut()
        for text, future in sent.items():
            ledger[(await future)["seq"]] = text
    return ledger


async def read(subscription: Subscription, count: int) -> dict[int, str]:
    """What a reader sees of the log, in the order in which he sees it."""
    seen: dict[int, str] = {}
    last = 1
    async for event in subscription:
        if isinstance(event, Entry) and event.seq > 1:
            assert event.seq == last + 1
            last = event.seq
            assert isinstance(event, Message)
            seen[event.seq] = event.payload.text
            if last == count + 1:
                break
    return seen


async def test_a_window_keeps_the_order(client: Threadkeep, thread: Thread) -> None:
    ledger = await write(client.window(thread, 8), _COUNT)

    assert ledger == {n + 2: f"message {n}" for n in range(_COUNT)}
    assert await contents(client, thread) == ledger


@pytest.mark.timeout(120)
async def test_cuts_lose_and_repeat_nothing(
    tenant: DemoTenant, way: Way, client: Threadkeep, thread: Thread
) -> None:
    way_back = tenant.client(url=way.url, retry=RetryPolicy(total_seconds=90, longest_pause=0.2))
    async with way_back as unlucky:
        reading = asyncio.create_task(read(unlucky.subscribe(thread, after_seq=0), _COUNT))
        ledger = await write(unlucky.window(thread, 4), _COUNT, way)
        async with asyncio.timeout(30):
            seen = await reading

    assert way.connections > 10
    assert sorted(ledger) == list(range(2, _COUNT + 2))
    assert await contents(client, thread) == ledger == seen


@pytest.mark.timeout(120)
async def test_kills_lose_and_repeat_nothing(deploy: Deploy, database: Database) -> None:
    deployment = await deploy(database, processes=1)
    process = deployment.processes[0]
    tenant = await make_tenant(process.url, deployment.platform_key)
    async with tenant.client(retry=RetryPolicy(total_seconds=90, longest_pause=0.3)) as client:
        thread = await client.threads.create()
        reading = asyncio.create_task(read(client.subscribe(thread, after_seq=0), _COUNT))
        writing = asyncio.create_task(write(client.window(thread, 4), _COUNT))
        for _ in range(3):
            await asyncio.sleep(0.1)
            await asyncio.to_thread(process.kill)
            await asyncio.to_thread(process.start)
        ledger = await writing
        async with asyncio.timeout(30):
            seen = await reading
        kept = await contents(client, thread)

    assert len(kept) == _COUNT
    assert kept == ledger == seen


async def test_a_failure_reaches_the_sender(tenant: DemoTenant, thread: Thread) -> None:
    async with tenant.client("bob") as other:
        window = other.window(thread)
        _ = await window.send("not mine")
        with pytest.raises(NotFound):
            await window.flush()


async def test_a_window_without_a_service_fails_in_time(
    tenant: DemoTenant, way: Way, thread: Thread
) -> None:
    policy = RetryPolicy(total_seconds=0.7, attempt_seconds=0.3)
    async with tenant.client(url=way.url, retry=policy) as client:
        await way.stop()
        with Stopwatch() as watch, pytest.raises(Unreachable):
            async with asyncio.timeout(20):
                await client.window(thread).append("nobody hears it")

    assert watch.seconds < 5


async def test_what_waits_ends_with_the_client(tenant: DemoTenant, way: Way) -> None:
    async with tenant.client(url=way.url) as client:
        thread = await client.threads.create()
        await way.stop()
        future = await client.window(thread).send("never sent")
    with contextlib.suppress(Exception):
        async with asyncio.timeout(2):
            await future

    assert future.done()
    assert future.exception() is not None
