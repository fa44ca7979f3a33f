"""Plain appends are answered like all others, whatever else happens on their connection.

What comes in one piece goes the quick way; with its head in two it goes through aiohttp and the
route.
"""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest
from structlog.testing import capture_logs

from tests.support.postgres import Database, superuser
from tests.support.waiting import until
from threadkeep.services.access.recent import Recent
from threadkeep.web import bodies, connection, greetings
from threadkeep.web.keys import LIFECYCLE
from threadkeep.web.quick_appends import QUICK_APPENDS

from .callers import Answer, Caller, Running, Tenant
from .wires import Wire, request, wire_to

_VARYING = re.compile(rb'[0-9a-f]{32}|\d{4}-\d\d-\d\dT[0-9:.]+Z|(?<=seq":)\d+|(?<=-)\d+(?=")')
"""Ids, times, and places in the log."""


def append(who: Caller, thread: str, content: object = "hello", **headers: str) -> bytes:
    """A plain append."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    body = {"messages": [{"content": content}]}
    return request(who, "POST", f"/v1/threads/{thread}/messages", body, named)


def taken(running: Running) -> int:
    """Appends that went the quick way."""
    return running.app[QUICK_APPENDS].taken


async def contents(who: Caller, thread: str) -> list[Any]:
    """What has been said in a thread."""
    page = await who.get(f"/v1/threads/{thread}/messages", params={"limit": "100"})
    return [entry["payload"]["content"] for entry in page.json["data"]]


def shape(answer: Answer) -> tuple[int, dict[str, str], bytes]:
    """An answer without what differs between any two."""
    headers = {
        name.lower(): value
        for name, value in answer.headers.items()
        if name.lower() not in {"date", "x-request-id", "content-length"}
    }
    return answer.status, headers, _VARYING.sub(b"*", answer.body)


@pytest.fixture(autouse=True)
def lasting_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who is known stays known: once a second the usual way would look again."""
    defaults = Recent.__init__.__kwdefaults__
    assert defaults is not None
    monkeypatch.setitem(defaults, "seconds", 600.0)


@pytest.fixture
async def held(database: Database, thread: str) -> AsyncIterator[asyncio.Event]:
    """Appends to the thread wait until this is set, for a second at most."""
    release = asyncio.Event()
    async with superuser(database.superuser_url) as connection:

        async def hold() -> None:
            async with connection.transaction():
                digits = thread.removeprefix("thr_")
                await connection.execute(
                    "SELECT FROM heads WHERE thread_id = $1 FOR UPDATE", digits
                )
                locked.set()
                await release.wait()

        locked = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            group.create_task(hold())
            await locked.wait()
            yield release
            release.set()


@pytest.fixture
async def wire(ann: Caller) -> Any:
    """A connection of ann's, whose credential has just been looked up."""
    await ann.get("/v1/threads")
    async with wire_to(ann) as wire:
        yield wire


async def test_a_plain_append_goes_the_quick_way(
    running: Running, ann: Caller, thread: str, wire: Wire
) -> None:
    answer = await wire.ask(append(ann, thread, X_Request_Id="my-request-1"))

    assert (answer.status, taken(running)) == (201, 1)
    assert answer.headers["X-Request-Id"] == "my-request-1"
    assert answer.json["last_seq"] == 2
    assert await contents(ann, thread) == ["hello"]


@pytest.mark.parametrize(
    ("content", "headers"),
    [
        ("hello", {}),
        ("hello", {"Content-Type": "application/json; charset=utf-8"}),
        ("hello", {"Content-Type": "text/plain"}),
        ("hello", {"Content-Encoding": "gzip"}),
        ("hello", {"Origin": "https://other.example"}),
        ("hello", {"Idempotency-Key": "k" * 256}),
        ("hello", {"Authorization": "Bearer nonsense"}),
        ("hello", {"Authorization": "Basic nonsense"}),
        ("hello", {"Threadkeep-User": ""}),
        ("hello", {"Threadkeep-User": "bob"}),
        ("", {}),
        ("a\0b", {}),
        (7, {}),
        ("x" * 65537, {}),
    ],
)
async def test_both_ways_give_one_answer(
    ann: Caller, thread: str, wire: Wire, content: object, headers: dict[str, str]
) -> None:
    data = request(
        ann,
        "POST",
        f"/v1/threads/{thread}/messages",
        {"messages": [{"content": content}]},
        headers,
    )

    quick = await wire.ask(data)
    async with wire_to(ann) as other:
        usual = await other.ask(data[:9], data[9:])

    assert shape(quick) == shape(usual)


