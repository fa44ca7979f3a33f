"""Server-sent events: where a stream begins, what it carries, how it ends."""

from __future__ import annotations

import asyncio
import secrets

import aiohttp
import pytest

from tests.integration.http.callers import Caller, Running, Tenant
from tests.support.waiting import until
from threadkeep.web import sse
from threadkeep.web.keys import SERVICES
from threadkeep.web.live import LIVE

from .events import open_stream


async def append(ann: Caller, thread: str, n: int, text: str = "x") -> None:
    done = await ann.post(f"/v1/threads/{thread}/messages", {"messages": [{"content": text}] * n})
    assert done.status == 201, done.body


async def test_without_a_cursor_a_stream_begins_with_a_snapshot(ann: Caller, thread: str) -> None:
    await append(ann, thread, 3)
    epoch = (await ann.get(f"/v1/threads/{thread}")).json["epoch"]
    for cursor in (None, "", "nonsense", f"{epoch}-99", f"{'0' * 16}-1"):
        async with open_stream(ann, thread, cursor=cursor) as stream:
            first = await stream.next()
            assert (first.name, first.id) == ("snapshot", f"{epoch}-4")
            payload = first.json["payload"]
            assert [entry["seq"] for entry in payload["entries"]] == [1, 2, 3, 4]
            assert stream.retry is not None
            assert 1000 <= stream.retry <= 3000


async def test_a_stream_resumes_after_its_last_id(ann: Caller, thread: str) -> None:
    await append(ann, thread, 3)
    async with open_stream(ann, thread) as stream:
        place = (await stream.next()).id
        await append(ann, thread, 2)
        events = await stream.take(2)
    assert [event.name for event in events] == ["message", "message"]
    assert [event.id for event in events] == [
        f"{event.json['epoch']}-{event.json['seq']}" for event in events
    ]
    await append(ann, thread, 100)
    for options in ({"last_id": place}, {"cursor": place}, {"last_id": place, "cursor": "0-0"}):
        async with open_stream(ann, thread, **options) as stream:
            seqs = [event.json["seq"] for event in await stream.take(102)]
            assert seqs == list(range(5, 107))


async def test_events_are_named_by_their_type(ann: Caller, thread: str) -> None:
    async with open_stream(ann, thread) as stream:
        await stream.next()
        await ann.patch(f"/v1/threads/{thread}", {"title": "new"})
        await ann.post(f"/v1/threads/{thread}/pause")
        events = await stream.take(2)
    assert [(event.name, event.json["type"]) for event in events] == [
        ("thread_updated",) * 2,
        ("thread_state_changed",) * 2,
    ]


async def test_deltas_have_no_id(tenant: Tenant, ann: Caller, thread: str) -> None:
    await tenant.key.post(f"/v1/tenants/{tenant.id}/agents", {"name": "w", "kind": "worker"})
    async with open_stream(ann, thread) as stream:
        await stream.next()
        await ann.post(f"/v1/threads/{thread}/runs", {"agent": "w"})
        claimed = (await tenant.key.post("/v1/worker/claim", {"worker": "w"})).json
        payload = {"message_id": f"msg_{secrets.token_hex(16)}", "text": "so far"}
        await tenant.key.post(
            f"/v1/worker/runs/{claimed['run']['id']}/events",
            {
                "fence": claimed["fence"],
                "events": [{"type": "message_delta", "payload": payload}],
            },
        )
        started, delta = await stream.take(2)
    assert started.name == "agent_started"
    assert (delta.name, delta.id) == ("message_delta", None)
    assert delta.json["payload"] == payload | {"offset": 0}


async def test_refusals_are_answers_and_not_streams(
    running: Running, ann: Caller, bob: Caller, thread: str
) -> None:
    path = f"/v1/threads/{thread}/stream"
    absent = f"/v1/threads/thr_{secrets.token_hex(16)}/stream"
    assert (await running.nobody.get(path)).status == 401
    foreign, missing = await bob.get(path), await bob.get(absent)
    assert (foreign.status, missing.status) == (404, 404)
    assert foreign.error["code"] == "not_found"
    assert (await ann.get(path + "?curser=x")).status == 422
    await ann.delete(f"/v1/threads/{thread}")
    assert (await ann.get(path)).status == 410


