"""Every command of a socket: what it answers and what it does."""

from __future__ import annotations

import asyncio
import secrets
from typing import get_args

import pytest

from tests.integration.http.callers import Caller, Running, Tenant
from tests.support.waiting import until
from threadkeep.web.websocket_commands import NAMES, AnyCommand

from .clients import Socket, open_socket


@pytest.fixture
async def worker(tenant: Tenant) -> str:
    """An agent whose runs an external process claims."""
    made = await tenant.key.post(
        f"/v1/tenants/{tenant.id}/agents", {"name": "worker", "kind": "worker"}
    )
    assert made.status == 201, made.body
    return "worker"


async def claim(tenant: Tenant) -> tuple[str, int]:
    """(run, fence) of a run that waits."""
    claimed = await tenant.key.post("/v1/worker/claim", {"worker": "w1", "wait_seconds": 5})
    assert claimed.status == 200, claimed.body
    return claimed.json["run"]["id"], claimed.json["fence"]


async def events(tenant: Tenant, run: str, fence: int, *given: dict[str, object]) -> None:
    """Write events of a run as its holder."""
    written = await tenant.key.post(
        f"/v1/worker/runs/{run}/events", {"fence": fence, "events": list(given)}
    )
    assert written.status == 200, written.body


def test_every_command_of_the_protocol_is_there() -> None:
    assert set(NAMES.values()) == {
        "subscribe",
        "unsubscribe",
        "list_threads",
        "create_thread",
        "switch_thread",
        "rename_thread",
        "delete_thread",
        "get_thread_history",
        "user_message",
        "start_agent",
        "stop_agent",
        "tool_outputs",
        "typing",
        "ping",
    }
    assert len(NAMES) == len(get_args(AnyCommand))


async def test_ping_is_answered_by_its_own_id(socket: Socket) -> None:
    for command_id in (7, "seven", 0, -1, 2**53 - 1, "", "x" * 64, 'quo"te'):
        await socket.send({"id": command_id, "type": "ping"})
        assert await socket.receive() == {"type": "ok", "re": command_id}


async def test_a_message_is_answered_after_it_is_durable(
    ann: Caller, socket: Socket, thread: str
) -> None:
    answer = await socket.ok("user_message", thread_id=thread, content="hello")

    page = await ann.get(f"/v1/threads/{thread}/messages")
    entry = page.json["data"][0]
    expected = {"seq": entry["seq"], "message_id": entry["id"], "epoch": entry["epoch"]}
    assert {"type": "ok", "re": answer["re"]} | expected == answer
    assert entry["payload"] == {"content": "hello", "metadata": {}, "role": "user"}


async def test_a_message_has_parts_name_and_metadata(
    ann: Caller, socket: Socket, thread: str
) -> None:
    content = [{"type": "text", "text": "see"}, {"type": "data", "data": {"a": [1]}}]
    await socket.ok(
        "user_message", thread_id=thread, content=content, name="Ann", metadata={"k": "ü"}
    )

    entry = (await ann.get(f"/v1/threads/{thread}/messages")).json["data"][0]
    assert entry["payload"] == {
        "content": content,
        "name": "Ann",
        "metadata": {"k": "ü"},
        "role": "user",
    }


async def test_a_repeated_key_gets_the_first_answer(socket: Socket, thread: str) -> None:
    key = secrets.token_hex(8)
    message = {"thread_id": thread, "content": "once", "idempotency_key": key}
    first = await socket.ok("user_message", **message)
    again = await socket.ok("user_message", **message)
    other = await socket.refused("user_message", **message | {"content": "twice"})

    assert (again["seq"], again["message_id"]) == (first["seq"], first["message_id"])
    assert other["code"] == "idempotency_mismatch"
    assert (await socket.ok("get_thread_history", thread_id=thread))["last_seq"] == first["seq"]