async def test_both_ways_refuse_alike(
    running: Running, tenant: Tenant, ann: Caller, thread: str, wire: Wire
) -> None:
    """Errors that come after the request was counted: by the verdict, or by its limits."""
    absent = f"thr_{'0' * 32}"
    gone = (await ann.post("/v1/threads", {})).json["id"]
    await ann.delete(f"/v1/threads/{gone}")
    foreign = (await tenant.user("bob").post("/v1/threads", {})).json["id"]
    paused = (await ann.post("/v1/threads", {})).json["id"]
    assert (await ann.post(f"/v1/threads/{paused}/archive")).status == 200
    await wire.ask(append(ann, thread, Idempotency_Key="one"))
    before = taken(running)

    for case, status in (
        (append(ann, absent), 404),
        (append(ann, foreign), 404),
        (append(ann, gone), 410),
        (append(ann, paused), 409),
        (append(ann, thread, "other", Idempotency_Key="one"), 422),
        (append(ann, thread, "hello", Idempotency_Key="one"), 201),
        (append(ann, thread, ""), 422),
    ):
        quick = await wire.ask(case)
        async with wire_to(ann) as other:
            usual = await other.ask(case[:9], case[9:])
        assert quick.status == status, quick.body
        assert shape(quick) == shape(usual)
    assert taken(running) == before + 7
    assert await contents(ann, thread) == ["hello"]


async def test_limits_count_once_whichever_way(running: Running) -> None:
    tenant = await running.tenant(limits={"messages_per_minute": 3, "requests_per_minute": 100})
    ann = tenant.user("ann")
    thread = (await ann.post("/v1/threads", {})).json["id"]

    async with wire_to(ann) as wire:
        answers = [await wire.ask(append(ann, thread)) for _ in range(5)]

    assert [answer.status for answer in answers] == [201, 201, 201, 429, 429]
    assert int(answers[-1].headers["Retry-After"]) > 0
    assert len(await contents(ann, thread)) == 3
    assert taken(running) == 5


async def test_requests_are_counted_too(running: Running) -> None:
    tenant = await running.tenant(limits={"requests_per_minute": 4})
    ann = tenant.user("ann")
    thread = (await ann.post("/v1/threads", {})).json["id"]

    async with wire_to(ann) as wire:
        statuses = [(await wire.ask(append(ann, thread))).status for _ in range(5)]

    assert statuses == [201, 201, 201, 429, 429]
    assert taken(running) == 3


async def test_a_credential_for_reading_appends_nothing(
    running: Running, tenant: Tenant, ann: Caller, thread: str
) -> None:
    reads = await running.key(tenant.id, "threads:read")
    reader = reads.with_headers(Threadkeep_User="ann")
    assert (await reader.get(f"/v1/threads/{thread}")).status == 200

    async with wire_to(ann) as wire:
        assert (await wire.ask(append(reader, thread))).status == 403

    assert await contents(ann, thread) == []


async def test_whose_thread_it_was_is_audited(
    running: Running, tenant: Tenant, ann: Caller, wire: Wire
) -> None:
    foreign = (await tenant.user("bob").post("/v1/threads", {})).json["id"]

    assert (await wire.ask(append(ann, foreign))).status == 404

    async def refused() -> list[Any]:
        page = await tenant.key.get("/v1/audit")
        return [each for each in page.json["data"] if each["target"].endswith(foreign[-32:])]

    rows = await until(refused, 10.0, what="the row of the audit")
    assert [row["action"] for row in rows] == ["POST /v1/threads/{thread_id}/messages"]
    assert taken(running) == 1


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


async def test_a_request_may_be_cut_anywhere(running: Running, ann: Caller, thread: str) -> None:
    """Once its head was cut, aiohttp keeps the connection: nobody guesses where the next begins."""
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


async def test_the_quick_way_leaves_the_same_line_in_the_log(
    ann: Caller, thread: str, wire: Wire, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    data = append(ann, thread, X_Request_Id="my-request")
    with capture_logs() as lines:
        await wire.ask(data)
        async with wire_to(ann) as other:
            await other.ask(data[:9], data[9:])

    quick, usual = (line for line in lines if line.get("request_id") == "my-request")
    assert quick["event"] == "http.request"
    assert {**quick, "duration_ms": 0} == {**usual, "duration_ms": 0}
