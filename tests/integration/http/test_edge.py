"""What every route does with hostile, broken and browsers' requests."""

from __future__ import annotations

import asyncio
import contextlib
import io
import socket
from collections.abc import AsyncIterator

import msgspec
import pytest

from tests.support.postgres import Database
from tests.support.waiting import until
from threadkeep.domain.limits import BODY_BYTES
from threadkeep.web import bodies, greetings, sending
from threadkeep.web.greetings import GREETINGS
from threadkeep.web.keys import LIFECYCLE

from .callers import Caller, Running, Tenant, running_on

ORIGIN = "https://shop.example"


@pytest.fixture
async def open_to_browsers(database: Database) -> AsyncIterator[Running]:
    """An application that an origin may call."""
    async with running_on(database, THREADKEEP_ALLOWED_ORIGINS=ORIGIN) as running:
        yield running


async def test_unknown_routes_and_methods(running: Running) -> None:
    absent = await running.nobody.get("/v1/nothing")
    method = await running.nobody.send("PUT", "/v1/threads")

    assert (absent.status, absent.error["code"]) == (404, "not_found")
    assert (method.status, method.error["code"]) == (405, "invalid_request")
    assert method.headers["Allow"] == "GET, HEAD, POST"


async def test_what_can_be_got_has_a_head(running: Running, ann: Caller, thread: str) -> None:
    for caller, path in ((running.nobody, "/livez"), (ann, f"/v1/threads/{thread}")):
        whole, head = await caller.get(path), await caller.send("HEAD", path)
        assert (head.status, head.body) == (whole.status, b"")
        assert head.headers["Content-Length"] == whole.headers["Content-Length"]
    assert (await ann.send("HEAD", f"/v1/threads/thr_{'0' * 32}")).status == 404


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b'{"title": NaN}', 400),
        (b'{"title": "\xff"}', 400),
        (b'{"title": "a", "title": "b"}', 400),
        (b'{"metadata":' + b'{"a":' * 2000 + b"1" + b"}" * 2000 + b"}", 400),
        (b'{"metadata":' + b'{"a":' * 40 + b"1" + b"}" * 40 + b"}", 422),
        (b"[]", 422),
        (b'{"unknown": 1}', 422),
        (b'{"title": 7}', 422),
        (b'{"title": "a\\u0000"}', 422),
    ],
)
async def test_bad_bodies_change_nothing(ann: Caller, body: bytes, status: int) -> None:
    answer = await ann.post("/v1/threads", body)

    assert (answer.status, answer.error["code"]) == (status, "invalid_request")
    assert (await ann.get("/v1/threads")).json["data"] == []


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"]
)
async def test_other_content_types_are_refused(ann: Caller, content_type: str) -> None:
    """A form of a foreign page can send these without asking first."""
    headers = {"Content-Type": content_type}
    answer = await ann.send("POST", "/v1/threads", data=b"{}", headers=headers)

    assert (answer.status, answer.error["code"]) == (400, "invalid_request")


async def test_a_large_body_is_refused(ann: Caller) -> None:
    answer = await ann.send(
        "POST",
        "/v1/threads",
        data=io.BytesIO(b" " * (BODY_BYTES + 1)),
        headers={"Content-Type": "application/json"},
    )

    assert (answer.status, answer.error["code"]) == (413, "too_large")


async def test_a_compressed_body_is_not_unpacked(ann: Caller) -> None:
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    answer = await ann.send("POST", "/v1/threads", data=b"{}", headers=headers)

    assert answer.status in (200, 201, 400)


async def test_a_body_that_does_not_arrive_is_given_up(
    ann: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bodies, "BODY_SECONDS", 0.2)

    async def slow() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.Event().wait()

    headers = {"Content-Type": "application/json"}
    answer = await asyncio.wait_for(
        ann.send("POST", "/v1/threads", data=slow(), headers=headers), 5.0
    )

    assert (answer.status, answer.error["code"]) == (400, "invalid_request")