async def test_messages_in_flight_keep_their_order(socket: Socket, thread: str) -> None:
    for n in range(500):
        await socket.send(
            {"id": n, "type": "user_message", "thread_id": thread, "content": f"m{n}"}
        )
    answers = [await socket.receive() for _ in range(500)]

    assert [(a["re"], a["seq"]) for a in answers] == [(n, n + 2) for n in range(500)]


async def test_threads_are_made_listed_renamed_and_deleted(ann: Caller, socket: Socket) -> None:
    made = await socket.ok("create_thread", external_id="e1", title="one", metadata={"k": 1})
    assert made["created"] is True
    again = await socket.ok("create_thread", external_id="e1")
    assert (again["created"], again["thread"]["id"]) == (False, made["thread"]["id"])
    thread = made["thread"]["id"]

    renamed = await socket.ok("rename_thread", thread_id=thread, title="two", if_match=1)
    assert renamed["thread"]["title"] == "two"
    stale = await socket.refused("rename_thread", thread_id=thread, title="three", if_match=1)
    assert stale["code"] == "stale_version"

    shown = (await ann.get(f"/v1/threads/{thread}")).json
    assert shown == renamed["thread"]
    listed = await socket.ok("list_threads", metadata={"k": 1}, limit=1)
    assert (listed["data"], listed["has_more"]) == ([shown], False)
    assert (await socket.ok("list_threads", state="paused"))["data"] == []

    await socket.ok("delete_thread", thread_id=thread)
    for kind in ("delete_thread", "subscribe", "get_thread_history", "typing"):
        assert (await socket.refused(kind, thread_id=thread))["code"] == "gone"
    late = await socket.refused("user_message", thread_id=thread, content="late")
    assert late["code"] == "gone"
    assert (await ann.get(f"/v1/threads/{thread}")).status == 410


async def test_history_is_the_page_of_http(ann: Caller, socket: Socket, thread: str) -> None:
    for n in range(7):
        await socket.ok("user_message", thread_id=thread, content=f"m{n}")
    asked: list[dict[str, object]] = [
        {},
        {"limit": 3},
        {"limit": 2, "backward": True},
        {"after_seq": 4, "limit": 2},
        {"before_seq": 4},
        {"kinds": "thread_created"},
    ]
    for options in asked:
        answer = await socket.ok("get_thread_history", thread_id=thread, **options)
        params = {k: str(v).lower() if v is True else str(v) for k, v in options.items()}
        page = (await ann.get(f"/v1/threads/{thread}/entries", params=params)).json
        assert {k: v for k, v in answer.items() if k not in ("type", "re")} == page
    unknown = await socket.refused("get_thread_history", thread_id=thread, kinds="bogus")
    assert (unknown["code"], unknown["field"]) == ("invalid_request", "kinds")


async def test_a_message_starts_an_agent_in_one_commit(
    tenant: Tenant, socket: Socket, thread: str, worker: str
) -> None:
    await socket.ok("subscribe", thread_id=thread)
    await socket.until(lambda frame: frame["type"] == "snapshot")
    answer = await socket.ok("user_message", thread_id=thread, content="go", run=worker)

    assert (answer["seq"], answer["run"]["status"]) == (2, "queued")
    message = await socket.next()
    assert (message["id"], message["seq"]) == (answer["message_id"], 2)
    run, fence = await claim(tenant)
    assert run == answer["run"]["id"]
    busy = await socket.refused("user_message", thread_id=thread, content="more", run=worker)
    assert (busy["code"], busy["run_id"]) == ("conflict", run)
    done = await tenant.key.post(
        f"/v1/worker/runs/{run}/complete", {"fence": fence, "response": "done"}
    )
    assert done.status == 200, done.body
    seen = await socket.until(lambda frame: frame["type"] == "agent_completed")
    assert [frame["type"] for frame in seen] == ["agent_started", "agent_completed"]
    assert {frame["run_id"] for frame in seen} == {run}


