"""What subscribers get: everything, in order, without a hole, the same bytes everywhere."""

from __future__ import annotations

import asyncio
import contextlib
import socket as sockets
from typing import Any

import msgspec
import pytest

from tests.integration.http.callers import Caller, Running
from tests.support.waiting import until
from threadkeep import metrics
from threadkeep.web.keys import SERVICES
from threadkeep.web.live import LIVE
from threadkeep.web.websocket_outbox import ROOM_BYTES
from threadkeep.web.websocket_session import Session

from .clients import Closed, Raw, Socket, open_raw, open_socket
from .events import open_stream


def seqs(frames: list[dict[str, Any]]) -> list[int]:
    return [frame["seq"] for frame in frames]


async def append(caller: Caller, thread: str, n: int, size: int = 10) -> None:
    """Messages by HTTP, in requests of at most a hundred."""
    for at in range(0, n, 100):
        messages = [{"content": f"{at + i:06}".ljust(size, ".")} for i in range(min(100, n - at))]
        done = await caller.post(f"/v1/threads/{thread}/messages", {"messages": messages})
        assert done.status == 201, done.body


async def test_a_snapshot_is_the_thread_at_one_moment(
    ann: Caller, socket: Socket, thread: str
) -> None:
    await append(ann, thread, 60)
    joined = await socket.ok("subscribe", thread_id=thread)
    frame = await socket.next()

    shown = (await ann.get(f"/v1/threads/{thread}")).json
    entries = (await ann.get(f"/v1/threads/{thread}/entries?backward=true&limit=50")).json
    assert (joined["verdict"], joined["last_seq"], joined["epoch"]) == (
        "snapshot",
        61,
        shown["epoch"],
    )
    assert (frame["type"], frame["thread_id"], frame["epoch"]) == (
        "snapshot",
        thread,
        shown["epoch"],
    )
    payload = frame["payload"]
    assert payload["entries"] == entries["data"]
    assert (payload["first_seq"], payload["last_seq"]) == (12, 61)
    assert (payload["active_runs"], payload["partial_messages"]) == ([], [])
    assert payload["thread"] | {"last_activity_at": 0} == shown | {"last_activity_at": 0}


async def test_a_cursor_is_resumed_without_a_snapshot(
    ann: Caller, socket: Socket, thread: str
) -> None:
    await append(ann, thread, 300)
    epoch = (await ann.get(f"/v1/threads/{thread}")).json["epoch"]
    for options in ({"cursor": f"{epoch}-100"}, {"after_seq": 100}):
        joined = await socket.ok("subscribe", thread_id=thread, **options)
        assert (joined["verdict"], joined["last_seq"]) == ("resumed", 301)
        assert seqs(await socket.entries(201)) == list(range(101, 302))
    await append(ann, thread, 1)
    assert (await socket.next())["seq"] == 302


async def test_a_cursor_of_another_history_is_forked(
    ann: Caller, socket: Socket, thread: str
) -> None:
    await append(ann, thread, 3)
    epoch = (await ann.get(f"/v1/threads/{thread}")).json["epoch"]
    foreign: list[dict[str, Any]] = [
        {"cursor": f"{epoch}-99"},
        {"cursor": f"{'0' * 16}-1"},
        {"after_seq": 99},
    ]
    for options in foreign:
        joined = await socket.ok("subscribe", thread_id=thread, **options)
        assert (joined["verdict"], joined["last_seq"]) == ("forked", 4)
        frame = await socket.next()
        assert (frame["type"], seqs(frame["payload"]["entries"])) == ("snapshot", [1, 2, 3, 4])


async def test_joining_while_others_append_leaves_no_hole(ann: Caller, thread: str) -> None:
    n = 600

    async def write() -> None:
        async with open_socket(ann) as writer:
            for number in range(n):
                await writer.ok("user_message", thread_id=thread, content=f"m{number}")

    async def read(delay: float) -> list[int]:
        await asyncio.sleep(delay)
        async with open_socket(ann) as reader:
            joined = await reader.ok("subscribe", thread_id=thread, after_seq=0)
            assert joined["verdict"] == "resumed"
            return seqs(await reader.entries(n + 1))

    async with asyncio.TaskGroup() as group:
        readers = [group.create_task(read(0.02 * k)) for k in range(8)]
        group.create_task(write())
    for reader in readers:
        assert reader.result() == list(range(1, n + 2))


