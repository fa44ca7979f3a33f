"""The user's feed: lists are live, over processes and without any wake-up."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest

from threadkeep.domain.principals import Principal
from threadkeep.domain.threads import ThreadPatch
from threadkeep.services.projector import Projector
from threadkeep.services.threads import Threads

from ...support.postgres import Database
from ...support.waiting import until
from .processes import WITHIN, MemorySink, Process, principal_of, process_on

KINDS = ("thread_created", "thread_updated", "thread_state_changed", "thread_deleted")


@pytest.fixture(params=["postgres", "none"])
async def pair(request: pytest.FixtureRequest, database: Database) -> AsyncIterator[list[Process]]:
    """Two processes."""
    async with AsyncExitStack() as stack:
        yield [
            await stack.enter_async_context(process_on(database, THREADKEEP_WAKEUPS=request.param))
            for _ in range(2)
        ]


@pytest.fixture
async def ann(database: Database) -> Principal:
    """A user."""
    return await principal_of(database)


def threads_of(process: Process) -> Threads:
    """The use cases of threads in a process."""
    return Threads(process.database, process.journal)


async def told(sink: MemorySink, kind: str, **expected: Any) -> dict[str, Any]:
    """The last frame of a kind, once it shows what is expected."""

    def found() -> dict[str, Any]:
        frames = sink.of_type(kind)
        shown = {**frames[-1]["thread"], **frames[-1]} if frames else {}
        return shown if shown.items() >= expected.items() else {}

    return await until(found, WITHIN, what=f"{kind} {expected}")


async def test_every_change_reaches_the_users_lists(pair: list[Process], ann: Principal) -> None:
    threads = threads_of(pair[0])
    sinks = [MemorySink(), MemorySink()]
    for process, sink in zip(pair, sinks, strict=True):
        await process.delivery.subscribe_user(ann, sink)

    async def all_are_told(kind: str, **expected: Any) -> None:
        for sink in sinks:
            frame = await told(sink, kind, **expected)
            assert "seq" not in frame
            assert (frame["feed"], frame["thread_id"]) == ("user", f"thr_{thread.id}")

    thread, _ = await threads.create(ann, external_id=None, title="One", metadata={"a": 1})
    await all_are_told("thread_created", title="One", metadata={"a": 1}, last_seq=1, unread=0)
    await threads.patch(ann, thread.id, ThreadPatch(title="Two"), if_match=None)
    await all_are_told("thread_updated", title="Two", version=2)
    await threads.act(ann, thread.id, "pause")
    await all_are_told("thread_state_changed", state="paused")
    await threads.act(ann, thread.id, "delete")
    await all_are_told("thread_deleted", state="deleted")
    for sink in sinks:
        assert [f["type"] for f in sink.of_type(*KINDS)] == list(KINDS)


async def test_unread_messages_are_counted_until_they_are_read(
    pair: list[Process], ann: Principal
) -> None:
    here, there = pair
    projector = Projector(here.database)
    projector.start()
    try:
        threads = threads_of(here)
        thread, _ = await threads.create(ann, external_id=None, title=None, metadata={})
        sink = MemorySink()
        await there.delivery.subscribe_user(ann, sink)
        await here.append(ann, thread.id, "one", "two", "three")
        projector.mark(ann.tenant, thread.id)
        await told(sink, "thread_updated", unread=3, last_seq=4)
        await threads.mark_read(ann, thread.id, 3)
        await told(sink, "thread_updated", unread=1, last_seq=4)
    finally:
        await projector.aclose()


async def test_a_feed_shows_nothing_of_others_and_nothing_old(
    pair: list[Process], ann: Principal
) -> None:
    here, there = pair
    bob = Principal(tenant=ann.tenant, owner="bob", actor="test")
    threads = threads_of(here)
    await threads.create(ann, external_id=None, title="before", metadata={})
    sink = MemorySink()
    subscription = await there.delivery.subscribe_user(ann, sink)
    await threads.create(bob, external_id=None, title="of another", metadata={})
    await threads.create(ann, external_id=None, title="new", metadata={})
    await told(sink, "thread_created", title="new")

    assert [frame["thread"]["title"] for frame in sink.of_type(*KINDS)] == ["new"]
    there.delivery.unsubscribe_user(subscription)
    assert there.delivery.counts.subscriptions == 0


async def test_more_changes_than_a_page_all_arrive(pair: list[Process], ann: Principal) -> None:
    here, there = pair
    threads = threads_of(here)
    sink = MemorySink()
    await there.delivery.subscribe_user(ann, sink)
    for n in range(230):
        await threads.create(ann, external_id=f"x{n}", title=None, metadata={})
    await until(lambda: len(sink.of_type("thread_created")) == 230, WITHIN)

    shown = [frame["thread"]["external_id"] for frame in sink.of_type(*KINDS)]
    assert sorted(shown) == sorted(f"x{n}" for n in range(230))
