"""Hostile input: an error frame, the socket stays open, nothing has changed."""

from __future__ import annotations

import asyncio
import secrets
from typing import Any

import aiohttp
import msgspec
import pytest

from tests.integration.http.callers import Caller, Running
from threadkeep.domain.limits import FRAME_BYTES, TEXT_BYTES

from .clients import Socket, open_raw, open_socket

MALFORMED = [
    b"",
    b"{",
    b"nonsense",
    b'{"id":1,"type":"ping"} trailing',
    b'{"id":1,"type":"ping",}',
    b'{"id":NaN,"type":"ping"}',
    b'\xef\xbb\xbf{"id":1,"type":"ping"}',
    b'{"id":1,"type":"ping","\xff":1}',
    b'{"id":1,"type":"user_message","thread_id":"x","content":"\xff"}',
    b'{"id":1,"type":"user_message","thread_id":"x","content":"\xed\xa0\x80"}',
    b'{"id":1,"type":"user_message","thread_id":"x","content":"\\ud800"}',
    b'{"id":1,"type":"user_message","thread_id":"x","content":"a\nb"}',
    b'{"id":1,"type":"create_thread","metadata":' + b'{"a":' * 20_000 + b"1" + b"}" * 20_000 + b"}",
    b"[" * 100_000,
]
# Each with the field that is named and the id that comes back.
MISSHAPEN: list[tuple[Any, str | None, Any]] = [
    ([], None, None),
    ("ping", None, None),
    (None, None, None),
    (7, None, None),
    ({}, "type", None),
    ({"id": 1}, "type", 1),
    ({"type": "ping"}, "id", None),
    ({"id": None, "type": "ping"}, "id", None),
    ({"id": True, "type": "ping"}, "id", None),
    ({"id": 1.5, "type": "ping"}, "id", None),
    ({"id": {}, "type": "ping"}, "id", None),
    ({"id": 2**53, "type": "ping"}, "id", None),
    ({"id": "x" * 65, "type": "ping"}, "id", None),
    ({"id": 1, "type": 5}, "type", 1),
    ({"id": 1, "type": "ping", "extra": 1}, "extra", 1),
    ({"id": "a", "type": "user_message", "thread_id": "t"}, "content", "a"),
    ({"id": 1, "type": "user_message", "thread_id": 5, "content": "x"}, "thread_id", 1),
    ({"id": 1, "type": "user_message", "thread_id": "t", "content": []}, "content", 1),
    ({"id": 1, "type": "user_message", "thread_id": "t", "content": [{"type": "x"}]}, None, 1),
    ({"id": 1, "type": "list_threads", "limit": 0}, "limit", 1),
    ({"id": 1, "type": "list_threads", "limit": 101}, "limit", 1),
    ({"id": 1, "type": "list_threads", "state": "odd"}, "state", 1),
    ({"id": 1, "type": "subscribe", "feed": "tenant"}, "feed", 1),
    ({"id": 1, "type": "create_thread", "owner": "bob"}, "owner", 1),
    ({"id": 1, "type": "create_thread", "title": ""}, "title", 1),
    ({"id": 1, "type": "tool_outputs", "run_id": "r", "outputs": []}, "outputs", 1),
]


REPEATED = [
    b'{"id":1,"type":"create_thread","title":"a","title":"b"}',
    b'{"id":1,"type":"create_thread","metadata":{"a":{"b":1,"b":2}}}',
    b'{"id":1,"type":"user_message","thread_id":"%b","content":"a","content":"b"}',
    b'{"id":1,"type":"user_message","thread_id":"%b","content":"a","metadata":{"b":1,"b":2}}',
    b'{"id":1,"type":"user_message","thread_id":"%b","content":"a","name":"k","name":"l"}',
]


async def total(caller: Caller) -> int:
    """Threads of the caller and the entries in them."""
    threads = (await caller.get("/v1/threads?limit=100")).json["data"]
    return len(threads) + sum(int(thread["last_seq"]) for thread in threads)


@pytest.mark.parametrize("data", REPEATED, ids=range(len(REPEATED)))
async def test_a_key_that_occurs_twice_is_refused(ann: Caller, thread: str, data: bytes) -> None:
    """Parsers disagree about which one counts; the rest of the system must not."""
    before = await total(ann)
    async with open_raw(ann) as raw:
        await raw.send(1, data.replace(b"%b", thread.encode()))
        answer = await raw.json()
        assert (answer["type"], answer["re"]) == ("error", 1)
        assert answer["error"]["code"] == "invalid_request"
        assert "twice" in answer["error"]["message"]
    assert await total(ann) == before


