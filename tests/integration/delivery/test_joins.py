"""Joining: a snapshot or a cursor, then what follows, without a hole and without a repeat."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import msgspec
import pytest

from threadkeep.domain.entries import Cursor
from threadkeep.domain.principals import Principal
from threadkeep.errors import Gone, InvalidRequest, NotFound
from threadkeep.services.journal import event

from ...support.postgres import Database, superuser
from ...support.seeds import set_state
from ...support.waiting import until
from .processes import WITHIN, MemorySink, Process, principal_of, process_on, thread_of


@pytest.fixture
async def pair(database: Database) -> AsyncIterator[list[Process]]:
    """Two processes that wake each other."""
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(process_on(database)) for _ in range(2)]


@pytest.fixture
async def ann(database: Database) -> Principal:
    """A user."""
    return await principal_of(database)


@pytest.fixture
async def thread(database: Database, ann: Principal) -> str:
    """Her thread."""
    return await thread_of(database, ann)


async def test_joining_at_any_moment_gives_the_whole_end_once(
    pair: list[Process], ann: Principal, thread: str
) -> None:
    """Readers join with and without cursors, at random moments, while both processes append."""
    dice = random.Random(7)
    sinks: list[MemorySink] = []
    starts: list[int] = []
    epoch = (await pair[0].append(ann, thread, "first")).epoch
    acknowledged = 1

    async def write(process: Process) -> None:
        nonlocal acknowledged
        for n in range(150):
            done = await process.append(ann, thread, f"message {n}")
            acknowledged = max(acknowledged, done.first_seq)

    async def read(process: Process) -> None:
        for _ in range(30):
            await asyncio.sleep(dice.random() * 0.01)  # the moment is the test's input
            if dice.random() < 0.3:
                sinks.append(await process.subscribe(ann, thread))
                starts.append(-1)
            else:
                seq = dice.randint(0, acknowledged)
                sinks.append(
                    await process.subscribe(ann, thread, cursor=Cursor(epoch, seq))
                    if dice.random() < 0.5
                    else await process.subscribe(ann, thread, after_seq=seq)
                )
                starts.append(seq)

    async with asyncio.TaskGroup() as group:
        for process in pair:
            _ = group.create_task(write(process))
            _ = group.create_task(read(process))

    log = await pair[0].log(ann, thread)
    assert len(log) == 301
    assert len(sinks) == 60
    for sink, start in zip(sinks, starts, strict=True):
        answer = sink.joined[0]
        assert answer.verdict == ("snapshot" if start < 0 else "resumed")
        assert (answer.entries is None) == (start >= 0)
        expected = log[start:] if start >= 0 else log[answer.last_seq - len(answer.entries or ()) :]
        await sink.reaches(len(expected))
        assert sink.entries == expected


async def test_a_cursor_at_any_place_is_resumed(
    pair: list[Process], ann: Principal, thread: str
) -> None:
    done = await pair[0].append(ann, thread, *(f"message {n}" for n in range(20)))
    log = await pair[0].log(ann, thread)
    for seq in range(21):
        sink = await pair[1].subscribe(ann, thread, cursor=Cursor(done.epoch, seq))
        await sink.reaches(20 - seq)

        assert sink.entries == log[seq:]
        assert [answer.verdict for answer in sink.joined] == ["resumed"]


@pytest.mark.parametrize("wrong", ["future", "epoch", "after_seq"])
async def test_a_place_that_does_not_exist_is_forked_with_a_snapshot(
    pair: list[Process], ann: Principal, thread: str, wrong: str
) -> None:
    done = await pair[0].append(ann, thread, "one", "two")
    process = pair[1]
    if wrong == "future":
        sink = await process.subscribe(ann, thread, cursor=Cursor(done.epoch, 3))
    elif wrong == "epoch":
        sink = await process.subscribe(ann, thread, cursor=Cursor("0123456789abcdef", 1))
    else:
        sink = await process.subscribe(ann, thread, after_seq=3)
    await pair[0].append(ann, thread, "three")
    await sink.reaches(3)

    assert [answer.verdict for answer in sink.joined] == ["forked"]
    assert sink.joined[0].epoch == done.epoch
    assert sink.entries == await process.log(ann, thread)


async def test_a_snapshot_reaches_back_to_the_fiftieth_last_message(
    pair: list[Process], ann: Principal, thread: str
) -> None:
    process = pair[0]
    for n in range(60):
        await process.append(ann, thread, f"message {n}")
        async with process.journal.writing(ann, thread) as writing:
            await writing.append(event("noted", {"n": n}))
    sink = await process.subscribe(ann, thread)
    kinds = [msgspec.json.decode(entry)["type"] for entry in sink.entries]

    assert kinds == ["message", "noted"] * 50
    assert sink.entries == (await process.log(ann, thread))[-100:]


async def test_a_snapshot_is_bounded_in_entries_and_bytes(
    pair: list[Process], ann: Principal, database: Database
) -> None:
    process = pair[0]
    many, large = await thread_of(database, ann), await thread_of(database, ann)
    async with process.journal.writing(ann, many) as writing:
        await writing.append(*(event("noted", {"n": n}) for n in range(600)))
    for _ in range(12):
        await process.append(ann, large, "x" * 65536)
    async with process.journal.writing(ann, large) as writing:
        await writing.append(event("noted", {"text": "y" * 600_000}))
    full = await process.subscribe(ann, many)
    short = await process.subscribe(ann, large)

    assert len(full.entries) == 500
    assert len(short.entries) == 1, "one entry is given whatever its size"
    await process.append(ann, large, *("z" * 65536 for _ in range(10)))
    small = await process.subscribe(ann, large)
    assert sum(map(len, small.entries)) <= 512 * 1024
    assert len(small.entries) == 7


async def test_a_long_way_is_caught_up_in_chunks_when_there_is_room(
    pair: list[Process], ann: Principal, thread: str
) -> None:
    """The reader is not slow while it catches up, and what comes meanwhile waits behind."""
    process = pair[0]
    for _ in range(20):
        await process.append(ann, thread, *("x" * 1000 for _ in range(100)))
    sink = MemorySink()
    sink.stall()
    await process.subscribe(ann, thread, after_seq=0, sink=sink)
    await process.append(ann, thread, "live")
    assert sink.seqs == []

    sink.go_on()
    await sink.reaches(2001)
    assert sink.entries == await process.log(ann, thread)
    assert sink.batches >= 8, "2 MB came in chunks of 256 KB"


async def test_a_large_gap_makes_nobody_slow(
    pair: list[Process], ann: Principal, thread: str, database: Database
) -> None:
    """What another process wrote while this one heard nothing: each catches up at his pace."""
    async with process_on(database, THREADKEEP_WAKEUPS="none") as deaf:
        quick, slow = MemorySink(), MemorySink()
        for sink in (quick, slow):
            await deaf.subscribe(ann, thread, sink=sink)
        slow.stall()
        for _ in range(25):
            await pair[0].append(ann, thread, *(f"message {n}" for n in range(100)))
        await quick.reaches(2500)

        assert len(slow.seqs) <= 600, "only the first chunk was pushed"
        slow.go_on()
        await slow.reaches(2500)
        assert slow.entries == quick.entries == await deaf.log(ann, thread)


async def test_a_foreign_thread_is_as_absent_as_none(
    pair: list[Process], ann: Principal, thread: str
) -> None:
    process = pair[0]
    bob = Principal(tenant=ann.tenant, owner="bob", actor="test")
    mine = await process.subscribe(ann, thread)
    with pytest.raises(NotFound):
        await process.subscribe(bob, thread)
    await process.append(ann, thread, "still here")

    assert mine.seqs == [1]
    assert process.delivery.counts.subscriptions == 1


async def test_a_deleted_thread_is_gone(
    pair: list[Process], ann: Principal, thread: str, database: Database
) -> None:
    await set_state(database.superuser_url, thread, "deleted")
    with pytest.raises(Gone):
        await pair[0].subscribe(ann, thread)
    with pytest.raises(InvalidRequest):
        await pair[0].subscribe(ann, thread, after_seq=-1)

    assert pair[0].delivery.counts.subscriptions == 0


@pytest.mark.parametrize("salt", ["heads", "installation"])
async def test_another_history_gives_every_reader_a_new_snapshot(
    pair: list[Process], ann: Principal, thread: str, database: Database, salt: str
) -> None:
    process = pair[0]
    before = (await process.append(ann, thread, "one")).epoch
    sinks = [await each.subscribe(ann, thread) for each in pair]
    async with superuser(database.superuser_url) as connection:
        await connection.execute(f"UPDATE {salt} SET salt = salt + 1")
    for sink in sinks:
        await sink.is_told(2)
    done = await process.append(ann, thread, "two")
    for sink in sinks:
        await sink.reaches(2)

    assert done.epoch != before
    for sink in sinks:
        assert [answer.verdict for answer in sink.joined] == ["snapshot", "forked"]
        assert sink.joined[1].epoch == done.epoch
        assert sink.entries == await process.log(ann, thread)


async def test_the_new_snapshots_wait_for_room(
    pair: list[Process], ann: Principal, thread: str, database: Database
) -> None:
    """A slow reader of many threads would have all of them queued at once otherwise."""
    slow, quick = [await pair[0].subscribe(ann, thread) for _ in range(2)]
    slow.stall()
    async with superuser(database.superuser_url) as connection:
        await connection.execute("UPDATE installation SET salt = salt + 1")
    await quick.is_told(2)
    await pair[0].append(ann, thread, "one")
    await quick.reaches(1)
    told = len(slow.joined)
    slow.go_on()
    await slow.reaches(1)

    assert told == 1
    assert [answer.verdict for answer in slow.joined] == ["snapshot", "forked"]
    assert slow.entries == quick.entries == await pair[0].log(ann, thread)


async def test_a_purged_thread_ends_its_subscriptions(
    pair: list[Process], ann: Principal, thread: str, database: Database
) -> None:
    sink = await pair[0].subscribe(ann, thread)
    async with superuser(database.superuser_url) as connection:
        await connection.execute("DELETE FROM heads WHERE thread_id = $1", thread)
    ends = await until(lambda: sink.ends, WITHIN)

    assert isinstance(ends[0], NotFound)
    assert pair[0].delivery.counts.subscriptions == 0
