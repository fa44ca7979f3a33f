"""Threads over HTTP: created, listed, changed, moved through their states."""

from __future__ import annotations

import asyncio
from urllib.parse import quote

import pytest

from threadkeep.domain import ids

from .callers import Caller, Tenant


async def test_a_thread_is_created_and_read(ann: Caller, tenant: Tenant) -> None:
    made = await ann.post("/v1/threads", {"title": "Tides", "metadata": {"a": {"b": [1]}}})
    read = await ann.get(f"/v1/threads/{made.json['id']}")

    assert made.status == 201
    assert made.headers["ETag"] == '"1"'
    assert read.body == made.body
    thread = read.json
    assert (thread["tenant_id"], thread["owner"], thread["state"]) == (tenant.id, "ann", "active")
    assert thread["metadata"] == {"a": {"b": [1]}}
    assert thread["cursor"] == f"{thread['epoch']}-{thread['last_seq']}"


async def test_one_external_id_is_one_thread(ann: Caller) -> None:
    answers = await asyncio.gather(
        *(ann.post("/v1/threads", {"external_id": "order-1"}) for _ in range(20))
    )

    assert sorted(each.status for each in answers) == [200] * 19 + [201]
    assert len({each.json["id"] for each in answers}) == 1


async def test_a_list_is_paged_both_ways(ann: Caller) -> None:
    made = [(await ann.post("/v1/threads", {"title": f"t{n}"})).json["id"] for n in range(5)]
    first = (await ann.get("/v1/threads?limit=2")).json
    second = (await ann.get(f"/v1/threads?limit=2&after={first['next']}")).json
    third = (await ann.get(f"/v1/threads?limit=2&after={second['next']}")).json
    back = (await ann.get(f"/v1/threads?limit=2&before={second['previous']}")).json

    shown = [each["id"] for page in (first, second, third) for each in page["data"]]
    assert sorted(shown) == sorted(made)
    assert (first["has_more"], first["previous"]) == (True, None)
    assert (third["has_more"], third["next"]) == (False, None)
    assert back["data"] == first["data"]


async def test_a_list_is_narrowed(ann: Caller) -> None:
    blue = (await ann.post("/v1/threads", {"metadata": {"colour": "blue"}})).json
    red = (await ann.post("/v1/threads", {"metadata": {"colour": "red"}, "external_id": "r"})).json
    await ann.post(f"/v1/threads/{red['id']}/pause")

    async def found(query: str) -> list[str]:
        answer = await ann.get(f"/v1/threads?{query}")
        assert answer.status == 200, answer.body
        return [each["id"] for each in answer.json["data"]]

    assert await found('metadata={"colour":"blue"}') == [blue["id"]]
    assert await found("state=paused") == [red["id"]]
    assert await found("external_id=r") == [red["id"]]
    assert await found(f"updated_since={quote('2100-01-01T00:00:00Z')}") == []


@pytest.mark.parametrize("since", ["9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00+23:59"])
async def test_a_time_outside_of_the_calendar_is_refused(ann: Caller, since: str) -> None:
    answer = await ann.get(f"/v1/threads?updated_since={quote(since)}")

    assert (answer.status, answer.error["field"]) == (422, "updated_since")


async def test_metadata_is_merged_and_versioned(ann: Caller, thread: str) -> None:
    path = f"/v1/threads/{thread}"
    await ann.patch(path, {"metadata": {"a": 1, "b": {"c": 2}}})
    changed = await ann.patch(path, {"title": None, "metadata": {"a": None, "b": {"d": 3}}})

    assert changed.status == 200
    assert (changed.json["title"], changed.json["version"]) == (None, 3)
    assert changed.json["metadata"] == {"b": {"c": 2, "d": 3}}
    assert changed.headers["ETag"] == '"3"'


@pytest.mark.parametrize(
    ("if_match", "status"),
    [('"1"', 200), ("1", 200), ("*", 200), ('"7"', 412), ('W/"1"', 422), ('"1", "2"', 422)],
)
async def test_a_stale_version_is_refused(
    ann: Caller, thread: str, if_match: str, status: int
) -> None:
    answer = await ann.with_headers(If_Match=if_match).patch(
        f"/v1/threads/{thread}", {"title": "new"}
    )

    assert answer.status == status
    if status == 412:
        assert answer.error["code"] == "stale_version"
        assert (await ann.get(f"/v1/threads/{thread}")).json["title"] == "about tides"


