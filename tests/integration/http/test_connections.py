"""Both ways of an append on one connection: pieces, pipelines, readers that are late, and ends."""

from __future__ import annotations

import asyncio
import socket

import pytest

from tests.support.waiting import until
from threadkeep.web import bodies, connection, greetings
from threadkeep.web.keys import LIFECYCLE
from threadkeep.web.quick_appends import QUICK_APPENDS

from .callers import Caller, Running
from .wires import Wire, append, contents, request, taken, wire_to

pytestmark = pytest.mark.usefixtures("lasting_credentials")


async def test_all_kinds_of_requests_share_a_connection(
    running: Running, ann: Caller, thread: str, wire: Wire
) -> None:
    for n in range(3):
        said = await wire.ask(append(ann, thread, f"message {n}"))
        read = await wire.ask(request(ann, "GET", f"/v1/threads/{thread}"))
        renamed = await wire.ask(
            request(ann, "PATCH", f"/v1/threads/{thread}", {"title": f"title {n}"})
        )
        absent = await wire.ask(request(ann, "GET", "/v1/nothing"))
        assert [a.status for a in (said, read, renamed, absent)] == [201, 200, 200, 404]

    assert taken(running) == 3
    assert await contents(ann, thread) == ["message 0", "message 1", "message 2"]