async def test_subscribing_again_begins_at_the_given_place(
    ann: Caller, socket: Socket, thread: str
) -> None:
    await append(ann, thread, 3)
    for _ in range(3):
        await socket.ok("subscribe", thread_id=thread, after_seq=2)
        assert seqs(await socket.entries(2)) == [3, 4]
    await append(ann, thread, 1)
    assert (await socket.next())["seq"] == 5
    await socket.ok("ping")
    assert socket.frames == []


async def test_all_readers_get_the_same_bytes(ann: Caller, thread: str) -> None:
    messages: list[dict[str, Any]] = [
        {"content": 'quotes " and \\ and \u2028 and 😀 and </script>'},
        {
            "content": [
                {"type": "text", "text": "ä\n\t"},
                {"type": "data", "data": {"b": 1, "a": 2}},
            ]
        },
        {"content": "n", "name": "N", "metadata": {"z": 1.5, "a": {"deep": [None, True]}}},
        {"content": "old", "occurred_at": "2001-02-03T04:05:06.789Z"},
    ]
    async with (
        open_socket(ann) as early,
        open_stream(ann, thread, cursor="none") as stream,
        open_socket(ann) as late,
    ):
        await early.ok("subscribe", thread_id=thread, after_seq=0)
        assert (await stream.next()).name == "snapshot"
        done = await ann.post(f"/v1/threads/{thread}/messages", {"messages": messages})
        assert done.status == 201
        await ann.patch(f"/v1/threads/{thread}", {"title": "new", "metadata": {"k": "v"}})
        await ann.post(f"/v1/threads/{thread}/pause")
        await early.entries(7)
        await late.ok("subscribe", thread_id=thread, after_seq=0)
        await late.entries(7)
        live = [event.data for event in await stream.take(6)]
    epoch = (await ann.get(f"/v1/threads/{thread}")).json["epoch"]
    async with open_stream(ann, thread, cursor=f"{epoch}-0") as again:
        streamed = [event.data for event in await again.take(7)]
    async with open_socket(ann) as asking:
        await asking.ok("get_thread_history", thread_id=thread)
    body = (await ann.get(f"/v1/threads/{thread}/entries")).body
    expected = [bytes(raw) for raw in msgspec.json.decode(body, type=_Page).data]
    assert len(expected) == 7
    assert early.raw[1:] == expected
    assert late.raw[1:] == expected
    assert streamed == expected
    assert live == expected[1:]
    assert b",".join(expected) in asking.raw[0]


class _Page(msgspec.Struct):
    data: list[msgspec.Raw]


async def test_two_hundred_sockets_get_everything(running: Running) -> None:
    tenant = await running.tenant()
    users = [tenant.user(f"user{n}") for n in range(20)]
    threads = [(await user.post("/v1/threads", {})).json["id"] for user in users]
    count = 0
    async with contextlib.AsyncExitStack() as stack:
        readers = []
        for user, thread in zip(users, threads, strict=True):
            for _ in range(10):
                reader = await stack.enter_async_context(open_socket(user))
                await reader.ok("subscribe", thread_id=thread)
                await reader.next()
                readers.append((thread, reader))
        await asyncio.gather(
            *(append(user, thread, 20) for user, thread in zip(users, threads, strict=True))
        )
        for thread, reader in readers:
            frames = await reader.entries(20)
            assert seqs(frames) == list(range(2, 22))
            assert {frame["thread_id"] for frame in frames} == {thread}
            count += len(frames)
    assert count == 4000


@contextlib.asynccontextmanager
async def deaf(caller: Caller) -> Any:
    """A socket with a small receive buffer, whose owner decides when it is read."""
    sock = sockets.socket()
    sock.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 16 * 1024)
    sock.setblocking(False)  # noqa: FBT003 - the socket module's own signature
    host, port = caller.url.removeprefix("http://").split(":")
    await asyncio.get_running_loop().sock_connect(sock, (host, int(port)))
    async with open_raw(caller, sock=sock, limit=16 * 1024) as raw:
        yield raw


async def _subscribe(raw: Raw, thread: str, **options: Any) -> None:
    command = {"id": 1, "type": "subscribe", "thread_id": thread, **options}
    await raw.send(1, msgspec.json.encode(command))
    assert (await raw.json())["type"] == "subscribed"


