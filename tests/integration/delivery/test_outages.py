"""Connections are lost, servers restart: delivery comes back by itself and has missed nothing."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from threadkeep.domain.principals import Principal
from threadkeep.embedded.postgres import PostgresServer
from threadkeep.errors import ThreadkeepError
from threadkeep.services.delivery.feeds import Feed
from threadkeep.services.delivery.stage import Counts, Stage
from threadkeep.services.delivery.sweeps import Sweeps
from threadkeep.services.delivery.tasks import Tasks
from threadkeep.services.delivery.user_feeds import UserFeeds

from ...support.postgres import Database, superuser
from ...support.redis import RedisServer
from ...support.waiting import Stopwatch, until
from .processes import WITHIN, Process, principal_of, process_on, thread_of


@pytest.fixture
async def ann(database: Database) -> Principal:
    """A user."""
    return await principal_of(database)


@pytest.fixture
async def thread(database: Database, ann: Principal) -> str:
    """Her thread."""
    return await thread_of(database, ann)


async def test_a_lost_listening_connection_is_made_anew(
    database: Database, ann: Principal, thread: str
) -> None:
    async with process_on(database) as here, process_on(database) as there:
        sink = await there.subscribe(ann, thread)
        async with superuser(database.superuser_url) as connection:
            ended = await connection.fetchval(
                "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
                " WHERE datname = $1 AND pid <> pg_backend_pid()",
                database.name,
            )
        assert ended >= 4
        wakeups = there.delivery.wakeups
        await until(lambda: wakeups.failures, 5, what="the loss")
        await until(lambda: wakeups.is_connected and here.delivery.wakeups.is_connected, WITHIN)
        repairs = there.delivery.counts.repairs
        for n in range(20):
            await here.append(ann, thread, f"message {n}")
        await sink.reaches(20)

        assert sink.entries == await here.log(ann, thread)
        assert wakeups.received > 0
        assert there.delivery.counts.repairs - repairs < 10  # else all came by the sweeps


async def test_a_restarted_database_leaves_no_hole(
    crash_server: PostgresServer, crash_database: Database
) -> None:
    ann = await principal_of(crash_database)
    thread = await thread_of(crash_database, ann)
    async with process_on(crash_database) as here, process_on(crash_database) as there:
        live = await there.subscribe(ann, thread)
        await here.append(ann, thread, *(f"message {n}" for n in range(50)))
        late = await there.subscribe(ann, thread, after_seq=0)
        late_again = await here.subscribe(ann, thread, after_seq=25)
        await asyncio.to_thread(crash_server.kill)
        with pytest.raises(ThreadkeepError):
            await there.subscribe(ann, thread)
        await asyncio.to_thread(crash_server.start)
        await _append_until_it_works(here, ann, thread)
        await until(lambda: there.delivery.wakeups.is_connected, 10)
        await there.append(ann, thread, "all is well")
        log = await here.log(ann, thread)
        for sink, start in ((live, 0), (late, 0), (late_again, 25)):
            await sink.reaches(len(log) - start, 5.0)

            assert sink.entries == log[start:]


async def test_a_mistake_does_not_end_the_sweeps() -> None:
    """Whatever a sweep meets, the next one comes: nobody would start it again."""
    asked = 0

    def feeds() -> list[Feed]:
        nonlocal asked
        asked += 1
        if asked == 1:
            raise RuntimeError("nobody thought of this")
        return []

    tasks = Tasks("test")
    stage = Stage(cast("Any", None), Counts(), tasks)
    tasks.spawn(Sweeps(stage, feeds, UserFeeds(stage)).run())
    try:
        await until(lambda: stage.counts.sweeps, 5)
    finally:
        await tasks.aclose()

    assert stage.counts.failures == 1


async def test_a_restarted_redis_degrades_to_the_sweep_and_comes_back(
    database: Database, ann: Principal, thread: str, redis_server: RedisServer
) -> None:
    changes = {"THREADKEEP_WAKEUPS": "redis", "THREADKEEP_REDIS_URL": redis_server.url}
    async with process_on(database, **changes) as here, process_on(database, **changes) as there:
        sink = await there.subscribe(ann, thread)
        await here.append(ann, thread, "by redis")
        await sink.reaches(1)
        await asyncio.to_thread(redis_server.kill)
        for n in range(5):
            await here.append(ann, thread, f"by the sweep {n}")
        late = await there.subscribe(ann, await thread_of(database, ann))
        await sink.reaches(6)
        assert late.joined
        assert there.delivery.counts.repairs > 0
        assert not there.delivery.wakeups.is_connected
        assert there.delivery.wakeups.failures > 0

        await asyncio.to_thread(redis_server.start)
        await until(lambda: _are_connected(here, there), 10)
        received = there.delivery.wakeups.received
        await here.append(ann, thread, "by redis again")
        await sink.reaches(7)
        assert there.delivery.wakeups.received > received
        assert sink.entries == await here.log(ann, thread)


async def test_a_silent_redis_stops_nobody(
    database: Database, ann: Principal, thread: str, redis_server: RedisServer
) -> None:
    """It accepts connections and answers nothing."""
    changes = {"THREADKEEP_WAKEUPS": "redis", "THREADKEEP_REDIS_URL": redis_server.url}
    async with process_on(database, **changes) as here, process_on(database, **changes) as there:
        redis_server.pause()
        sink = await there.subscribe(ann, thread)
        own = await here.subscribe(ann, thread)
        with Stopwatch() as watch:
            for n in range(10):
                await here.append(ann, thread, f"message {n}")
        assert watch.seconds < 2.0
        assert own.seqs == list(range(1, 11))
        await sink.reaches(10)
        await until(lambda: not here.delivery.wakeups.is_connected, 10)
        redis_server.resume()


async def test_only_the_needed_channels_are_heard(
    database: Database,
    ann: Principal,
    redis_server: RedisServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # A sweep might see an entry before its wake-up is heard.
    monkeypatch.setattr("threadkeep.services.delivery.sweeps.SECONDS", 3600.0)
    changes = {"THREADKEEP_WAKEUPS": "redis", "THREADKEEP_REDIS_URL": redis_server.url}
    async with process_on(database, **changes) as here, process_on(database, **changes) as there:
        thread = await thread_of(database, ann)
        shard = int(thread[-2:], 16) % 64
        while int((unheard := await thread_of(database, ann))[-2:], 16) % 64 == shard:
            pass
        sink = await there.subscribe(ann, thread)
        for each in (unheard, thread):
            await here.append(ann, each, "hello")
        await sink.reaches(1)
        assert there.delivery.wakeups.received == 1
        there.delivery.leave(sink)
        await here.append(ann, thread, "the last one that is heard")
        await until(lambda: there.delivery.wakeups.received == 2, WITHIN)
        await here.append(ann, thread, "this is not")
        again = await there.subscribe(ann, thread)
        await here.append(ann, thread, "and this is again")
        await again.reaches(4)

        assert again.entries == await here.log(ann, thread)
        assert there.delivery.counts.repairs == 0


def _are_connected(*processes: Process) -> bool:
    return all(process.delivery.wakeups.is_connected for process in processes)


async def _append_until_it_works(process: Process, ann: Principal, thread: str) -> None:
    async def works() -> bool:
        try:
            await process.append(ann, thread, "is anybody there?")
        except ThreadkeepError:
            return False
        return True

    await until(works, 20)
