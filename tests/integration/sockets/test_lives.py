"""Pings, leaving processes, and what is logged and counted of a socket."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import Any

import msgspec
import pytest

from tests.integration.http.callers import Caller, Running, running_on
from tests.support.postgres import Database
from tests.support.waiting import Stopwatch, until
from threadkeep.app import drain
from threadkeep.web import live as lives
from threadkeep.web import websocket_limits as limits
from threadkeep.web.live import LIVE

from .clients import Socket, open_raw, open_socket
from .events import open_stream


@pytest.fixture
def quick_pings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pings every 1.5 seconds, and one second for the answer.

    That is four ticks, as without this it is ten: more than the process may lose by a standstill
    without giving its peers more time.
    """
    monkeypatch.setattr(lives, "TICK_SECONDS", 0.25)
    monkeypatch.setattr(limits, "PING_SECONDS", 1.5)
    monkeypatch.setattr(limits, "PONG_SECONDS", 1.0)


def test_pings_are_as_documented() -> None:
    assert (limits.PING_SECONDS, limits.PONG_SECONDS) == (25.0, 10.0)


async def test_who_answers_pings_stays(quick_pings: None, ann: Caller) -> None:
    async with open_raw(ann) as raw:
        for _ in range(3):
            opcode, payload = await raw.frame()
            assert (opcode, payload) == (9, b"")
            await raw.send(10, payload)
        await raw.send(1, b'{"id":1,"type":"ping"}')
        assert await raw.json() == {"type": "ok", "re": 1}


async def test_whoever_is_heard_stays(quick_pings: None, ann: Caller) -> None:
    async with open_raw(ann) as raw:
        for n in range(40):
            await raw.send(1, b'{"id":%d,"type":"ping"}' % n)
            while (frame := await raw.frame())[0] == 9:
                pass
            assert msgspec.json.decode(frame[1])["re"] == n
            await asyncio.sleep(0.1)


async def test_who_says_nothing_is_gone(quick_pings: None, ann: Caller, running: Running) -> None:
    async with open_raw(ann) as raw:
        assert await raw.frame() == (9, b"")
        with (
            Stopwatch() as watch,
            pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)),
        ):
            await raw.frame()
        assert watch.seconds < 4.0
    await until(lambda: running.app[LIVE].sockets == 0)


async def test_draining_tells_each_socket_when_to_come_back(database: Database) -> None:
    async with running_on(database, THREADKEEP_DRAIN_SECONDS="2") as running:
        ann = (await running.tenant()).user("ann")
        async with AsyncExitStack() as stack:
            opened = [await stack.enter_async_context(open_socket(ann)) for _ in range(20)]
            for each in opened:
                await each.ok("ping")
            watch = stack.enter_context(Stopwatch())
            draining = asyncio.create_task(drain(running.app))

            async def wait(socket: Socket) -> tuple[int, dict[str, Any], float, float]:
                code, seen = await socket.closed()
                return code, seen[-1], watch.seconds, watch.still

            ends = await asyncio.gather(*(wait(each) for each in opened))
            assert (await ann.get("/v1/ws")).status == 503
            await draining
    assert {code for code, *_ in ends} == {1012}
    assert {frame["type"] for _, frame, *_ in ends} == {"drain"}
    hints = [frame["payload"]["reconnect_after_ms"] for _, frame, *_ in ends]
    assert len(set(hints)) > 10
    assert 0 <= min(hints) <= max(hints) <= 2000 + lives.DRAIN_JITTER_MS
    assert max(hints) - min(hints) > 1000
    for (_, _, at, stood_still), hint in zip(ends, hints, strict=True):
        assert at * 1000 <= hint + 400  # closed by the time at which it shall come back
        assert (at + stood_still) * 1000 >= hint - lives.DRAIN_JITTER_MS  # and not all at once
    assert {frame["payload"]["reason"] for _, frame, *_ in ends} == {"restart"}


