"""Processes that drain: their sockets come back when they were told to, not all at once."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import Any

import pytest

from tests.conftest import Deploy
from tests.support.postgres import Database
from tests.support.tenants import make_tenant
from tests.support.waiting import until
from threadkeep.client.dialing import Dialer

from .readers import seqs, up_to
from .ways import way_to

_READERS = 12
_GRAIN = 0.01
"""A timer may be early by the clock's resolution."""


async def test_the_hints_of_a_drain_are_obeyed_and_spread(
    deploy: Deploy, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: dict[Dialer, tuple[float, float]] = {}
    back: dict[Dialer, float] = {}
    stay_away, dial = Dialer.stay_away, Dialer._dial

    def note_hint(self: Dialer, seconds: float) -> None:
        told[self] = (asyncio.get_running_loop().time(), seconds)
        stay_away(self, seconds)

    async def note_return(self: Dialer) -> Any:
        if self in told:
            back.setdefault(self, asyncio.get_running_loop().time())
        return await dial(self)

    monkeypatch.setattr(Dialer, "stay_away", note_hint)
    monkeypatch.setattr(Dialer, "_dial", note_return)
    deployment = await deploy(database, processes=2, THREADKEEP_DRAIN_SECONDS="2")
    leaving, staying = deployment.processes
    tenant = await make_tenant(staying.url, deployment.platform_key)
    async with AsyncExitStack() as stack:
        way = await stack.enter_async_context(way_to(leaving.url))
        writer = await stack.enter_async_context(tenant.client())
        thread = await writer.threads.create()
        readers = [
            await stack.enter_async_context(tenant.client(url=way.url)) for _ in range(_READERS)
        ]
        subscriptions = [reader.subscribe(thread) for reader in readers]
        for subscription in subscriptions:
            await up_to(subscription, 1)
        way.upstream = staying.url
        leaving.terminate()
        for n in range(20):
            await writer.append(thread, f"meanwhile {n}")
        for subscription in subscriptions:
            assert seqs(await up_to(subscription, 21)) == list(range(2, 22))
        await until(lambda: len(back) == _READERS, 20, what="those who came back")
        await writer.append(thread, "when all are back")
        for subscription in subscriptions:
            assert seqs(await up_to(subscription, 22)) == [22]

    assert len(told) == _READERS
    waits = [back[dialer] - at for dialer, (at, _) in told.items()]
    hints = [hint for _, hint in told.values()]
    assert all(wait >= hint - _GRAIN for wait, hint in zip(waits, hints, strict=True))
    assert len({round(hint, 3) for hint in hints}) > _READERS // 2
    assert max(hints) - min(hints) > 0.5


async def test_who_waits_is_told_of_the_end(deploy: Deploy, database: Database) -> None:
    """Nobody waits for ever: neither when the subscription ends nor when the client does."""
    deployment = await deploy(database, processes=1)
    tenant = await make_tenant(deployment.urls[0], deployment.platform_key)
    before = asyncio.all_tasks()
    async with tenant.client() as client:
        thread = await client.threads.create()
        subscription = client.subscribe(thread)
        await up_to(subscription, 1)
        waiting = asyncio.create_task(up_to(subscription, 2))
        await asyncio.sleep(0)
        await subscription.aclose()
        assert await waiting == []
        other = client.subscribe(thread)
        await up_to(other, 1)
        left = asyncio.create_task(up_to(other, 2))
        await asyncio.sleep(0)
    with pytest.raises(Exception, match="closed"):
        await left

    assert asyncio.all_tasks() - before == set()
