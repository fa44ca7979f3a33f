"""One reader never harms another, and nothing is kept for one that has gone."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

import pytest
from typing_extensions import override

from threadkeep.domain.principals import Principal
from threadkeep.services.delivery import Frame

from ...support.postgres import Database
from .processes import MemorySink, Process, principal_of, process_on, thread_of


@pytest.fixture
async def process(database: Database) -> AsyncIterator[Process]:
    """One process."""
    async with process_on(database, THREADKEEP_WAKEUPS="process") as process:
        yield process


@pytest.fixture
async def ann(database: Database) -> Principal:
    """A user."""
    return await principal_of(database)


@pytest.fixture
async def thread(database: Database, ann: Principal) -> str:
    """Her thread."""
    return await thread_of(database, ann)


async def test_a_broken_reader_is_dropped_and_told(
    process: Process, ann: Principal, thread: str
) -> None:
    sinks = [await process.subscribe(ann, thread) for _ in range(3)]
    sinks[1].is_broken = True
    for n in range(5):
        await process.append(ann, thread, f"message {n}")

    assert sinks[0].seqs == sinks[2].seqs == [1, 2, 3, 4, 5]
    assert sinks[1].seqs == []
    assert len(sinks[1].ends) == 1, "never silence"
    assert process.delivery.counts.subscriptions == 2
    assert process.delivery.counts.sink_failures == 1


async def test_a_reader_without_room_delays_nobody(
    process: Process, ann: Principal, thread: str
) -> None:
    await process.append(ann, thread, *(f"message {n}" for n in range(50)))
    stuck = MemorySink()
    stuck.stall()
    await process.subscribe(ann, thread, after_seq=0, sink=stuck)
    quick = await process.subscribe(ann, thread, after_seq=0)
    await quick.reaches(50)
    await process.append(ann, thread, "live")

    assert quick.seqs == list(range(1, 52))
    assert stuck.seqs == []


async def test_a_reader_that_leaves_while_it_is_served_takes_nobody_along(
    process: Process, ann: Principal, thread: str
) -> None:
    """As a slow socket does: it closes itself inside of `push` and unsubscribes everything."""

    class Leaving(MemorySink):
        @override
        def push(self, frames: Sequence[Frame]) -> None:
            assert frames
            self.closed = True
            process.delivery.leave(self)

    others = [await process.subscribe(ann, thread) for _ in range(2)]
    leaving = await process.subscribe(ann, thread, sink=Leaving())
    others.append(await process.subscribe(ann, thread))
    await process.append(ann, thread, "one")
    await process.append(ann, thread, "two")

    assert [sink.seqs for sink in others] == [[1, 2]] * 3
    assert process.delivery.subscriptions_of(leaving) == []
    assert process.delivery.counts.subscriptions == 3


async def test_nothing_stays_of_readers_that_left(
    process: Process, ann: Principal, thread: str, database: Database
) -> None:
    other = await thread_of(database, ann)
    sink = await process.subscribe(ann, thread)
    await process.subscribe(ann, other, sink=sink)
    await process.delivery.subscribe_user(ann, sink)
    assert {s.thread for s in process.delivery.subscriptions_of(sink)} == {thread, other}
    assert process.delivery.counts.subscriptions == 3

    for subscription in process.delivery.subscriptions_of(sink):
        process.delivery.unsubscribe(subscription)
        process.delivery.unsubscribe(subscription)
    process.delivery.leave(sink)
    await process.append(ann, thread, "nobody hears this")

    assert sink.seqs == []
    assert process.delivery.counts.subscriptions == 0
    assert process.delivery._registry.threads == {}
    assert process.delivery._registry.outlet(sink) is None
    assert process.delivery._users._of_sinks == {}


async def test_one_socket_catches_up_on_many_threads_in_turn(
    process: Process, ann: Principal, database: Database
) -> None:
    """Room is asked for before each chunk, never for two chunks at once."""
    threads = [await thread_of(database, ann) for _ in range(6)]
    for thread in threads:
        await process.append(ann, thread, *("x" * 5000 for _ in range(30)))

    class Measured(MemorySink):
        granted = 0

        @override
        async def room(self) -> None:
            await super().room()
            self.granted += 1
            assert self.granted == 1, "two chunks were let into the same room"

        @override
        def push(self, frames: Sequence[Frame]) -> None:
            super().push(frames)
            self.granted -= 1

    sink = Measured()
    for thread in threads:
        await process.subscribe(ann, thread, after_seq=0, sink=sink)
    await sink.reaches(180)

    assert sorted(sink.seqs) == sorted(list(range(1, 31)) * 6)