async def test_every_append_is_answered_before_the_socket_leaves(database: Database) -> None:
    async with running_on(database, THREADKEEP_DRAIN_SECONDS="1") as running:
        ann = (await running.tenant()).user("ann")
        thread = (await ann.post("/v1/threads", {})).json["id"]
        async with open_socket(ann) as socket:
            for n in range(200):
                fields = {"thread_id": thread, "content": f"m{n}"}
                await socket.send({"id": n, "type": "user_message", **fields})
            assert (await socket.receive())["re"] == 0
            draining = asyncio.create_task(drain(running.app))
            code, seen = await socket.closed()
            await draining
        answers = 1 + len([frame for frame in seen if frame["type"] == "ok"])
        assert (code, len(seen)) == (1012, answers)  # the drain frame, and all answers but one
        assert (await ann.get(f"/v1/threads/{thread}")).json["last_seq"] - 1 == answers


async def test_a_process_without_time_closes_at_once(database: Database) -> None:
    async with running_on(database) as running:
        ann = (await running.tenant()).user("ann")
        thread = (await ann.post("/v1/threads", {})).json["id"]
        async with open_socket(ann) as socket, open_stream(ann, thread) as stream:
            await socket.ok("ping")
            assert (await stream.next()).name == "snapshot"
            with Stopwatch() as watch:
                await running.app[LIVE].drain(0)
            assert watch.seconds < 5.0  # half of what it has without being told
            assert (await socket.closed())[0] == 1012
            assert (await stream.next()).name == "drain"
            with pytest.raises(EOFError):
                await stream.next()


async def test_who_does_not_close_back_is_cut(
    ann: Caller, running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "CLOSE_SECONDS", 0.5)
    async with open_raw(ann) as raw:
        for _ in range(20):
            await raw.send(1, b"{")
        assert await raw.code() == 1008
        with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
            await raw.frame()
    await until(lambda: running.app[LIVE].sockets == 0)


async def test_a_lost_connection_is_noticed_at_once(
    ann: Caller, running: Running, thread: str
) -> None:
    async with open_raw(ann):
        await until(lambda: running.app[LIVE].sockets == 1)
    await until(lambda: running.app[LIVE].sockets == 0, 2.0)


async def test_a_socket_is_logged_twice_without_content(
    ann: Caller, thread: str, capsys: pytest.CaptureFixture[str]
) -> None:
    async with open_socket(ann) as socket:
        await socket.ok("subscribe", thread_id=thread, after_seq=1)
        await socket.ok("user_message", thread_id=thread, content="not for the log")
        await socket.next()
    lines: list[str] = []

    def logged() -> bool:
        lines.extend(capsys.readouterr().out.splitlines())
        return any("socket.closed" in line for line in lines)

    await until(logged)
    about = [line for line in lines if "socket." in line]
    assert len(about) == 2
    assert "socket.opened" in about[0]
    for fact in ("code=1000", "frames_in=2", "frames_out=3", "last_seq=2", "request_id="):
        assert fact in about[1]
    assert "not for the log" not in "".join(lines)
    assert ann.headers["Authorization"].split()[1] not in "".join(lines)


async def test_sockets_are_counted(running: Running, ann: Caller, thread: str) -> None:
    def value(name: str) -> float:
        for line in text.splitlines():
            if line.startswith(name + " "):
                return float(line.rpartition(" ")[2])
        return 0.0

    async with open_socket(ann) as socket:
        await socket.ok("ping")
        running.app[LIVE].totals.report()
        text = (await running.nobody.get("/metrics")).body.decode()
        before = {
            name: value(name)
            for name in (
                'threadkeep_socket_frames_total{direction="in"}',
                'threadkeep_socket_frames_total{direction="out"}',
                'threadkeep_socket_commands_total{type="ping"}',
            )
        }
        for _ in range(5):
            await socket.ok("ping")
        running.app[LIVE].totals.report()
        text = (await running.nobody.get("/metrics")).body.decode()
        assert value("threadkeep_sockets_open") == 1
        assert {name: value(name) - was for name, was in before.items()} == dict.fromkeys(before, 5)
    await until(lambda: running.app[LIVE].sockets == 0)
    running.app[LIVE].totals.report()
    text = (await running.nobody.get("/metrics")).body.decode()
    assert value("threadkeep_sockets_open") == 0
    assert value('threadkeep_socket_closed_total{code="1000"}') >= 1
