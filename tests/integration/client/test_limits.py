"""What is bounded: queues of readers, sockets, commands."""

from __future__ import annotations

import pytest

from tests.support.tenants import DemoTenant, make_tenant
from tests.support.waiting import until
from threadkeep.client import (
    Message,
    RetryPolicy,
    Thread,
    Threadkeep,
    TooLarge,
    TooMany,
    Unreachable,
)
from threadkeep.client import client as module

from .readers import seqs, up_to
from .ways import Way

_TEXT = "tide " * 80
_TALK = {"talker": {"steps": [{"say": {"text": _TEXT, "piece": 4, "every_ms": 20}}]}}
"""A hundred pieces, slow enough for each to be a frame."""


async def test_pieces_of_text_pause_a_slow_reader_too(service_url: str, platform_key: str) -> None:
    tenant = await make_tenant(service_url, platform_key, agents=_TALK)
    async with tenant.client() as client:
        thread = await client.threads.create()
        slow = client.subscribe(thread, after_seq=0, limit=16)
        await up_to(slow, 1)
        run = await client.runs.start(thread, "talker")

        async def is_over() -> bool:
            return (await client.runs.get(run.run.id)).status == "completed"

        await until(is_over, 30, what="the run's end")
        assert len(slow._feed._queue) <= 16
        last = (await client.threads.get(thread)).last_seq
        events = await up_to(slow, last)

    assert seqs(events) == list(range(2, last + 1))
    texts = [event.payload.text for event in events if isinstance(event, Message)]
    assert texts == [_TEXT]


async def test_many_subscriptions_take_several_sockets(
    client: Threadkeep, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SUBSCRIPTIONS_PER_SOCKET", 3)
    threads = [await client.threads.create() for _ in range(7)]
    subscriptions = [client.subscribe(thread) for thread in threads]
    for subscription in subscriptions:
        assert seqs(await up_to(subscription, 1)) == [1]

    assert [len(socket.feeds) for socket in client._sockets] == [3, 3, 1]


async def test_a_socket_that_gave_up_is_replaced(
    tenant: DemoTenant, way: Way, thread: Thread
) -> None:
    async with tenant.client(url=way.url) as client:
        subscription = client.subscribe(thread)
        await up_to(subscription, 1)
        patient = client._transport.policy
        client._transport.policy = RetryPolicy(offline_seconds=0.3, longest_pause=0.1)
        way.is_shut = True
        way.cut()
        with pytest.raises(Unreachable):
            await up_to(subscription, 2)
        client._transport.policy = patient
        way.is_shut = False
        sent = await client.window(thread).append("there again")

        assert seqs(await up_to(client.subscribe(thread, subscription.cursor), 2)) == [sent.seq]


@pytest.mark.parametrize("size", [65 * 1024, 300 * 1024])
async def test_what_is_too_large_is_refused_at_once(
    client: Threadkeep, thread: Thread, size: int
) -> None:
    window = client.window(thread, 1)
    for _ in range(3):  # more often than the window has room
        with pytest.raises(TooLarge):
            await window.append("x" * size)

    assert (await window.append("fits")).seq == 2


async def test_over_a_limit_nobody_waits_for_longer_than_agreed(
    service_url: str, platform_key: str
) -> None:
    limited = await make_tenant(service_url, platform_key, tier="free")
    async with limited.client() as client:
        thread = await client.threads.create()
        await client.append(thread, *["one"] * 60)
        with pytest.raises(TooMany) as refused:  # the service says: in almost a minute
            await client.append(thread, *["one too many"] * 60)

    assert refused.value.retry_after is not None
    assert refused.value.retry_after > RetryPolicy().total_seconds
    assert refused.value.status == 429


async def test_a_limit_of_subscriptions_is_told_to_who_is_over_it(
    service_url: str, platform_key: str
) -> None:
    """Not at once, since others may leave; and those within the limit do not notice."""
    limited = await make_tenant(service_url, platform_key, limits={"subscriptions_per_socket": 1})
    async with limited.client(retry=RetryPolicy(total_seconds=2.0)) as client:
        one, other = [await client.threads.create() for _ in range(2)]
        within, over = client.subscribe(one), client.subscribe(other)
        assert seqs(await up_to(within, 1)) == [1]
        with pytest.raises(TooMany):
            await up_to(over, 1)
        await client.append(one, "still here")

        assert seqs(await up_to(within, 2)) == [2]
