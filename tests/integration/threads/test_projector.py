from __future__ import annotations

import asyncio
import time
from itertools import pairwise
from statistics import median

import msgspec
import pytest

from tests.support.postgres import Database, superuser
from tests.support.waiting import until
from threadkeep.domain import ids
from threadkeep.services.journal import event

from .keeping import Keeping, keeping_on


async def _rows(keeping: Keeping, query: str) -> list[tuple[object, ...]]:
    async with superuser(keeping.given.superuser_url) as connection:
        return [tuple(row) for row in await connection.fetch(query)]


async def _behind(keeping: Keeping) -> int:
    rows = await _rows(
        keeping,
        "SELECT count(*) FROM heads h JOIN threads t ON t.id = h.thread_id"
        " WHERE t.last_seq_seen < h.last_seq",
    )
    count = rows[0][0]
    assert isinstance(count, int)
    return count


async def _is_without_hints(keeping: Keeping) -> bool:
    return await _rows(keeping, "SELECT * FROM dirty") == []


async def test_a_mark_leads_to_search_within_a_second(keeping: Keeping) -> None:
    thread = await keeping.thread()
    keeping.projector.start()
    try:
        await keeping.say(thread.id, "needle")
        await until(lambda: keeping.found("needle"), 2.0, what="the search")
        await until(lambda: _is_without_hints(keeping), 2.0, what="the hints")
    finally:
        await keeping.projector.aclose()

    (times,) = await _rows(
        keeping,
        "SELECT t.last_activity_at = e.created_at, t.last_seq_seen FROM threads t JOIN entries e"
        " ON e.thread_id = t.id AND e.seq = 2",
    )
    assert times == (True, 2)


async def test_what_nobody_marked_is_found_by_the_sweep(keeping: Keeping) -> None:
    thread = await keeping.thread()
    await keeping.say(thread.id, "needle")
    assert await keeping.projector.drain() == 0

    assert await keeping.projector.sweep() == 1
    assert await keeping.projector.sweep() == 0
    await keeping.projector.drain()

    assert await keeping.found("needle") == ["needle"]


async def test_two_processes_project_everything_once(database: Database) -> None:
    """While others append to the same threads."""
    async with (
        keeping_on(database) as one,
        keeping_on(database, tenant=one.ann.tenant) as other,
    ):
        threads = [await one.thread() for _ in range(20)]
        one.projector.start()
        other.projector.start()
        await asyncio.gather(
            *(
                process.say(thread.id, f"text {n}")
                for n in range(30)
                for thread in threads
                for process in (one, other)
            )
        )
        await until(lambda: _is_level(one), 10.0, what="the projectors")
        await until(lambda: _is_without_hints(one), 5.0, what="the hints")
        await one.projector.aclose()
        await other.projector.aclose()

        (count,) = await _rows(one, "SELECT count(*), count(DISTINCT (thread_id, seq)) FROM search")
        assert count == (1200, 1200)


async def _is_level(keeping: Keeping) -> bool:
    return await _behind(keeping) == 0


async def test_a_projector_that_dies_at_any_point_loses_nothing(
    keeping: Keeping, monkeypatch: pytest.MonkeyPatch
) -> None:
    thread = await keeping.thread()
    await keeping.say(thread.id, "needle")
    await keeping.projector.sweep()

    async def die(*_: object) -> None:
        raise asyncio.CancelledError

    with monkeypatch.context() as patch:
        patch.setattr("threadkeep.services.projector._understand", die)
        with pytest.raises(asyncio.CancelledError):
            await keeping.projector.drain()
    assert await _rows(keeping, "SELECT count(*) FROM dirty") == [(1,)]
    await keeping.projector.drain()

    assert await keeping.found("needle") == ["needle"]


async def test_a_hint_outlives_what_was_appended_meanwhile(keeping: Keeping) -> None:
    """A mark that meets a locked hint leaves it alone; it must not be deleted then."""
    thread = await keeping.thread()
    await keeping.projector.sweep()
    async with superuser(keeping.given.superuser_url) as connection, connection.transaction():
        await connection.fetch("SELECT * FROM take_dirty(64, 512, 1000000)")
        await keeping.say(thread.id, "needle")
        async with asyncio.timeout(1):
            await keeping.database.call("SELECT mark_dirty($1, $2)", [thread.tenant], [thread.id])
        none: list[list[object]] = [[]] * 8
        await connection.execute(
            "SELECT project($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
            [thread.tenant],
            [thread.id],
            [1],
            [None],
            *none,
        )

    assert await _rows(keeping, "SELECT count(*) FROM dirty") == [(1,)]
    await keeping.projector.drain()
    assert await keeping.found("needle") == ["needle"]