async def test_a_slow_reader_is_closed_and_nobody_else_notices(ann: Caller, thread: str) -> None:
    n = 300
    async with deaf(ann) as slow, open_socket(ann) as other:
        await _subscribe(slow, thread, after_seq=1)
        await other.ok("subscribe", thread_id=thread, after_seq=1)
        before = _slow_consumers()
        for at in range(0, n, 10):
            messages = [{"content": "x" * 40_000} for _ in range(10)]
            done = await ann.post(f"/v1/threads/{thread}/messages", {"messages": messages})
            assert done.status == 201
            assert seqs(await other.entries(10)) == list(range(at + 2, at + 12))
        await until(lambda: _slow_consumers() == before + 1, 5.0)
        seen = []
        while (frame := await slow.json())["type"] == "message":
            seen.append(frame)
        assert frame["error"]["code"] == "slow_consumer"
        assert seqs(seen) == list(range(2, 2 + len(seen)))
        assert len(seen) < n
        assert frame["cursors"] == {thread: f"{seen[-1]['epoch']}-{seen[-1]['seq']}"}
        assert await slow.code() == 4408
        await other.ok("ping")
    async with open_socket(ann) as back:
        joined = await back.ok("subscribe", thread_id=thread, cursor=frame["cursors"][thread])
        assert joined["verdict"] == "resumed"
        assert seqs(await back.entries(n - len(seen))) == list(range(2 + len(seen), n + 2))


def _slow_consumers() -> float:
    text = metrics.exposition().decode()
    name = 'threadkeep_slow_consumers_total{transport="websocket"} '
    return next(
        (float(line.removeprefix(name)) for line in text.splitlines() if line.startswith(name)), 0.0
    )


async def test_catching_up_slowly_is_never_too_slow(ann: Caller, thread: str) -> None:
    n = 400
    for at in range(0, n, 20):
        messages = [{"content": f"{at + i:03}" + "x" * 40_000} for i in range(20)]
        await ann.post(f"/v1/threads/{thread}/messages", {"messages": messages})
    before = _slow_consumers()
    async with deaf(ann) as slow:
        await _subscribe(slow, thread, after_seq=1)
        await append(ann, thread, 50)  # live entries wait behind what is caught up on
        await asyncio.sleep(1.0)  # long enough for a server that does not wait to fill any buffer
        seen = [(await slow.json())["seq"] for _ in range(n + 50)]
    assert seen == list(range(2, n + 52))
    assert _slow_consumers() == before


async def test_one_who_does_not_read_his_answers_is_not_read_either(
    ann: Caller, running: Running, thread: str
) -> None:
    await append(ann, thread, 20, size=20_000)
    command = b'{"id":1,"type":"get_thread_history","thread_id":"%s"}' % thread.encode()
    live = running.app[LIVE]
    async with deaf(ann) as raw:
        for _ in range(300):  # 120 MB of answers
            await raw.send(1, command)
        (session,) = live._slots
        assert isinstance(session, Session)
        await until(lambda: session.outbox.waiting > ROOM_BYTES, 10, what="unread answers")
        most = 0
        for _ in range(100):
            most = max(most, session.outbox.waiting)
            await asyncio.sleep(0.01)
        assert ROOM_BYTES < most < ROOM_BYTES + 1_000_000
        for _ in range(300):
            assert (await raw.json())["type"] == "ok"


async def test_a_thread_that_is_deleted_says_so_and_stays_quiet(
    ann: Caller, socket: Socket, thread: str
) -> None:
    await socket.ok("subscribe", thread_id=thread, after_seq=1)
    await ann.delete(f"/v1/threads/{thread}")
    assert (await socket.next())["type"] == "thread_deleted"
    await socket.ok("ping")


async def test_the_end_of_the_socket_ends_its_subscriptions(
    ann: Caller, running: Running, thread: str
) -> None:
    counts = running.app[SERVICES].delivery.counts
    assert counts.subscriptions == 0
    async with open_socket(ann) as socket:
        await socket.ok("subscribe", thread_id=thread)
        await socket.ok("subscribe", feed="user")
        assert counts.subscriptions == 2
    await until(lambda: counts.subscriptions == 0)
    with pytest.raises(Closed):
        await socket.receive()