@pytest.mark.parametrize("data", MALFORMED, ids=range(len(MALFORMED)))
async def test_what_is_not_json_is_refused(ann: Caller, thread: str, data: bytes) -> None:
    before = await total(ann)
    async with open_raw(ann) as raw:
        await raw.send(1, data)
        answer = await raw.json()
        assert (answer["type"], answer["re"]) == ("error", None)
        assert answer["error"]["code"] == "invalid_request"
        await raw.send(1, b'{"id":2,"type":"ping"}')
        assert await raw.json() == {"type": "ok", "re": 2}
    assert await total(ann) == before


async def test_wrong_shapes_are_refused_with_their_field(
    ann: Caller, running: Running, thread: str
) -> None:
    before = await total(ann)
    for frame, field, re in MISSHAPEN:
        async with open_socket(ann) as socket:
            await socket.send(msgspec.json.encode(frame))
            answer = await socket.receive()
            assert (answer["type"], answer["re"]) == ("error", re), frame
            assert answer["error"]["code"] == "invalid_request", frame
            if field is not None:
                assert answer["error"]["field"] == field, frame
            await socket.ok("ping")
    assert await total(ann) == before


async def test_unknown_commands_are_named_as_such(socket: Socket) -> None:
    for kind in ("frobnicate", "", "Ping", "ok", "message", "agent_completed"):
        assert (await socket.refused(kind, any=1))["code"] == "unknown_type"
    await socket.ok("ping")


