"""Five events of a run, stored in order, reach the sockets that follow its thread as stored."""

from __future__ import annotations

import json

import pytest

from ...support import resources
from ..callers import Json, Platform, Tenant, gathered
from ..database import connected, digits
from ..figures import Figures
from ..levels import Levels
from ..wire import Socket
from .conftest import Way
from .runs import FIVE, RESULTS, is_end, kinds, make_player

pytestmark = pytest.mark.scenario("websocket", "event delivery")


async def test_five_events_of_each_run_are_delivered_in_order(
    way: Way, operator: Platform, tenant: Tenant, levels: Levels, figures: Figures
) -> None:
    """Each run has a thread of its own, and one socket at each process that follows it."""
    agent = await make_player(operator, tenant)

    async def follow(number: int) -> tuple[list[Json], list[Json]]:
        starter, user = f"user-{number}", tenant.user(f"user-{number}")
        thread = await user.create()
        asked = {"agent": agent}
        async with user.socket() as near, tenant.user(starter, at=1).socket() as far:
            for socket in (near, far):
                await subscribe(socket, thread)
            path = f"/v1/threads/{thread['id']}/runs"
            run = (await user.ask("POST", path, 201, json=asked))["run"]
            seen = [await socket.until(is_end) for socket in (near, far)]
        log = await user.entries(thread["id"])
        assert (run["owner"], run["thread_id"]) == (starter, thread["id"])
        assert {frame["thread_id"] for frame in seen[0]} == {thread["id"]}
        assert {frame["run_id"] for frame in seen[0]} == {run["id"]}
        assert seen == [log[thread["last_seq"] :]] * 2
        return seen[0], log

    done = await gathered(10, [follow(number) for number in range(levels.runs)])

    for frames, _ in done:
        assert kinds(frames) == FIVE
        assert frames[3]["payload"]["results"] == RESULTS
        assert [frame["seq"] for frame in frames] == list(range(2, 7))
    names = [frame["id"] for frames, _ in done for frame in frames]
    assert len(set(names)) == len(names) == 5 * levels.runs
    figures.record(f"{way.name}: events in order at two sockets each", len(names), n=len(names))


async def test_frames_are_the_stored_rows(
    way: Way, operator: Platform, tenant: Tenant, figures: Figures
) -> None:
    """What a socket, an event stream and a page carry, and what stands in the table."""
    if way.admin_dsn is None:
        resources.missing("admin_dsn", "THREADKEEP_TEST_ADMIN_DSN is not set")
    agent = await make_player(operator, tenant)
    user = tenant.user("ann", at=1)
    thread = await user.create()
    async with user.socket() as socket:
        await subscribe(socket, thread)
        await user.ask("POST", f"/v1/threads/{thread['id']}/runs", 201, json={"agent": agent})
        texts: list[str] = []
        while not texts or not is_end(json.loads(texts[-1])):
            texts.append(str(await socket.connection.recv()))
    path = f"/v1/threads/{thread['id']}/entries"
    page = (await tenant.user("ann").send("GET", path)).text
    first = f"{thread['epoch']}-{thread['last_seq']}"
    stream = user.stream(thread["id"], first)
    streamed = [(await anext(stream))[1] for _ in texts]

    assert all(text in page for text in texts), "a frame's bytes are not those of the page"
    assert streamed == [json.loads(text) for text in texts]
    rows = await stored(way.admin_dsn, thread)
    assert rows[thread["last_seq"] :] == streamed
    figures.record(f"{way.name}: frames that equal their rows", len(texts), n=len(texts))


async def test_an_agent_that_works_tells_of_it(operator: Platform, tenant: Tenant) -> None:
    """The librarian computes; its events and its answer are made while it works."""
    await operator.agent(tenant, "librarian", "librarian")
    user = tenant.user("ann")
    thread = await user.create()
    async with tenant.user("ann", at=1).socket() as socket:
        await subscribe(socket, thread)
        asked = {"agent": "librarian", "message": {"content": "What is 1217 * 43?"}}
        await user.ask("POST", f"/v1/threads/{thread['id']}/runs", 201, json=asked)
        seen = [f for f in await socket.until(is_end) if "seq" in f]
    of_run = [frame for frame in seen if frame["run_id"] is not None]

    assert (kinds(of_run)[0], kinds(of_run)[-1]) == (FIVE[0], FIVE[-1])
    assert set(FIVE) <= set(kinds(of_run))
    called, returned = ([f for f in of_run if f["type"] == kind] for kind in FIVE[2:4])
    assert [c["payload"]["call_id"] for c in called] == [r["payload"]["call_id"] for r in returned]
    assert "52331" in json.dumps(returned[0]["payload"]["results"])
    assert "52331" in of_run[-1]["payload"]["response"]


async def subscribe(socket: Socket, thread: Json) -> None:
    """Follow a thread from what is in it now."""
    answer = await socket.command("subscribe", thread_id=thread["id"], after_seq=thread["last_seq"])
    assert answer.get("verdict") == "resumed", answer


async def stored(dsn: str, thread: Json) -> list[Json]:
    """The rows of a thread's log, written as entries."""
    async with connected(dsn) as connection:
        rows = await connection.fetch(
            "SELECT seq, id, kind, run_id, tenant_id, body,"
            " to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"') AS ts"
            " FROM entries WHERE thread_id = $1 ORDER BY seq",
            digits(thread["id"]),
        )
    return [
        {
            "v": 1,
            "id": f"{'msg' if row['kind'] == 'message' else 'evt'}_{row['id'].hex}",
            "type": row["kind"],
            "epoch": thread["epoch"],
            "seq": row["seq"],
            "tenant_id": f"ten_{row['tenant_id'].hex}",
            "thread_id": thread["id"],
            "run_id": row["run_id"] and f"run_{row['run_id'].hex}",
            "ts": row["ts"],
            "payload": json.loads(row["body"]),
        }
        for row in rows
    ]
