"""What one process appends, subscribers of all processes get: the same, in order, once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack

import pytest

from threadkeep.services.journal import event
from threadkeep.storage import entries

from ...support.postgres import Database
from ...support.waiting import until
from .processes import WITHIN, MemorySink, Process, principal_of, process_on, thread_of

WAYS = ("postgres", "redis", "none")
Start = Callable[[], AbstractAsyncContextManager[Process]]


@pytest.fixture(params=WAYS)
def start(request: pytest.FixtureRequest, database: Database) -> Start:
    """Starts processes that tell each other in one of the ways."""
    changes = {"THREADKEEP_WAKEUPS": request.param}
    if request.param == "redis":
        changes["THREADKEEP_REDIS_URL"] = request.getfixturevalue("redis_url")
    return lambda: process_on(database, **changes)


@pytest.fixture
async def pair(start: Start) -> AsyncIterator[list[Process]]:
    """Two processes on one database."""
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(start()) for _ in range(2)]


async def test_all_subscribers_get_the_log_while_both_processes_append(
    pair: list[Process], database: Database
) -> None:
    """Three threads, four writers each over both processes, subscribers on both."""
    ann = await principal_of(database)
    threads = [await thread_of(database, ann) for _ in range(3)]
    sinks = {
        thread: [await process.subscribe(ann, thread) for process in pair for _ in range(2)]
        for thread in threads
    }

    async def write(process: Process, thread: str, name: str) -> None:
        for n in range(40):
            await process.append(ann, thread, f"{name} {n}", *(["and more"] if n % 7 == 0 else []))

    async with asyncio.TaskGroup() as group:
        for thread in threads:
            for n, process in enumerate(pair * 2):
                _ = group.create_task(write(process, thread, f"writer {n}"))

    for thread in threads:
        log = await pair[0].log(ann, thread)
        assert len(log) == 4 * 46
        for sink in sinks[thread]:
            await sink.reaches(len(log))
            assert sink.entries == log


async def test_a_wakeup_is_enough(pair: list[Process], database: Database) -> None:
    """Where wake-ups exist, it is they that tell the other process, and seldom its sweep."""
    ann = await principal_of(database)
    thread = await thread_of(database, ann)
    here, there = pair
    sink = await there.subscribe(ann, thread)
    count = 20 if here.settings.wakeups != "none" else 3
    for n in range(count):
        await here.append(ann, thread, f"message {n}")
        await sink.reaches(n + 1)

    assert len(sink.seqs) == count
    if here.settings.wakeups == "none":
        assert there.delivery.wakeups.received == 0
        assert there.delivery.counts.repairs > 0
    else:
        assert there.delivery.wakeups.received > 0
        assert there.delivery.counts.repairs < count // 2


async def test_without_any_wakeup_even_the_own_process_hears_by_its_sweep_alone(
    database: Database,
) -> None:
    ann = await principal_of(database)
    thread = await thread_of(database, ann)
    async with process_on(database, THREADKEEP_WAKEUPS="none") as process:
        sink = await process.subscribe(ann, thread)
        await process.append(ann, thread, "hello")

        assert sink.seqs == []
        await until(lambda: sink.seqs == [1], WITHIN)


async def test_entries_of_the_own_process_need_no_read(database: Database) -> None:
    ann = await principal_of(database)
    thread = await thread_of(database, ann)
    async with process_on(database, THREADKEEP_WAKEUPS="process") as process:
        sinks = [await process.subscribe(ann, thread) for _ in range(3)]
        for n in range(10):
            await process.append(ann, thread, f"message {n}")

        assert [sink.seqs for sink in sinks] == [list(range(1, 11))] * 3
        assert process.delivery.counts.pumps == 0
        first = [sink.frames for sink in sinks]
        assert all(a is b is c for a, b, c in zip(*first, strict=True)), "encoded more than once"


async def test_a_batch_is_one_push(database: Database) -> None:
    ann = await principal_of(database)
    thread = await thread_of(database, ann)
    async with process_on(database, THREADKEEP_WAKEUPS="process") as process:
        sink = MemorySink()
        await process.subscribe(ann, thread, sink=sink)
        await process.append(ann, thread, "first")  # connects the lane
        before = sink.batches
        await asyncio.gather(*(process.append(ann, thread, f"message {n}") for n in range(30)))

        assert sink.seqs == list(range(1, 32))
        assert sink.batches - before <= 2


async def test_what_is_told_twice_or_late_is_sent_once(database: Database) -> None:
    """A read may overtake the news of a commit: the news is then old, wholly or in part."""
    ann = await principal_of(database)
    thread = await thread_of(database, ann)
    async with process_on(database, THREADKEEP_WAKEUPS="process") as process:
        sink = await process.subscribe(ann, thread)
        await process.append(ann, thread, "one", "two", "three")
        page = await entries.read_page(process.database, ann.tenant, ann.owner, thread)
        assert page is not None
        process.delivery.publish(ann.owner, page.entries)
        process.delivery.publish(ann.owner, page.entries[1:2])
        assert sink.seqs == [1, 2, 3]

        async with process.journal.writing(ann, thread) as writing:
            await writing.append(event("noted", {}))
            lost = list(writing.entries)
            writing.entries.clear()  # so that nobody is told
        process.delivery.publish(ann.owner, [*page.entries[1:], *lost])
        assert sink.seqs == [1, 2, 3, 4]
