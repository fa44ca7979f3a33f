from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.support.postgres import Database
from threadkeep.domain.threads import Thread, ThreadPatch
from threadkeep.errors import Gone, InvalidRequest, StaleVersion, TooLarge

from .keeping import Keeping, keeping_on, payload


async def _merge(keeping: Keeping, thread: Thread, metadata: Any) -> Thread:
    patch = ThreadPatch(metadata=metadata)
    return await keeping.threads.patch(keeping.ann, thread.id, patch, if_match=None)


@pytest.mark.parametrize(
    ("target", "patch", "result"),
    [  # the cases of RFC 7396, appendix A, that are objects
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
        ({"a": "b"}, None, {}),
    ],
)
async def test_metadata_are_merged_as_rfc_7396_says(
    keeping: Keeping, target: Any, patch: Any, result: Any
) -> None:
    thread = await keeping.thread(metadata=target)

    merged = await _merge(keeping, thread, patch)

    assert merged.metadata == result
    assert (await keeping.threads.get(keeping.ann, thread.id)) == merged


async def test_of_fifty_changes_at_one_version_one_succeeds(database: Database) -> None:
    async with (
        keeping_on(database) as one,
        keeping_on(database, tenant=one.ann.tenant) as other,
    ):
        thread = await one.thread()

        answers = await asyncio.gather(
            *(
                process.threads.patch(
                    one.ann, thread.id, ThreadPatch(metadata={"n": n}), if_match=1
                )
                for n in range(25)
                for process in (one, other)
            ),
            return_exceptions=True,
        )

        assert sorted(type(answer).__name__ for answer in answers) == sorted(
            ["Thread"] + ["StaleVersion"] * 49
        )
        (won,) = [answer for answer in answers if isinstance(answer, Thread)]
        assert await one.threads.get(one.ann, thread.id) == won
        assert won.version == 2
        assert len(await one.log(thread.id)) == 2


async def test_writers_of_different_keys_lose_nothing(database: Database) -> None:
    async with (
        keeping_on(database) as one,
        keeping_on(database, tenant=one.ann.tenant) as other,
    ):
        thread = await one.thread()

        await asyncio.gather(
            *(
                _merge(process, thread, {f"{name}{n}": n})
                for n in range(20)
                for name, process in (("one", one), ("other", other))
            )
        )

        changed = await one.threads.get(one.ann, thread.id)
        assert len(changed.metadata) == 40
        assert changed.version == 41


async def test_each_change_tells_which_keys_it_changed(keeping: Keeping) -> None:
    thread = await keeping.thread(title="Old", metadata={"a": 1, "b": {"c": True}})

    patch = ThreadPatch(title="New", metadata={"a": None, "b": {"c": 1}, "d": "x"})
    changed = await keeping.threads.patch(keeping.ann, thread.id, patch, if_match=1)

    entry = (await keeping.log(thread.id))[-1]
    assert entry.kind == "thread_updated"
    assert payload(entry) == {
        "version": 2,
        "changes": {
            "title": {"from": "Old", "to": "New"},
            "metadata": {
                "a": {"from": 1},
                "b": {"from": {"c": True}, "to": {"c": 1}},
                "d": {"to": "x"},
            },
        },
    }
    assert (changed.updated_at, changed.last_seq) == (entry.at, entry.seq)
    assert keeping.published[-1] == entry


async def test_what_changes_nothing_is_no_version(keeping: Keeping) -> None:
    thread = await keeping.thread(title="Same", metadata={"a": 1})

    same = await keeping.threads.patch(
        keeping.ann, thread.id, ThreadPatch(title="Same", metadata={"a": 1}), if_match=1
    )

    assert same == thread
    with pytest.raises(StaleVersion):
        await keeping.threads.patch(keeping.ann, thread.id, ThreadPatch(), if_match=2)


async def test_updated_at_rises_with_every_change(keeping: Keeping) -> None:
    thread = await keeping.thread()
    times = [thread.updated_at]
    for n in range(20):
        times.append((await _merge(keeping, thread, {"n": n})).updated_at)
        action = "pause" if n % 2 == 0 else "resume"
        times.append((await keeping.threads.act(keeping.ann, thread.id, action)).updated_at)

    assert times == sorted(set(times))


async def test_metadata_never_grow_beyond_their_limit(keeping: Keeping) -> None:
    thread = await keeping.thread(metadata={"a": "x" * 40000})

    with pytest.raises(TooLarge):
        await _merge(keeping, thread, {"b": "x" * 40000})
    with pytest.raises(InvalidRequest):
        await _merge(keeping, thread, {"b": "\0"})

    assert await keeping.threads.get(keeping.ann, thread.id) == thread
    assert len(await keeping.log(thread.id)) == 1


async def test_a_deleted_thread_is_gone_for_everything_but_undelete(keeping: Keeping) -> None:
    thread = await keeping.thread()
    await keeping.threads.act(keeping.ann, thread.id, "delete")

    for refused in (
        keeping.threads.get(keeping.ann, thread.id),
        _merge(keeping, thread, {"a": 1}),
        keeping.threads.hold(keeping.ann, thread.id, on=True),
        keeping.threads.mark_read(keeping.ann, thread.id, 1),
        keeping.say(thread.id, "no"),
        keeping.log(thread.id),
    ):
        with pytest.raises(Gone):
            await refused

    back = await keeping.threads.act(keeping.ann, thread.id, "undelete")
    assert back.state == "active"


async def test_a_read_marker_moves_forward_only_and_not_beyond_the_log(keeping: Keeping) -> None:
    thread = await keeping.thread()
    await keeping.say(thread.id, "a", "b", "c")

    assert await keeping.threads.mark_read(keeping.ann, thread.id, 3) == 3
    assert await keeping.threads.mark_read(keeping.ann, thread.id, 2) == 3
    with pytest.raises(InvalidRequest):
        await keeping.threads.mark_read(keeping.ann, thread.id, 5)
    assert await keeping.threads.mark_read(keeping.ann, thread.id, 4) == 4