async def test_a_silent_connection_is_cut(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(greetings, "HEAD_SECONDS", 0.2)
    async with running_on(database) as running:
        host, _, port = running.nobody.url.removeprefix("http://").partition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"GET /livez HTTP/1.1\r\nHost:")
        ended = await asyncio.wait_for(reader.read(), 5.0)
        writer.close()

        # A connection that did send its first request in time stays.
        assert (await running.nobody.get("/livez")).status == 200
        await asyncio.sleep(0.3)
        assert (await running.nobody.get("/livez")).status == 200
    assert b"200" not in ended


@pytest.mark.parametrize(
    ("head", "sentence"),
    [
        (b"\x16\x03\x01\x02\x00 not http", "This is not well-formed HTTP."),
        (b"GET /livez HTTP/1.1\r\nHost: a\r\nX-Secret: hunter2\0", "This is not well-formed HTTP."),
        (
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nTransfer-Encoding: chunked",
            "This is not well-formed HTTP.",
        ),
        (
            b"GET /livez HTTP/1.1\r\nHost: a\r\nX-Secret: hunter2" + b"2" * 70_000,
            "A line of the request's head is too long.",
        ),
    ],
)
async def test_what_is_no_http_is_refused(running: Running, head: bytes, sentence: str) -> None:
    answer, body = await speak(running, head + b"\r\n\r\n")

    assert answer.startswith(b"HTTP/1.0 400 ")
    assert b"Server: threadkeep\r\n" in answer
    assert b"X-Content-Type-Options: nosniff\r\n" in answer
    error = msgspec.json.decode(body)["error"]
    assert (error["code"], error["message"]) == ("invalid_request", sentence)
    assert f"X-Request-Id: {error['request_id']}\r\n".encode() in answer
    assert b"hunter2" not in body


async def speak(running: Running, sent: bytes) -> tuple[bytes, bytes]:
    """Head and body of what is answered to these bytes before the connection ends."""
    host, _, port = running.nobody.url.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(sent)
    try:
        answer = await asyncio.wait_for(reader.read(), 5.0)
    finally:
        writer.transport.abort()
    head, _, body = answer.partition(b"\r\n\r\n")
    return head + b"\r\n", body


async def test_an_answer_that_nobody_reads_is_given_up(
    running: Running, ann: Caller, thread: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "SEND_SECONDS", 0.3)
    monkeypatch.setattr(sending, "SLOWEST_BYTES", 1 << 30)
    body = {"messages": [{"content": "x" * 64_000}] * 10}
    for _ in range(10):
        assert (await ann.post(f"/v1/threads/{thread}/messages", body)).status == 201
    path = f"/v1/threads/{thread}/messages?limit=100"
    host, _, port = running.nobody.url.removeprefix("http://").partition(":")
    lines = [
        f"GET {path} HTTP/1.1",
        f"Host: {host}",
        *(f"{k}: {v}" for k, v in ann.headers.items()),
    ]
    with socket.socket() as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.connect((host, int(port)))
        deaf.sendall("\r\n".join([*lines, "", ""]).encode())
        started = running.app[GREETINGS]
        await until(lambda: not started, 5, what="the request")
        await asyncio.sleep(1.0)
        deaf.settimeout(5)
        read = await asyncio.to_thread(read_all, deaf)

    whole = await ann.get(path)
    assert (whole.status, len(whole.json["data"])) == (200, 100)
    assert 0 < read < len(whole.body)


def read_all(connection: socket.socket) -> int:
    """How many bytes come until the connection ends."""
    count = 0
    with contextlib.suppress(ConnectionResetError):
        while piece := connection.recv(1 << 20):
            count += len(piece)
    return count


async def test_request_ids_come_back(running: Running) -> None:
    given = await running.nobody.get("/livez", headers={"X-Request-Id": "abc-123.def_4"})
    odd = await running.nobody.get("/livez", headers={"X-Request-Id": "<script>"})
    none = await running.nobody.get("/livez")

    assert given.headers["X-Request-Id"] == "abc-123.def_4"
    assert odd.headers["X-Request-Id"] not in ("<script>", none.headers["X-Request-Id"])