async def test_agents_are_started_stopped_and_given_outputs(
    tenant: Tenant, socket: Socket, thread: str, worker: str
) -> None:
    started = await socket.ok("start_agent", thread_id=thread, agent=worker, input={"a": 1})
    run, fence = await claim(tenant)
    assert run == started["run"]["id"]
    await events(
        tenant,
        run,
        fence,
        {"type": "tool_executing", "payload": {"tool_name": "ask", "call_id": "c1"}},
        {"type": "requires_action"},
    )
    given = await socket.ok(
        "tool_outputs", run_id=run, outputs=[{"call_id": "c1", "results": {"ok": True}}]
    )
    assert given["run"]["open_calls"] == []
    await socket.ok("stop_agent", run_id=run)

    async def ended() -> bool:
        answer = await tenant.user("ann").get(f"/v1/runs/{run}")
        return bool(answer.json["status"] == "cancelled")

    await until(ended, 10.0)
    unknown = await socket.refused("start_agent", thread_id=thread, agent="nobody")
    assert unknown["code"] == "invalid_request"


async def test_text_that_streams_arrives_as_deltas(
    tenant: Tenant, ann: Caller, socket: Socket, thread: str, worker: str
) -> None:
    await socket.ok("subscribe", thread_id=thread)
    await socket.until(lambda frame: frame["type"] == "snapshot")
    await socket.ok("start_agent", thread_id=thread, agent=worker)
    run, fence = await claim(tenant)
    message = f"msg_{secrets.token_hex(16)}"
    for text in ("Good ", "mor", "ning"):
        payload = {"message_id": message, "text": text}
        await events(tenant, run, fence, {"type": "message_delta", "payload": payload})
    said = ""
    while said != "Good morning":
        frame = await socket.next()
        if frame["type"] == "message_delta":
            assert "seq" not in frame
            assert frame["payload"]["message_id"] == message
            said = said[: frame["payload"]["offset"]] + frame["payload"]["text"]

    async with open_socket(ann) as late:
        await late.ok("subscribe", thread_id=thread)
        snapshot = (await late.next())["payload"]
    assert [p["text"] for p in snapshot["partial_messages"]] == ["Good morning"]
    assert [r["id"] for r in snapshot["active_runs"]] == [run]


async def test_typing_reaches_the_users_other_sockets(
    ann: Caller, socket: Socket, thread: str
) -> None:
    async with open_socket(ann) as other:
        for each in (socket, other):
            await each.ok("subscribe", thread_id=thread)
            await each.until(lambda frame: frame["type"] == "snapshot")
        await socket.ok("typing", thread_id=thread)
        frame = await other.next()
    assert (frame["type"], frame["thread_id"]) == ("typing", thread)
    assert "seq" not in frame


async def test_switching_leaves_the_thread_before(ann: Caller, socket: Socket, thread: str) -> None:
    other = (await ann.post("/v1/threads", {})).json["id"]
    await socket.ok("subscribe", thread_id=thread)
    await socket.next()
    switched = await socket.ok("switch_thread", thread_id=other)
    assert (switched["type"], switched["verdict"]) == ("subscribed", "snapshot")
    assert (await socket.next())["thread_id"] == other

    await socket.ok("user_message", thread_id=thread, content="unheard")
    await socket.ok("user_message", thread_id=other, content="heard")
    assert (await socket.next())["payload"]["content"] == "heard"


async def test_a_refused_switch_changes_nothing(socket: Socket, thread: str) -> None:
    await socket.ok("subscribe", thread_id=thread)
    await socket.next()
    absent = f"thr_{secrets.token_hex(16)}"
    assert (await socket.refused("switch_thread", thread_id=absent))["code"] == "not_found"
    await socket.ok("user_message", thread_id=thread, content="still heard")
    assert (await socket.next())["payload"]["content"] == "still heard"


async def test_unsubscribing_is_quiet_and_may_be_repeated(socket: Socket, thread: str) -> None:
    await socket.ok("subscribe", thread_id=thread)
    await socket.next()
    await socket.ok("unsubscribe", thread_id=thread)
    await socket.ok("unsubscribe", thread_id=thread)
    await socket.ok("user_message", thread_id=thread, content="unheard")
    assert socket.frames == []
    assert (await socket.ok("ping"))["type"] == "ok"
    assert socket.frames == []


