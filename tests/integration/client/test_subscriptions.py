"""Subscriptions: everything, in order, once, whatever happens to the connection."""

from __future__ import annotations

import asyncio
import gc

import asyncpg
import pytest

from tests.conftest import Deploy
from tests.support.postgres import Database
from tests.support.tenants import DemoTenant, make_tenant
from tests.support.waiting import until
from threadkeep.client import (
    AgentCompleted,
    AgentStarted,
    Entry,
    Event,
    FeedJoined,
    Forked,
    Message,
    MessageDelta,
    NotAuthenticated,
    NotFound,
    RetryPolicy,
    Snapshot,
    Thread,
    ThreadChanged,
    Threadkeep,
    ToolCompleted,
    ToolExecuting,
    Unreachable,
)

from .readers import seqs, up_to
from .ways import Way

_SECONDS = 20.0


async def test_a_snapshot_then_what_comes(client: Threadkeep, thread: Thread) -> None:
    await client.append(thread, "one", "two")
    async with client.subscribe(thread) as subscription:
        events = await up_to(subscription, 3)
        await client.append(thread, "three")
        events += await up_to(subscription, 4)

    assert isinstance(events[0], Snapshot)
    assert (events[0].first_seq, events[0].last_seq) == (1, 3)
    assert seqs(events) == [1, 2, 3, 4]
    assert subscription.verdict == "snapshot"
    assert subscription.cursor == f"{thread.epoch}-4"


async def test_an_empty_snapshot_has_a_cursor_too(client: Threadkeep, thread: Thread) -> None:
    async with client.subscribe(thread, thread.cursor) as subscription:
        await client.append(thread, "one")
        events = await up_to(subscription, 2)

    assert subscription.verdict == "resumed"
    assert seqs(events) == [2]
    async with client.subscribe(thread, after_seq=0) as whole:
        assert seqs(await up_to(whole, 2)) == [1, 2]


async def test_events_of_a_run_have_their_types(client: Threadkeep, thread: Thread) -> None:
    async with client.subscribe(thread, thread.cursor) as subscription:
        await client.runs.start(thread, "librarian", message="What is 6 * 7?")
        events: list[Event] = []
        async with asyncio.timeout(_SECONDS):
            async for event in subscription:
                events.append(event)
                if isinstance(event, AgentCompleted):
                    break
    kinds = [type(event) for event in events]

    assert kinds.index(AgentStarted) < kinds.index(ToolExecuting) < kinds.index(ToolCompleted)
    assert isinstance(events[-1], AgentCompleted)
    assert events[-1].payload.status == "completed"
    answers = [e.payload.text for e in events if isinstance(e, Message)]
    assert "42" in answers[-1]


async def test_text_streams_before_it_is_a_message(service_url: str, platform_key: str) -> None:
    slow = {"slow": {"steps": [{"say": {"text": "one two three", "piece": 4, "every_ms": 800}}]}}
    tenant = await make_tenant(service_url, platform_key, agents=slow)
    text = ""
    async with tenant.client() as client:
        thread = await client.threads.create()
        subscription = client.subscribe(thread, thread.cursor)
        await client.runs.start(thread, "slow", message="Go.")
        async with asyncio.timeout(_SECONDS):
            async for event in subscription:
                if isinstance(event, MessageDelta):
                    text = text[: event.offset] + event.text
                elif isinstance(event, Message) and event.payload.role == "assistant":
                    break

    assert isinstance(event, Message)
    assert text.startswith("one two")
    assert event.payload.text.startswith(text)


async def test_a_cut_connection_is_resumed(
    tenant: DemoTenant, way: Way, client: Threadkeep, thread: Thread
) -> None:
    async with tenant.client(url=way.url) as reader, reader.subscribe(thread) as subscription:
        events = await up_to(subscription, 1)
        for n in range(5):
            way.cut()
            await client.append(thread, f"while away {n}")
            events += await up_to(subscription, n + 2)

    assert seqs(events) == [1, 2, 3, 4, 5, 6]
    assert sum(isinstance(event, Snapshot) for event in events) == 1
    assert way.connections >= 6


async def test_a_slow_reader_pauses_and_nobody_else_waits(
    tenant: DemoTenant, client: Threadkeep, thread: Thread
) -> None:
    other = await client.threads.create()
    async with tenant.client() as reader:
        slow = reader.subscribe(thread, after_seq=0, limit=16)
        quick = reader.subscribe(other, after_seq=0)
        await up_to(slow, 1)
        await up_to(quick, 1)
        for n in range(20):
            await client.append(thread, *(f"message {n}.{m}" for m in range(25)))
        await client.append(other, "not held up")

        assert seqs(await up_to(quick, 2)) == [2]
        feed = slow._feed
        assert len(feed._queue) <= 16
        assert feed.state.value == "paused"
        assert seqs(await up_to(slow, 501)) == list(range(2, 502))