async def test_answers_carry_safe_headers(running: Running) -> None:
    for path in ("/livez", "/v1/threads", "/nothing", "/docs"):
        headers = (await running.nobody.get(path)).headers
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Cache-Control"] == "no-store"
        assert "default-src 'none'" in headers["Content-Security-Policy"]
        assert "aiohttp" not in headers["Server"]


async def test_no_origin_is_allowed_unless_named(running: Running) -> None:
    headers = {"Origin": ORIGIN, "Access-Control-Request-Method": "POST"}
    preflight = await running.nobody.send("OPTIONS", "/v1/threads", headers=headers)
    plain = await running.nobody.get("/livez", headers={"Origin": ORIGIN})

    assert (preflight.status, preflight.error["code"]) == (403, "forbidden")
    assert "Access-Control-Allow-Origin" not in plain.headers


async def test_a_named_origin_may_call(open_to_browsers: Running) -> None:
    nobody = open_to_browsers.nobody
    headers = {"Origin": ORIGIN, "Access-Control-Request-Method": "POST"}
    preflight = await nobody.send("OPTIONS", "/v1/threads", headers=headers)
    other = await nobody.get("/v1/threads", headers={"Origin": "https://evil.example"})
    refused = await nobody.get("/v1/threads", headers={"Origin": ORIGIN})

    assert preflight.status == 204
    assert preflight.headers["Access-Control-Allow-Origin"] == ORIGIN
    assert "Authorization" in preflight.headers["Access-Control-Allow-Headers"]
    assert "Access-Control-Allow-Origin" not in other.headers
    assert (refused.status, refused.headers["Access-Control-Allow-Origin"]) == (401, ORIGIN)
    assert "Origin" in refused.headers["Vary"]
    assert "Access-Control-Allow-Credentials" not in refused.headers


async def test_unknown_errors_say_nothing(
    running: Running, ann: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object, **__: object) -> None:
        raise ValueError("the password is hunter2")

    monkeypatch.setattr("threadkeep.services.threads.Threads.get", fail)
    answer = await ann.get("/v1/threads/thr_" + "0" * 32)

    assert (answer.status, answer.error["code"]) == (500, "internal")
    assert b"hunter2" not in answer.body


async def test_a_leaving_process_is_not_ready(running: Running) -> None:
    running.app[LIFECYCLE].draining = True

    for path in ("/readyz", "/readyz?exclude=database"):
        assert (await running.nobody.get(path)).error["code"] == "unavailable"
    assert (await running.nobody.get("/livez")).status == 200


async def test_requests_of_a_user_are_limited(running: Running) -> None:
    limited = await running.tenant(tier="free", limits={"requests_per_minute": 3})
    ann, bob = limited.user("ann"), limited.user("bob")
    answers = [await ann.get("/v1/threads") for _ in range(5)]

    assert [each.status for each in answers[:3]] == [200] * 3
    refused = answers[-1]
    assert (refused.status, refused.error["code"]) == (429, "too_many")
    assert int(refused.headers["Retry-After"]) >= 1
    assert refused.error["retry_after_ms"] > 0
    assert (await bob.get("/v1/threads")).status == 200


async def test_messages_of_a_user_are_limited(running: Running) -> None:
    limited = await running.tenant(tier="free", limits={"messages_per_minute": 2})
    ann = limited.user("ann")
    thread = (await ann.post("/v1/threads", {})).json["id"]
    body = {"messages": [{"content": "a"}, {"content": "b"}]}

    assert (await ann.post(f"/v1/threads/{thread}/messages", body)).status == 201
    assert (await ann.post(f"/v1/threads/{thread}/messages", body)).status == 429


async def test_attempts_of_an_address_are_limited(database: Database) -> None:
    async with running_on(database, THREADKEEP_ADDRESS_ATTEMPTS_PER_MINUTE="5") as running:
        tenant: Tenant = await running.tenant()
        good = [(await tenant.user().get("/v1/threads")).status for _ in range(10)]
        wrong = running.nobody.with_headers(Authorization="Bearer wrong")
        bad = [(await wrong.get("/v1/threads")).status for _ in range(10)]

    assert good == [200] * 10
    assert set(bad) == {401, 429}
    assert bad[-1] == 429