async def test_the_state_machine_answers_with_states(ann: Caller, thread: str) -> None:
    path = f"/v1/threads/{thread}"
    walk = [
        ("pause", 200, "paused"),
        ("pause", 409, "paused"),
        ("resume", 200, "active"),
        ("complete", 200, "completed"),
        ("archive", 200, "archived"),
        ("unarchive", 200, "completed"),
        ("undelete", 409, "completed"),
    ]
    for action, status, state in walk:
        answer = await ann.post(f"{path}/{action}")
        shown = answer.json["state"] if status == 200 else answer.error["state"]
        assert (answer.status, shown) == (status, state), action


async def test_a_deleted_thread_is_gone_and_comes_back(ann: Caller, thread: str) -> None:
    path = f"/v1/threads/{thread}"
    deleted = await ann.delete(path)
    gone = [
        await ann.get(path),
        await ann.get(f"{path}/entries"),
        await ann.get(f"{path}/runs"),
        await ann.post(f"{path}/messages", {"messages": [{"content": "late"}]}),
        await ann.patch(path, {"title": "late"}),
        await ann.put(f"{path}/read_marker", {"seq": 1}),
        await ann.put(f"{path}/hold"),
        await ann.delete(path),
    ]

    assert (deleted.status, deleted.json["state"]) == (200, "deleted")
    assert [(each.status, each.error["code"]) for each in gone] == [(410, "gone")] * len(gone)
    assert (await ann.post(f"{path}/undelete")).json["state"] == "active"
    assert (await ann.get(path)).status == 200


async def test_a_held_thread_is_not_deleted(ann: Caller, thread: str) -> None:
    path = f"/v1/threads/{thread}"
    assert (await ann.put(f"{path}/hold")).json["hold"] is True
    refused = await ann.delete(path)
    lifted = await ann.delete(f"{path}/hold")

    assert (refused.status, refused.error["code"]) == (409, "conflict")
    assert lifted.json["hold"] is False
    assert (await ann.delete(path)).status == 200


async def test_a_read_marker_never_goes_back(ann: Caller, thread: str) -> None:
    path = f"/v1/threads/{thread}"
    await ann.post(f"{path}/messages", {"messages": [{"content": "one"}]})

    assert (await ann.put(f"{path}/read_marker", {"seq": 2})).json == {"seq": 2}
    assert (await ann.put(f"{path}/read_marker", {"seq": 1})).json == {"seq": 2}
    beyond = await ann.put(f"{path}/read_marker", {"seq": 99})
    assert (beyond.status, beyond.error["field"]) == (422, "seq")


async def test_metadata_that_is_too_large_is_refused(ann: Caller, thread: str) -> None:
    large = {"metadata": {"a": "x" * 70_000}}

    assert (await ann.post("/v1/threads", large)).error["code"] == "too_large"
    answer = await ann.patch(f"/v1/threads/{thread}", large)
    assert (answer.status, answer.error["code"]) == (413, "too_large")


@pytest.mark.parametrize("cursor", ["x", "aWQtMDE", "id-" + "0" * 32, "'; DROP TABLE threads"])
async def test_a_forged_cursor_is_refused(ann: Caller, cursor: str) -> None:
    for name in ("after", "before"):
        answer = await ann.get(f"/v1/threads?{name}={quote(cursor)}")
        assert (answer.status, answer.error["field"]) == (422, name)


async def test_threads_of_others_do_not_exist(ann: Caller, tenant: Tenant, thread: str) -> None:
    bob = tenant.user("bob")

    assert (await bob.get(f"/v1/threads/{thread}")).status == 404
    assert (await bob.get("/v1/threads")).json["data"] == []
    malformed = await ann.get(f"/v1/threads/{ids.new_id()}")
    assert (malformed.status, malformed.error["code"]) == (404, "not_found")