async def test_a_quiet_stream_sends_comments(
    ann: Caller, thread: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert sse.HEARTBEAT_SECONDS == 15.0
    monkeypatch.setattr(sse, "HEARTBEAT_SECONDS", 1.0)
    monkeypatch.setattr(sse, "_LOOK_SECONDS", 1.0)
    async with open_stream(ann, thread) as stream:
        await stream.next()
        for _ in range(10):
            with pytest.raises(TimeoutError):
                await stream.next(seconds=1.5)
            if stream.comments >= 2:
                break
        assert stream.comments >= 2
        await append(ann, thread, 1)
        assert (await stream.next()).json["seq"] == 2


async def test_a_reader_who_goes_is_forgotten(
    running: Running, ann: Caller, thread: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sse, "_LOOK_SECONDS", 1.0)
    counts = running.app[SERVICES].delivery.counts
    async with open_stream(ann, thread) as stream:
        await stream.next()
        assert (running.app[LIVE].streams, counts.subscriptions) == (1, 1)
        stream.response.close()
        await until(lambda: running.app[LIVE].streams == 0, 5.0)
        assert counts.subscriptions == 0


async def test_streams_and_sockets_share_the_limit(running: Running) -> None:
    tenant = await running.tenant(limits={"sockets_per_user": 1})
    ann = tenant.user("ann")
    thread = (await ann.post("/v1/threads", {})).json["id"]
    async with open_stream(ann, thread):
        refused = await ann.get(f"/v1/threads/{thread}/stream")
        assert (refused.status, refused.error["code"]) == (429, "too_many")


async def test_a_revoked_key_ends_the_stream(running: Running, tenant: Tenant, thread: str) -> None:
    made = await tenant.key.post(f"/v1/tenants/{tenant.id}/keys", {"name": "second"})
    caller = running.nobody.with_headers(
        Authorization=f"Bearer {made.json['secret']}", Threadkeep_User="ann"
    )
    async with open_stream(caller, thread) as stream:
        await stream.next()
        await tenant.key.delete(f"/v1/tenants/{tenant.id}/keys/{made.json['id']}")
        last = await stream.next()
        assert (last.name, last.id) == ("error", None)
        assert last.json["error"]["code"] == "not_authenticated"
        with pytest.raises(EOFError):
            await stream.next()


async def test_a_slow_reader_is_ended_and_resumes(
    running: Running, ann: Caller, thread: str
) -> None:
    n = 600
    async with aiohttp.ClientSession(read_bufsize=64 * 1024) as session:
        slow = Caller(session, ann.url, ann.headers)
        async with open_stream(slow, thread) as stream, open_stream(ann, thread) as other:
            await stream.next()
            await other.next()
            for _ in range(n // 10):
                await append(ann, thread, 10, "x" * 40_000)
                await other.take(10)
                if running.app[LIVE].streams == 1:
                    break
            last = ""
            while (event := await stream.next()).name == "message":
                last = event.id or ""
            assert event.name == "error"
            assert event.json["error"]["code"] == "slow_consumer"
            assert event.json["cursor"] == last
            with pytest.raises(EOFError):
                await stream.next()
    seq = int(last.rpartition("-")[2])
    head = (await ann.get(f"/v1/threads/{thread}")).json["last_seq"]
    assert seq < head
    async with open_stream(ann, thread, last_id=last) as stream:
        events = await stream.take(head - seq)
        assert [event.json["seq"] for event in events] == list(range(seq + 1, head + 1))


async def test_long_resumes_wait_for_the_reader(ann: Caller, thread: str) -> None:
    for _ in range(30):
        await append(ann, thread, 10, "x" * 40_000)
    epoch = (await ann.get(f"/v1/threads/{thread}")).json["epoch"]
    async with open_stream(ann, thread, cursor=f"{epoch}-1") as stream:
        await asyncio.sleep(1.0)
        seqs = [event.json["seq"] for event in await stream.take(300)]
    assert seqs == list(range(2, 302))
