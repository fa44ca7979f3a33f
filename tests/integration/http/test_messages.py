"""Messages over HTTP: appended once, read by seq, byte for byte."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from .callers import Answer, Caller, Running


async def append(ann: Caller, thread: str, *texts: str, key: str | None = None) -> Answer:
    caller = ann if key is None else ann.with_headers(Idempotency_Key=key)
    body = {"messages": [{"content": text} for text in texts]}
    return await caller.post(f"/v1/threads/{thread}/messages", body)


async def test_messages_become_neighbours(ann: Caller, thread: str) -> None:
    answer = await append(ann, thread, "one", "two", "three")

    assert answer.status == 201
    made = answer.json
    assert [each["seq"] for each in made["data"]] == [2, 3, 4]
    assert (made["first_seq"], made["last_seq"]) == (2, 4)
    assert made["cursor"] == f"{made['epoch']}-4"
    entries = (await ann.get(f"/v1/threads/{thread}/messages")).json["data"]
    assert [(e["id"], e["seq"], e["ts"]) for e in entries] == [
        (e["id"], e["seq"], e["ts"]) for e in made["data"]
    ]


async def test_a_repeat_gets_the_first_answer(ann: Caller, thread: str) -> None:
    answers = await asyncio.gather(*(append(ann, thread, "a", "b", key="k1") for _ in range(10)))
    await append(ann, thread, "later")
    answers.append(await append(ann, thread, "a", "b", key="k1"))

    assert {each.status for each in answers} == {201}
    assert len({each.body for each in answers}) == 1
    assert (await ann.get(f"/v1/threads/{thread}")).json["last_seq"] == 4


async def test_one_key_with_another_body_is_refused(ann: Caller, thread: str) -> None:
    await append(ann, thread, "a", key="k1")
    other = await append(ann, thread, "b", key="k1")

    assert (other.status, other.error["code"]) == (422, "idempotency_mismatch")
    assert (await ann.get(f"/v1/threads/{thread}")).json["last_seq"] == 2


@pytest.mark.parametrize("key", ["", "x" * 256])
async def test_a_key_has_1_to_255_characters(ann: Caller, thread: str, key: str) -> None:
    answer = await append(ann, thread, "a", key=key)

    assert (answer.status, answer.error["code"]) == (422, "invalid_request")


async def test_pages_go_both_ways(ann: Caller, thread: str) -> None:
    await append(ann, thread, *(f"m{n}" for n in range(9)))  # seq 2 to 10
    path = f"/v1/threads/{thread}/entries"

    async def page(query: str) -> dict[str, Any]:
        answer = await ann.get(f"{path}?{query}")
        assert answer.status == 200, answer.body
        shown: dict[str, Any] = answer.json
        shown["seqs"] = [each["seq"] for each in shown["data"]]
        return shown

    first = await page("limit=4")
    assert (first["seqs"], first["has_more"], first["previous"]) == ([1, 2, 3, 4], True, None)
    second = await page(f"limit=4&after={first['next']}")
    assert second["seqs"] == [5, 6, 7, 8]
    last = await page(f"limit=4&after={second['next']}")
    assert (last["seqs"], last["has_more"], last["next"]) == ([9, 10], False, None)
    back = await page(f"limit=4&before={last['previous']}")
    assert (back["seqs"], back["has_more"]) == ([5, 6, 7, 8], True)
    newest = await page("limit=3&backward=true")
    assert (newest["seqs"], newest["next"]) == ([8, 9, 10], None)
    assert (await page("after_seq=3&before_seq=6"))["seqs"] == [4, 5]
    assert (await page("after_seq=3&before_seq=9&backward=true&limit=2"))["seqs"] == [7, 8]
    assert (await page("before_seq=4&limit=2"))["seqs"] == [2, 3]
    assert (await page("after_seq=10"))["seqs"] == []
    assert (await page("kinds=thread_created"))["seqs"] == [1]
    assert (await page("kinds=thread_created,message&limit=2"))["seqs"] == [1, 2]
    assert (await page("limit=1"))["last_seq"] == 10


async def test_an_entry_has_the_same_bytes_in_every_page(ann: Caller, thread: str) -> None:
    """Sorted keys and escapes of a body survive; nothing decodes and encodes it on its way."""
    odd = {"metadata": {"z": 1, "a": 1.0, "u": "é/\u2028"}, "content": "a\tb\u0001"}
    await ann.post(f"/v1/threads/{thread}/messages", {"messages": [odd]})
    one = (await ann.get(f"/v1/threads/{thread}/messages")).body
    two = (await ann.get(f"/v1/threads/{thread}/entries?after_seq=1")).body

    raw = msgspec.json.decode(one, type=dict[str, msgspec.Raw])["data"]
    assert raw == msgspec.json.decode(two, type=dict[str, msgspec.Raw])["data"]
    assert b'"metadata":{"a":1.0,"u":"\xc3\xa9/\xe2\x80\xa8","z":1}' in bytes(raw)


async def test_messages_alone_are_shown_as_messages(ann: Caller, thread: str) -> None:
    await append(ann, thread, "one")
    await ann.post(f"/v1/threads/{thread}/pause")
    kinds = [e["type"] for e in (await ann.get(f"/v1/threads/{thread}/entries")).json["data"]]

    assert kinds == ["thread_created", "message", "thread_state_changed"]
    shown = (await ann.get(f"/v1/threads/{thread}/messages")).json["data"]
    assert [each["type"] for each in shown] == ["message"]


async def test_a_paused_thread_takes_no_messages(ann: Caller, thread: str) -> None:
    await ann.post(f"/v1/threads/{thread}/pause")
    answer = await append(ann, thread, "one")

    assert (answer.status, answer.error["code"], answer.error["state"]) == (
        409,
        "conflict",
        "paused",
    )


async def test_a_message_reopens_a_completed_thread(ann: Caller, thread: str) -> None:
    await ann.post(f"/v1/threads/{thread}/complete")
    answer = await append(ann, thread, "one more", key="k")

    assert (answer.status, answer.json["first_seq"]) == (201, 4)
    assert (await append(ann, thread, "one more", key="k")).body == answer.body
    assert (await ann.get(f"/v1/threads/{thread}")).json["state"] == "active"


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("after=nothing", "after"),
        ("before=0000-1", "before"),
        ("after_seq=-1", "after_seq"),
        ("kinds=A", "kinds"),
        ("kinds=message,bogus", "kinds"),
        ("offset=3", "offset"),
        ("limit=1&limit=2", "limit"),
        ("kinds=%00", "kinds"),
        ("kinds=%ff", "kinds"),
    ],
)
async def test_a_wrong_part_is_refused(ann: Caller, thread: str, query: str, field: str) -> None:
    answer = await ann.get(f"/v1/threads/{thread}/entries?{query}")

    assert (answer.status, answer.error["field"]) == (422, field)


@pytest.mark.parametrize(
    ("message", "status", "field"),
    [
        ({"content": ""}, 422, "messages[0].content"),
        ({"content": "a\0b"}, 422, None),
        ({"content": "x" * 65_537}, 413, None),
        ({"content": "x", "role": "king"}, 422, "messages[0].role"),
        ({"content": "x", "colour": "red"}, 422, "messages[0].colour"),
        ({"content": [{"type": "hologram"}]}, 422, "messages[0].content[0].type"),
        ({"content": "x", "metadata": {"a": "x" * 70_000}}, 413, None),
        ({"content": "x", "occurred_at": "2024-01-01T00:00:00"}, 422, "messages[0].occurred_at"),
        (
            {"content": "x", "occurred_at": "0001-01-01T00:00:00+23:59"},
            422,
            "messages[0].occurred_at",
        ),
    ],
)
async def test_a_wrong_message_is_refused(
    ann: Caller, thread: str, message: Any, status: int, field: str | None
) -> None:
    good: Any = {"content": "good"}
    answer = await ann.post(f"/v1/threads/{thread}/messages", {"messages": [message, good]})

    assert answer.status == status, answer.body
    if field is not None:
        assert answer.error["field"] == field
    assert (await ann.get(f"/v1/threads/{thread}")).json["last_seq"] == 1


async def test_more_than_100_messages_are_refused(ann: Caller, thread: str) -> None:
    answer = await append(ann, thread, *["x"] * 101)

    assert (answer.status, answer.error["field"]) == (422, "messages")
    assert (await append(ann, thread, *["x"] * 100)).status == 201


async def test_a_key_that_is_no_text_is_refused(running: Running, ann: Caller, thread: str) -> None:
    """Clients refuse to send it; a socket does not."""
    body = b'{"messages":[{"content":"a"}]}'
    host, _, port = running.nobody.url.removeprefix("http://").partition(":")
    head = [
        f"POST /v1/threads/{thread}/messages HTTP/1.1",
        f"Host: {host}",
        "Connection: close",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        *(f"{name}: {value}" for name, value in ann.headers.items()),
        "Idempotency-Key: \xff\xfe",
    ]
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write("\r\n".join([*head, "", ""]).encode("latin-1") + body)
    answer = await asyncio.wait_for(reader.read(), 5.0)
    writer.close()

    assert answer.startswith(b"HTTP/1.1 422 ")
    assert b'"field":"idempotency_key"' in answer
    assert (await ann.get(f"/v1/threads/{thread}")).json["last_seq"] == 1
