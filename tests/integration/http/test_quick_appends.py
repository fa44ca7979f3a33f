"""Plain appends are answered like all others, whatever else happens on their connection.

What comes in one piece goes the quick way; with its head in two it goes through aiohttp and the
route.
"""

from __future__ import annotations

import re
from typing import Any

import pytest
from structlog.testing import capture_logs

from tests.support.waiting import until

from .callers import Answer, Caller, Running, Tenant
from .wires import Wire, append, contents, request, taken, wire_to

pytestmark = pytest.mark.usefixtures("lasting_credentials")

_VARYING = re.compile(rb'[0-9a-f]{32}|\d{4}-\d\d-\d\dT[0-9:.]+Z|(?<=seq":)\d+|(?<=-)\d+(?=")')
"""Ids, times, and places in the log."""


def shape(answer: Answer) -> tuple[int, dict[str, str], bytes]:
    """An answer without what differs between any two."""
    headers = {
        name.lower(): value
        for name, value in answer.headers.items()
        if name.lower() not in {"date", "x-request-id", "content-length"}
    }
    return answer.status, headers, _VARYING.sub(b"*", answer.body)


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