async def test_a_request_may_be_cut_anywhere(
    running: Running, ann: Caller, thread: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once its head was cut, aiohttp keeps the connection: nobody guesses where the next begins."""
    monkeypatch.setattr(connection, "GATHER_SECONDS", 600.0)
    data = append(ann, thread)
    head = data.index(b"\r\n\r\n") + 4
    ways: list[tuple[int, int]] = []

    async def cut(at: int) -> None:
        async with wire_to(ann) as wire:
            assert (await wire.ask(data[:at], data[at:])).status == 201
            assert (await wire.ask(data)).status == 201

    for at in range(1, len(data)):
        before = taken(running)
        await cut(at)
        ways.append((at, taken(running) - before))

    assert [way for way in ways if way[1] != (2 if way[0] >= head else 0)] == []
    assert (await ann.get(f"/v1/threads/{thread}")).json["last_seq"] == 1 + 2 * len(ways)


async def test_a_body_in_several_pieces_is_left_to_aiohttp(
    running: Running, ann: Caller, thread: str, wire: Wire
) -> None:
    data = append(ann, thread)

    assert (await wire.ask(data[:-9], data[-9:-5], data[-5:])).status == 201
    assert (await wire.ask(data)).status == 201
    assert taken(running) == 0


async def test_a_body_that_is_late_is_left_to_aiohttp(
    running: Running, ann: Caller, thread: str, wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "GATHER_SECONDS", 0.01)
    monkeypatch.setattr(bodies, "BODY_SECONDS", 0.1)
    data = append(ann, thread)

    late = await wire.ask(data[:-9])

    assert (late.status, late.error["code"]) == (400, "invalid_request")
    assert taken(running) == 0


@pytest.mark.parametrize("kinds", ["aa", "ag", "ga", "aaaaaa", "gagaga", "aagg"])
async def test_pipelined_requests_are_answered_in_order(
    ann: Caller, thread: str, wire: Wire, kinds: str
) -> None:
    """In one piece, or one after the other without waiting for answers."""
    for cut in (False, True):
        pieces = [
            append(ann, thread, f"{cut} {n}")
            if kind == "a"
            else request(ann, "GET", f"/v1/threads/{thread}")
            for n, kind in enumerate(kinds)
        ]
        if cut:
            for piece in pieces:
                wire.writer.write(piece)
                await asyncio.sleep(0)
        else:
            await wire.send(b"".join(pieces))
        answers = [await wire.answer() for _ in kinds]
        assert [answer.status for answer in answers] == [201 if k == "a" else 200 for k in kinds]

    expected = [f"{cut} {n}" for cut in (False, True) for n, k in enumerate(kinds) if k == "a"]
    assert await contents(ann, thread) == expected


async def test_what_comes_while_an_append_is_under_way_waits(
    running: Running, ann: Caller, thread: str, wire: Wire, held: asyncio.Event
) -> None:
    await wire.send(append(ann, thread, "one"))
    await until(lambda: running.app[QUICK_APPENDS].in_flight == 1, 5.0, what="the append")
    await wire.send(append(ann, thread, "two")[:50], append(ann, thread, "two")[50:])
    held.set()

    assert [(await wire.answer()).status for _ in range(2)] == [201, 201]
    assert await contents(ann, thread) == ["one", "two"]


async def test_who_reads_late_gets_every_answer(running: Running, ann: Caller, thread: str) -> None:
    """An append comes while the answer before it waits for its reader."""
    for _ in range(3):
        await ann.post(f"/v1/threads/{thread}/messages", {"messages": [{"content": "x" * 40_000}]})
    async with wire_to(ann, buffer=4096) as wire:
        assert (await wire.ask(append(ann, thread))).status == 201
        for each in running.server.connections:
            _send_buffer_of(each.transport, 4096)
        await wire.send(request(ann, "GET", f"/v1/threads/{thread}/messages?limit=3"))
        await until(lambda: _is_stuck(running), 10.0, what="the unread answer")
        await wire.send(append(ann, thread, "said"), append(ann, thread, "said"))
        answers = [await wire.answer() for _ in range(3)]

    assert [answer.status for answer in answers] == [200, 201, 201]


def _send_buffer_of(transport: asyncio.Transport | None, size: int) -> None:
    if transport is not None:
        connection = transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, size)


def _is_stuck(running: Running) -> bool:
    """Whether some connection waits for its reader."""
    server = running.server
    return any(each.writing_paused for each in server.connections)


@pytest.mark.parametrize(
    "begun", [b"POST /v1/x HT", b"\r\n", b"POST /v1/x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n"]
)
async def test_a_head_that_does_not_come_after_an_append_is_not_waited_for(
    ann: Caller, thread: str, wire: Wire, monkeypatch: pytest.MonkeyPatch, begun: bytes
) -> None:
    monkeypatch.setattr(greetings, "HEAD_SECONDS", 0.2)
    await wire.ask(append(ann, thread))
    await wire.send(begun)

    assert await wire.is_closed()


async def test_a_body_that_is_awaited_keeps_its_connection(
    running: Running, ann: Caller, thread: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its head has come in time, of which nobody else knows."""
    monkeypatch.setattr(connection, "GATHER_SECONDS", 600.0)
    monkeypatch.setattr(greetings, "HEAD_SECONDS", 0.2)
    data = append(ann, thread)
    async with wire_to(ann) as wire:
        await wire.send(data[:-5])
        await asyncio.sleep(0.4)
        assert (await wire.ask(data[-5:])).status == 201

    assert taken(running) == 1


async def test_a_refusal_does_not_wait_for_the_body(
    running: Running, ann: Caller, thread: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "GATHER_SECONDS", 600.0)
    stranger = ann.with_headers(Authorization="Bearer nonsense")
    for data in (append(stranger, thread), request(ann, "POST", "/v1/nothing", {"a": 1})):
        async with wire_to(ann) as wire:
            assert (await wire.ask(data[:-5])).status in (401, 404)


async def test_a_body_of_another_request_may_come_later(
    running: Running, ann: Caller, wire: Wire, thread: str
) -> None:
    data = request(ann, "PATCH", f"/v1/threads/{thread}", {"title": "in several pieces"})

    for _ in range(2):
        assert (await wire.ask(data[:-20], data[-20:-10], data[-10:])).status == 200
        assert (await wire.ask(append(ann, thread))).status == 201
    assert taken(running) == 2


async def test_an_append_says_that_the_process_is_leaving(
    running: Running, ann: Caller, thread: str, wire: Wire, held: asyncio.Event
) -> None:
    await wire.send(append(ann, thread))
    await until(lambda: running.app[QUICK_APPENDS].in_flight == 1, 5.0, what="the append")
    running.app[LIFECYCLE].draining = True
    held.set()

    answer = await wire.answer()
    assert (answer.status, answer.headers["Connection"]) == (201, "close")
    assert await wire.is_closed()


async def test_one_who_hangs_up_has_appended(
    running: Running, ann: Caller, thread: str, held: asyncio.Event
) -> None:
    async with wire_to(ann) as wire:
        await wire.send(append(ann, thread))
        await until(lambda: running.app[QUICK_APPENDS].in_flight == 1, 5.0, what="the append")
        wire.writer.transport.abort()
    held.set()

    await until(lambda: running.app[QUICK_APPENDS].in_flight == 0, 5.0, what="its end")
    assert await contents(ann, thread) == ["hello"]


async def test_a_process_that_ends_answers_first(
    running: Running, ann: Caller, thread: str, wire: Wire, held: asyncio.Event
) -> None:
    await wire.send(append(ann, thread))
    await until(lambda: running.app[QUICK_APPENDS].in_flight == 1, 5.0, what="the append")
    shutdown = asyncio.create_task(running.app.shutdown())
    await until(lambda: running.app[LIFECYCLE].draining, 5.0, what="the end")
    assert not shutdown.done()
    held.set()

    answer = await wire.answer()
    assert (answer.status, answer.headers["Connection"]) == (201, "close")
    await shutdown


async def test_only_what_is_idle_is_closed(
    running: Running, ann: Caller, thread: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "IDLE_SECONDS", 1.0)
    loop = asyncio.get_running_loop()
    async with wire_to(ann) as wire:
        begun = loop.time()
        while loop.time() < begun + 2.5:
            assert (await wire.ask(append(ann, thread))).status == 201
        assert await wire.is_closed()

    assert taken(running) > 2