async def test_the_users_feed_tells_of_all_threads(ann: Caller, bob: Caller) -> None:
    async with open_socket(ann) as socket:
        assert (await socket.ok("subscribe", feed="user"))["feed"] == "user"
        made = (await ann.post("/v1/threads", {"title": "new"})).json["id"]
        assert (await bob.post("/v1/threads", {"title": "foreign"})).status == 201
        first = await socket.next()
        assert (first["type"], first["thread_id"], first["feed"]) == (
            "thread_created",
            made,
            "user",
        )
        await ann.post(f"/v1/threads/{made}/pause")
        changed = await socket.next()
        assert (changed["thread_id"], changed["thread"]["state"]) == (made, "paused")
        await socket.ok("unsubscribe", feed="user")
        await ann.post(f"/v1/threads/{made}/resume")
        await asyncio.sleep(0.2)  # nothing tells that nothing will come
        await socket.ok("ping")
        assert socket.frames == []


async def test_a_foreign_id_is_answered_as_an_absent_one_and_audited(
    tenant: Tenant, ann: Caller, bob: Caller, thread: str, worker: str
) -> None:
    run = (await ann.post(f"/v1/threads/{thread}/runs", {"agent": worker})).json["run"]["id"]
    asked: list[dict[str, object]] = [
        {"type": "subscribe", "thread_id": thread},
        {"type": "switch_thread", "thread_id": thread},
        {"type": "rename_thread", "thread_id": thread, "title": "mine"},
        {"type": "delete_thread", "thread_id": thread},
        {"type": "get_thread_history", "thread_id": thread},
        {"type": "user_message", "thread_id": thread, "content": "x"},
        {"type": "user_message", "thread_id": thread, "content": "x", "run": worker},
        {"type": "start_agent", "thread_id": thread, "agent": worker},
        {"type": "typing", "thread_id": thread},
        {"type": "stop_agent", "run_id": run},
        {"type": "tool_outputs", "run_id": run, "outputs": [{"call_id": "c", "results": 1}]},
    ]
    async with open_socket(bob) as socket:
        for command in asked:
            answers = []
            for prefix in ("own", "random", "malformed"):
                named = dict(command)
                field = "run_id" if "run_id" in command else "thread_id"
                if prefix == "random":
                    named[field] = f"{str(command[field])[:4]}{secrets.token_hex(16)}"
                elif prefix == "malformed":
                    named[field] = "nonsense"
                await socket.send({"id": 1, **named})
                answers.append(await socket.receive())
            assert answers[0]["error"]["code"] == "not_found", command
            assert answers[0] == answers[1] == answers[2]

    async def audited() -> set[str]:
        rows = (await tenant.key.get("/v1/audit?limit=100")).json["data"]
        found = {r["action"] for r in rows if r["owner"] == "bob" and r["action"][:3] == "WS "}
        return found if len(found) == len({c["type"] for c in asked}) else set()

    assert await until(audited, 5.0) == {f"WS {c['type']}" for c in asked}


async def test_commands_need_their_scope(running: Running, tenant: Tenant, thread: str) -> None:
    reader = (await running.key(tenant.id, "threads:read")).with_headers(Threadkeep_User="ann")
    async with open_socket(reader) as socket:
        await socket.ok("subscribe", thread_id=thread)
        await socket.next()
        await socket.ok("list_threads")
        asked: list[dict[str, object]] = [
            {"kind": "create_thread"},
            {"kind": "user_message", "thread_id": thread, "content": "x"},
            {"kind": "start_agent", "thread_id": thread, "agent": "a"},
            {"kind": "delete_thread", "thread_id": thread},
        ]
        for command in asked:
            assert (await socket.refused(**command))["code"] == "forbidden"  # type: ignore[arg-type]  # `kind` is among the fields
