from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.support.postgres import Database, superuser
from threadkeep.domain import ids
from threadkeep.errors import Gone, InvalidRequest, NotFound, TooLarge

from .keeping import Keeping, keeping_on, payload


async def test_a_hundred_who_ask_at_once_get_one_thread(database: Database) -> None:
    """Through two processes; exactly one of them has created it."""
    async with (
        keeping_on(database) as one,
        keeping_on(database, tenant=one.ann.tenant) as other,
    ):
        answers = await asyncio.gather(
            *(
                process.threads.create(one.ann, external_id="same", title=None, metadata={})
                for _ in range(50)
                for process in (one, other)
            )
        )

        assert len({thread.id for thread, _ in answers}) == 1
        assert sum(is_new for _, is_new in answers) == 1
        assert len(one.published) + len(other.published) == 1
        async with superuser(database.superuser_url) as connection:
            for table in ("threads", "heads", "entries"):
                assert await connection.fetchval(f"SELECT count(*) FROM {table}") == 1


async def test_a_new_thread_starts_its_log_with_its_creation(keeping: Keeping) -> None:
    thread = await keeping.thread(title="Plans", metadata={"topic": "aws"})

    (entry,) = await keeping.log(thread.id)

    assert (entry.kind, entry.seq, entry.at) == ("thread_created", 1, thread.created_at)
    assert payload(entry)["metadata"] == {"topic": "aws"}
    assert [entry.canonical()] == [published.canonical() for published in keeping.published]
    assert await keeping.threads.get(keeping.ann, thread.id) == thread
    assert (thread.version, thread.state, thread.last_seq) == (1, "active", 1)


async def test_external_ids_of_two_users_are_two_threads(keeping: Keeping) -> None:
    first = await keeping.thread(external_id="x")
    second = await keeping.thread(keeping.user("bob"), external_id="x")

    assert first.id != second.id


async def test_a_deleted_thread_keeps_its_external_id(keeping: Keeping) -> None:
    thread = await keeping.thread(external_id="x")
    await keeping.threads.act(keeping.ann, thread.id, "delete")

    with pytest.raises(Gone):
        await keeping.thread(external_id="x")

    await keeping.threads.act(keeping.ann, thread.id, "undelete")
    assert (await keeping.thread(external_id="x")).id == thread.id


async def test_a_foreign_thread_is_answered_as_one_that_is_not_there(keeping: Keeping) -> None:
    thread = await keeping.thread()
    await keeping.say(thread.id, "mine")
    await keeping.catch_up()
    bob = keeping.user("bob")

    for target in (thread.id, ids.new_id()):
        for refused in (
            keeping.threads.get(bob, target),
            keeping.threads.act(bob, target, "pause"),
            keeping.threads.hold(bob, target, on=True),
            keeping.threads.mark_read(bob, target, 1),
            keeping.say(target, "no", who=bob),
            keeping.log(target, bob),
        ):
            with pytest.raises(NotFound) as caught:
                await refused
            assert caught.value.message == NotFound().message
    assert await keeping.found("mine", bob) == []
    assert await keeping.found("mine") == ["mine"]
    assert len(await keeping.log(thread.id)) == 2


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({"title": ""}, InvalidRequest),
        ({"title": "a\0b"}, InvalidRequest),
        ({"title": "\ud800"}, InvalidRequest),
        ({"external_id": "x" * 256}, InvalidRequest),
        ({"external_id": "a\0b"}, InvalidRequest),
        ({"metadata": {"a": "\0"}}, InvalidRequest),
        ({"metadata": {"a\0": 1}}, InvalidRequest),
        ({"metadata": {"a": "x" * 65536}}, TooLarge),
    ],
)
async def test_what_cannot_be_kept_is_refused(
    keeping: Keeping, given: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error):
        await keeping.thread(**given)

    async with superuser(keeping.given.superuser_url) as connection:
        assert await connection.fetchval("SELECT count(*) FROM threads") == 0