async def test_the_projector_never_waits_for_a_head_nor_holds_one_up(keeping: Keeping) -> None:
    thread = await keeping.thread()
    await keeping.say(thread.id, "needle")
    await keeping.projector.sweep()
    async with superuser(keeping.given.superuser_url) as connection, connection.transaction():
        await connection.execute("SELECT FROM heads FOR UPDATE")

        async with asyncio.timeout(2):
            await keeping.projector.drain()

    assert await keeping.found("needle") == ["needle"]


async def test_runs_that_were_rolled_back_are_not_found(keeping: Keeping) -> None:
    """Whether their messages were projected before, or stand in the same portion."""
    thread = await keeping.thread()
    early, late = ids.new_id(), ids.new_id()
    for run in (early, late):
        async with keeping.journal.writing(keeping.ann, thread.id) as writing:
            said = {"content": "needle", "metadata": {}, "role": "assistant"}
            await writing.append(event("message", said, run=run))
        if run == early:
            await keeping.catch_up()
            assert await keeping.found("needle") == ["needle"]
    async with keeping.journal.writing(keeping.ann, thread.id) as writing:
        await writing.append(
            *(event("run_rolled_back", {"run_id": f"run_{run}"}) for run in (early, late))
        )
    await keeping.catch_up()

    assert await keeping.found("needle") == []
    assert len(await keeping.log(thread.id)) == 5


async def test_a_long_thread_is_followed_in_portions(keeping: Keeping) -> None:
    thread = await keeping.thread()
    for start in range(0, 1500, 100):
        await keeping.say(thread.id, *(f"text {n}" for n in range(start, start + 100)))
    await keeping.say(thread.id, *(["x" * 60000] * 40))

    await keeping.catch_up()

    assert await _behind(keeping) == 0
    assert await _rows(keeping, "SELECT count(*) FROM search") == [(1540,)]


async def test_what_is_marked_while_a_long_thread_is_followed_is_followed_too(
    keeping: Keeping,
) -> None:
    """A thread that grows all the time keeps its hint, and with it the projector busy."""
    long = await keeping.thread()
    for _ in range(11):
        await keeping.say(long.id, *["one of many texts"] * 100)
    await keeping.projector.sweep()
    other = await keeping.thread()
    await keeping.say(other.id, "needle")

    await keeping.projector.drain()

    assert await keeping.found("needle") == ["needle"]


@pytest.mark.timeout(180)  # after a standstill it rests nine times as long
async def test_between_portions_it_rests_while_appends_wait(keeping: Keeping) -> None:
    """Portions are compared with each other: while none, few or many wait."""
    thread = await keeping.thread()
    for _ in range(60):
        await keeping.say(thread.id, *["one of many texts"] * 100)
    ends: list[float] = []

    def waiting() -> int:
        ends.append(time.monotonic())
        return (0, 4, 1000)[len(ends) % 3]

    keeping.projector.yield_to(waiting)
    await keeping.catch_up()

    # The pause after an end follows from what waited then: the first had 4, the next 1000.
    pauses = [later - earlier for earlier, later in pairwise(ends)]
    assert len(pauses) >= 10
    few, many, none = (median(pauses[n::3]) for n in range(3))
    assert many > 4 * none
    assert many > 3 * few
    assert await _behind(keeping) == 0


async def test_every_kind_of_content_is_followed(keeping: Keeping) -> None:
    thread = await keeping.thread()
    parts = [
        {"type": "text", "text": "first needle"},
        {"type": "data", "data": {"text": "hidden"}},
        {"type": "text", "text": "second"},
        {"type": "image_ref", "url": "https://example.com/text"},
    ]
    async with keeping.journal.writing(keeping.ann, thread.id) as writing:
        for content in (parts, [parts[1]], "plain needle"):
            said: dict[str, object] = {"content": content, "metadata": {}, "role": "user"}
            await writing.append(event("message", said))
        await writing.append(event("agent_thinking", {"thought": "needle"}))
    await keeping.catch_up()

    assert set(await keeping.found("needle")) == {"first needle\nsecond", "plain needle"}
    assert await keeping.found("hidden") == []
    assert msgspec.json.decode((await keeping.log(thread.id))[-1].body) == {"thought": "needle"}