async def test_what_is_well_formed_but_wrong_is_refused(
    ann: Caller, socket: Socket, thread: str
) -> None:
    before = await total(ann)
    message = {"thread_id": thread, "content": "x"}
    wrong: list[tuple[str, dict[str, Any], str]] = [
        ("user_message", message | {"content": ""}, "invalid_request"),
        ("user_message", message | {"content": "nul\0"}, "invalid_request"),
        ("user_message", message | {"content": "ü" * (TEXT_BYTES // 2 + 1)}, "too_large"),
        ("user_message", message | {"metadata": {"k": "v" * TEXT_BYTES}}, "too_large"),
        ("user_message", message | {"idempotency_key": ""}, "invalid_request"),
        ("user_message", message | {"idempotency_key": "k" * 256}, "invalid_request"),
        ("user_message", message | {"if_busy": "reject"}, "invalid_request"),
        ("user_message", message | {"metadata": _nested(40)}, "invalid_request"),
        ("subscribe", {}, "invalid_request"),
        ("subscribe", {"thread_id": thread, "feed": "user"}, "invalid_request"),
        ("subscribe", {"thread_id": thread, "cursor": "garbage"}, "invalid_request"),
        ("subscribe", {"thread_id": thread, "cursor": "a-1", "after_seq": 1}, "invalid_request"),
        ("unsubscribe", {}, "invalid_request"),
        ("list_threads", {"after": "garbage"}, "invalid_request"),
        ("get_thread_history", {"thread_id": thread, "after": "x-1"}, "invalid_request"),
        ("create_thread", {"title": "nul\0"}, "invalid_request"),
    ]
    for kind, fields, code in wrong:
        assert (await socket.refused(kind, **fields))["code"] == code, (kind, fields)
    await socket.ok("ping")
    assert await total(ann) == before


def _nested(depth: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(depth):
        value = {"a": value}
    return value


async def test_a_frame_over_the_limit_is_refused_and_the_next_one_read(
    ann: Caller, thread: str
) -> None:
    before = await total(ann)
    body = b'{"id":1,"type":"user_message","thread_id":"%s","content":"%s"}'
    empty = len(body % (thread.encode(), b""))
    async with open_raw(ann) as raw:
        for size in (FRAME_BYTES + 1, 4 * FRAME_BYTES):
            await raw.send(1, body % (thread.encode(), b"x" * (size - empty)))
            answer = await raw.json()
            assert (answer["re"], answer["error"]["code"]) == (None, "too_large")
        exact = body % (thread.encode(), b"x" * (FRAME_BYTES - empty))
        assert len(exact) == FRAME_BYTES
        await raw.send(1, exact)
        answer = await raw.json()
        assert (answer["re"], answer["error"]["code"]) == (
            1,
            "too_large",
        )  # the text, not the frame
        await raw.send(1, b'{"id":2,"type":"ping"}')
        assert await raw.json() == {"type": "ok", "re": 2}
    assert await total(ann) == before


async def test_a_frame_that_cannot_be_skipped_closes_the_socket(ann: Caller) -> None:
    async with open_raw(ann) as raw:
        # Only its head: nobody waits for the rest.
        raw.writer.write(b"\x81\xff" + (5 * 1024 * 1024).to_bytes(8, "big") + b"\0\0\0\0")
        assert await raw.code() == 1009


async def test_binary_frames_are_refused(ann: Caller) -> None:
    async with (
        aiohttp.ClientSession(headers=ann.headers) as session,
        session.ws_connect(ann.url + "/v1/ws") as socket,
    ):
        await socket.send_bytes(b'{"id":1,"type":"ping"}')
        answer = await socket.receive_json()
        assert (answer["re"], answer["error"]["code"]) == (None, "invalid_request")
        await socket.send_str('{"id":1,"type":"ping"}')
        assert (await socket.receive_json())["type"] == "ok"


async def test_fragments_and_control_frames_between_them_are_one_command(ann: Caller) -> None:
    async with open_raw(ann) as raw:
        await raw.send(1, b'{"id":1,', head=0x01)
        await raw.send(9, b"are you there")
        assert await raw.frame() == (10, b"are you there")
        await raw.send(0, b'"type":"pi', head=0x00)
        await raw.send(10, b"unasked")
        await raw.send(0, b'ng"}', head=0x80)
        assert await raw.json() == {"type": "ok", "re": 1}


@pytest.mark.parametrize(
    ("head", "payload", "code"),
    [
        (0xC1, b"{}", 1002),  # a reserved bit: compression that was not agreed on
        (0x83, b"", 1002),  # an unknown opcode
        (0x80, b"x", 1002),  # a continuation of nothing
        (0x09, b"x", 1002),  # a control frame in fragments
        (0x89, b"x" * 126, 1002),  # a control frame that is too long
        (0x88, b"\x03\xed", 1002),  # a code that is never sent
        (0x88, b"\x03\xe8\xff", 1007),  # a reason that is not UTF-8
    ],
)
async def test_broken_framing_closes_the_socket(
    ann: Caller, head: int, payload: bytes, code: int
) -> None:
    async with open_raw(ann) as raw:
        await raw.send(0, payload, head=head)
        assert await raw.code() == code
        async with asyncio.timeout(10):
            assert await raw.reader.read() == b""


async def test_a_close_frame_is_answered_with_its_code(ann: Caller) -> None:
    for payload, code in ((b"", 1000), (b"\x03\xe9", 1001), (b"\x0f\xa0bye", 4000)):
        async with open_raw(ann) as raw:
            await raw.send(8, payload)
            opcode, answer = await raw.frame()
            assert (opcode, int.from_bytes(answer[:2], "big")) == (8, code)
            async with asyncio.timeout(10):
                assert await raw.reader.read() == b""


async def test_repeated_abuse_closes_the_socket(ann: Caller, thread: str) -> None:
    async with open_socket(ann) as socket, open_socket(ann) as other:
        for _ in range(25):
            await socket.send(b"{")
        code, seen = await socket.closed()
        assert code == 1008
        assert len(seen) == 20
        assert {frame["error"]["code"] for frame in seen} == {"invalid_request"}
        await other.ok("ping")


async def test_commands_over_the_limit_are_refused_then_close(running: Running) -> None:
    tenant = await running.tenant(limits={"messages_per_minute": 5})
    ann = tenant.user("ann")
    thread = (await ann.post("/v1/threads", {})).json["id"]
    async with open_socket(ann) as socket:
        for n in range(5):
            await socket.ok("user_message", thread_id=thread, content=f"m{n}")
        error = await socket.refused("user_message", thread_id=thread, content="one too many")
        assert error["code"] == "too_many"
        assert error["retry_after_ms"] > 0
        await socket.ok("ping")
        for _ in range(25):
            fields = {"id": secrets.token_hex(4), "type": "user_message", "thread_id": thread}
            await socket.send(fields | {"content": "more"})
        code, seen = await socket.closed()
    assert code == 4429
    assert len(seen) == 19
    assert (await ann.get(f"/v1/threads/{thread}")).json["last_seq"] == 6


async def test_subscriptions_of_a_socket_are_limited(running: Running) -> None:
    tenant = await running.tenant(limits={"subscriptions_per_socket": 2})
    ann = tenant.user("ann")
    threads = [(await ann.post("/v1/threads", {})).json["id"] for _ in range(3)]
    async with open_socket(ann) as socket:
        for thread in threads[:2]:
            await socket.ok("subscribe", thread_id=thread)
        assert (await socket.refused("subscribe", thread_id=threads[2]))["code"] == "too_many"
        assert (await socket.refused("subscribe", feed="user"))["code"] == "too_many"
        await socket.ok("subscribe", thread_id=threads[0])
        await socket.ok("switch_thread", thread_id=threads[2])
        await socket.ok("unsubscribe", thread_id=threads[1])
        await socket.ok("subscribe", feed="user")