async def test_a_loop_that_is_left_unsubscribes(client: Threadkeep, thread: Thread) -> None:
    async for event in client.subscribe(thread):
        if isinstance(event, Entry):
            break
    gc.collect()
    socket = client._sockets[0]

    assert socket.feeds == {}
    sent = await client.window(thread).append("the socket still works")
    assert sent.seq == 2


async def test_the_same_thread_twice(client: Threadkeep, thread: Thread) -> None:
    async with client.subscribe(thread) as one, client.subscribe(thread, after_seq=0) as two:
        await client.append(thread, "for both")

        assert seqs(await up_to(one, 2)) == seqs(await up_to(two, 2)) == [1, 2]


async def test_a_foreign_thread_is_not_found(tenant: DemoTenant, thread: Thread) -> None:
    async with tenant.client("bob") as other:
        with pytest.raises(NotFound):
            await up_to(other.subscribe(thread), 1)


async def test_a_token_that_ends_is_renewed_and_a_lasting_one_is_not(
    tenant: DemoTenant, client: Threadkeep, thread: Thread
) -> None:
    def short() -> str:
        return tenant.token("ann", seconds=4)

    async with (
        Threadkeep(tenant.url, token=short) as renewing,
        Threadkeep(tenant.url, token=short()) as lasting,
    ):
        renewed, ended = renewing.subscribe(thread), lasting.subscribe(thread)
        await up_to(renewed, 1)
        await up_to(ended, 1)
        with pytest.raises(NotAuthenticated):
            await up_to(ended, 2)
        await client.append(thread, "after the end of the first token")

        assert seqs(await up_to(renewed, 2)) == [2]


async def test_the_users_feed_tells_of_all_threads(client: Threadkeep, thread: Thread) -> None:
    subscription = client.subscribe_user()
    async with asyncio.timeout(_SECONDS):
        assert isinstance(await anext(subscription), FeedJoined)
        await client.append(thread, "one")
        async for event in subscription:
            assert isinstance(event, ThreadChanged)
            if event.last_seq == 2:
                break

    assert isinstance(event, ThreadChanged)
    assert event.thread_id == thread.id
    assert event.unread == 1


async def test_a_replaced_history_is_told(deploy: Deploy, database: Database) -> None:
    deployment = await deploy(database, processes=1, THREADKEEP_DRAIN_SECONDS="1")
    tenant = await make_tenant(deployment.urls[0], deployment.platform_key)
    async with tenant.client() as client:
        thread = await client.threads.create()
        subscription = client.subscribe(thread)
        await up_to(subscription, 1)
        connection = await asyncpg.connect(database.superuser_url)
        await connection.execute("UPDATE heads SET salt = salt + 1")
        await connection.close()
        await client.append(thread, "in another history")
        events = await up_to(subscription, 2)

    assert isinstance(events[0], Forked)
    assert events[0].epoch != thread.epoch
    assert isinstance(events[1], Snapshot)
    assert seqs(events) == [1, 2]


async def test_a_restart_and_a_kill_are_survived(deploy: Deploy, database: Database) -> None:
    deployment = await deploy(database, processes=1, THREADKEEP_DRAIN_SECONDS="1")
    process = deployment.processes[0]
    tenant = await make_tenant(process.url, deployment.platform_key)
    async with tenant.client() as client:
        thread = await client.threads.create()
        subscription = client.subscribe(thread)
        await up_to(subscription, 1)
        await asyncio.to_thread(process.stop)
        appending = asyncio.create_task(client.append(thread, "asked for while it was away"))
        await asyncio.to_thread(process.start)
        await appending

        assert seqs(await up_to(subscription, 2)) == [2]
        await asyncio.to_thread(process.kill)
        await asyncio.to_thread(process.start)
        await client.append(thread, "after the kill")
        assert seqs(await up_to(subscription, 3)) == [3]
        assert subscription.verdict == "resumed"


async def test_a_subscription_gives_up_when_agreed(tenant: DemoTenant, way: Way) -> None:
    async with tenant.client(url=way.url) as client:
        thread = await client.threads.create()
        subscription = client.subscribe(thread)
        await up_to(subscription, 1)
        client._transport.policy = RetryPolicy(offline_seconds=0.5, attempt_seconds=0.5)
        await way.stop()
        with pytest.raises(Unreachable):
            await up_to(subscription, 2)
        await until(lambda: subscription._feed.state.value == "ended")
