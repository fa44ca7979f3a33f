from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.postgres import superuser
from threadkeep.domain.threads import Thread, ThreadQuery
from threadkeep.errors import InvalidRequest

from .keeping import Keeping

_START = datetime(2026, 1, 1, tzinfo=UTC)
_FEW = settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


async def _fill(keeping: Keeping, owner: str, minutes: list[int]) -> list[str]:
    """Threads active at these minutes; their ids as a list must give them."""
    who = keeping.user(owner)
    threads = [await keeping.thread(who) for _ in minutes]
    async with superuser(keeping.given.superuser_url) as connection:
        for thread, minute in zip(threads, minutes, strict=True):
            at = _START + timedelta(minutes=minute)
            await connection.execute(
                "UPDATE threads SET last_activity_at = $2 WHERE id = $1", thread.id, at
            )
    order = sorted(zip(minutes, (thread.id for thread in threads), strict=True), reverse=True)
    return [thread for _, thread in order]


_users = itertools.count()


@_FEW
@given(minutes=st.lists(st.integers(0, 5), max_size=12), limit=st.integers(1, 5))
async def test_pages_hold_every_thread_once_both_ways(
    keeping: Keeping, minutes: list[int], limit: int
) -> None:
    """Also where many were active at the same time."""
    owner = f"user {next(_users)}"
    expected = await _fill(keeping, owner, minutes)
    who = keeping.user(owner)

    forward: list[str] = []
    cursors: list[str | None] = []
    query = ThreadQuery(limit=limit)
    while True:
        page = await keeping.threads.list(who, query)
        forward.extend(thread.id for thread in page.items)
        cursors.append(page.previous)
        assert page.has_more == (page.next is not None)
        if page.next is None:
            break
        query = ThreadQuery(limit=limit, after=page.next)
    backward = [thread.id for thread in page.items]
    while page.previous is not None:
        page = await keeping.threads.list(who, ThreadQuery(limit=limit, before=page.previous))
        backward[:0] = [thread.id for thread in page.items]

    assert forward == expected
    assert backward == expected
    assert cursors[0] is None


async def test_a_list_is_narrowed_by_what_is_asked(keeping: Keeping) -> None:
    plain = await keeping.thread(external_id="x", metadata={"a": {"b": 1, "c": 2}, "d": [1, 2]})
    paused = await keeping.thread()
    await keeping.threads.act(keeping.ann, paused.id, "pause")
    deleted = await keeping.thread()
    await keeping.threads.act(keeping.ann, deleted.id, "delete")
    await keeping.thread(keeping.user("bob"), external_id="x")

    async def listed(query: ThreadQuery) -> set[str]:
        return {thread.id for thread in (await keeping.threads.list(keeping.ann, query)).items}

    assert await listed(ThreadQuery()) == {plain.id, paused.id}
    assert await listed(ThreadQuery(state="paused")) == {paused.id}
    assert await listed(ThreadQuery(state="deleted")) == {deleted.id}
    assert await listed(ThreadQuery(state="archived")) == set()
    assert await listed(ThreadQuery(external_id="x")) == {plain.id}
    assert await listed(ThreadQuery(metadata={"a": {"b": 1}, "d": [2]})) == {plain.id}
    assert await listed(ThreadQuery(metadata={"a": {"b": 2}})) == set()
    assert await listed(ThreadQuery(updated_since=plain.created_at)) == {plain.id, paused.id}
    assert await listed(ThreadQuery(updated_since=paused.created_at)) == {paused.id}
    assert await listed(ThreadQuery(updated_since=datetime.now(UTC))) == set()


async def test_a_list_is_one_round_trip_however_long(keeping: Keeping) -> None:
    for _ in range(30):
        await keeping.thread(title="needle")
    await keeping.catch_up()
    calls: list[str] = []
    call = keeping.database.call

    async def counted(query: str, *args: object) -> object:
        calls.append(query)
        return await call(query, *args)

    keeping.database.call = counted  # type: ignore[method-assign, assignment]  # counts, and asks

    for query in (ThreadQuery(limit=1), ThreadQuery(limit=100), ThreadQuery(limit=100, q="needle")):
        calls.clear()
        page = await keeping.threads.list(keeping.ann, query)
        assert len(page.items) == min(query.limit, 30)
        assert len(calls) == 1


@pytest.mark.parametrize(
    ("query", "field"),
    [
        (ThreadQuery(limit=0), "limit"),
        (ThreadQuery(limit=101), "limit"),
        (ThreadQuery(after="x"), "after"),
        (ThreadQuery(before="A" * 50), "before"),
        (ThreadQuery(after="A" * 50, before="A" * 50), "before"),
        (ThreadQuery(state="flying"), "state"),
        (ThreadQuery(metadata={"a": "\0"}), "metadata"),
    ],
)
async def test_what_no_list_gives_is_refused(
    keeping: Keeping, query: ThreadQuery, field: str
) -> None:
    with pytest.raises(InvalidRequest) as caught:
        await keeping.threads.list(keeping.ann, query)
    assert caught.value.field == field


async def test_a_cursor_of_another_list_is_refused(keeping: Keeping) -> None:
    thread = await keeping.thread()
    await keeping.say(thread.id, "needle", "needle")
    await keeping.catch_up()
    hits = await keeping.search.messages(keeping.ann, "needle", limit=1)

    assert hits.next is not None
    with pytest.raises(InvalidRequest):
        await keeping.threads.list(keeping.ann, ThreadQuery(after=hits.next))


async def test_a_list_follows_activity(keeping: Keeping) -> None:
    older: Thread = await keeping.thread()
    newer = await keeping.thread()
    await keeping.say(older.id, "hello")
    await keeping.catch_up()

    page = await keeping.threads.list(keeping.ann, ThreadQuery())

    assert [thread.id for thread in page.items] == [older.id, newer.id]
