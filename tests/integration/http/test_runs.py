"""Runs over HTTP: users start them, workers of the tenant hold them."""

from __future__ import annotations

from typing import Any

import pytest

from threadkeep.domain.limits import TEXT_BYTES

from .callers import Answer, Caller, Tenant


@pytest.fixture
async def agent(tenant: Tenant) -> str:
    """The id of an agent that external workers play."""
    made = await tenant.key.post(
        f"/v1/tenants/{tenant.id}/agents",
        {"name": "planner", "kind": "worker", "settings": {"style": "brief"}},
    )
    assert made.status == 201, made.body
    agent: str = made.json["id"]
    return agent


@pytest.fixture
async def run(ann: Caller, thread: str, agent: str) -> dict[str, Any]:
    """A queued run with a message."""
    started = await ann.post(
        f"/v1/threads/{thread}/runs", {"agent": "planner", "message": {"content": "plan"}}
    )
    assert started.status == 201, started.body
    shown: dict[str, Any] = started.json
    return shown


async def claim(tenant: Tenant) -> dict[str, Any]:
    claimed = await tenant.key.post("/v1/worker/claim", {"worker": "w1", "wait_seconds": 5})
    assert claimed.status == 200, claimed.body
    shown: dict[str, Any] = claimed.json
    return shown


async def test_a_run_is_started_read_and_listed(
    ann: Caller, thread: str, run: dict[str, Any]
) -> None:
    shown = run["run"]

    assert (shown["status"], shown["agent"], shown["thread_id"]) == ("queued", "planner", thread)
    assert shown["message_id"] == run["message_id"]
    assert (await ann.get(f"/v1/runs/{shown['id']}")).json == shown
    assert (await ann.get(f"/v1/threads/{thread}/runs")).json["data"] == [shown]


async def test_a_repeated_start_is_one_run(ann: Caller, thread: str, agent: str) -> None:
    once = ann.with_headers(Idempotency_Key="k")
    body = {"agent": "planner", "message": {"content": "plan"}}
    first = await once.post(f"/v1/threads/{thread}/runs", body)
    again = await once.post(f"/v1/threads/{thread}/runs", body)
    other = await once.post(f"/v1/threads/{thread}/runs", body | {"input": {"a": 1}})

    assert (first.status, again.status) == (201, 201)
    assert again.body == first.body
    assert (other.status, other.error["code"]) == (422, "idempotency_mismatch")
    assert len((await ann.get(f"/v1/threads/{thread}/runs")).json["data"]) == 1


async def test_a_busy_thread_names_its_run(ann: Caller, thread: str, run: dict[str, Any]) -> None:
    answer = await ann.post(f"/v1/threads/{thread}/runs", {"agent": "planner"})

    assert (answer.status, answer.error["code"]) == (409, "conflict")
    assert answer.error["run_id"] == run["run"]["id"]


async def test_an_unknown_agent_is_refused(ann: Caller, thread: str) -> None:
    answer = await ann.post(f"/v1/threads/{thread}/runs", {"agent": "nobody"})

    assert (answer.status, answer.error["field"]) == (422, "agent")


async def test_a_worker_carries_a_run_to_its_end(
    ann: Caller, tenant: Tenant, thread: str, run: dict[str, Any]
) -> None:
    claimed = await claim(tenant)
    path, fence = f"/v1/worker/runs/{claimed['run']['id']}", claimed["fence"]
    beat = await tenant.key.post(f"{path}/heartbeat", {"fence": fence})
    written = await tenant.key.post(
        f"{path}/events",
        {
            "fence": fence,
            "events": [
                {"type": "agent_thinking", "payload": {"thought": "hm"}},
                {"type": "tool_executing", "payload": {"tool_name": "t", "call_id": "c1"}},
                {"type": "tool_completed", "payload": {"call_id": "c1", "results": [1]}},
            ],
        },
    )
    ended = await tenant.key.post(
        f"{path}/complete", {"fence": fence, "message": {"content": "done"}}
    )

    assert claimed["run"]["settings"] == {"style": "brief"}
    assert claimed["run"]["message"]["payload"]["content"] == "plan"
    assert (beat.status, beat.json["cancel_requested"]) == (200, False)
    assert written.status == 200, written.body
    assert (ended.status, ended.json["status"]) == (200, "completed")
    kinds = [e["type"] for e in (await ann.get(f"/v1/threads/{thread}/entries")).json["data"]]
    assert kinds[-6:] == [
        "agent_started",
        "agent_thinking",
        "tool_executing",
        "tool_completed",
        "message",
        "agent_completed",
    ]


async def test_a_stale_fence_changes_nothing(
    ann: Caller, tenant: Tenant, thread: str, run: dict[str, Any]
) -> None:
    claimed = await claim(tenant)
    path = f"/v1/worker/runs/{claimed['run']['id']}"
    before = (await ann.get(f"/v1/threads/{thread}/entries")).body
    stale = {"fence": claimed["fence"] - 1}
    event = {"type": "agent_thinking", "payload": {"thought": "hm"}}
    answers = [
        await tenant.key.post(f"{path}/heartbeat", stale),
        await tenant.key.post(f"{path}/events", stale | {"events": [event]}),
        await tenant.key.post(f"{path}/complete", stale),
        await tenant.key.post(f"{path}/fail", stale | {"error": "x"}),
    ]

    assert [(each.status, each.error["code"]) for each in answers] == [(409, "stale_fence")] * 4
    assert (await ann.get(f"/v1/threads/{thread}/entries")).body == before


async def test_events_out_of_order_are_refused(tenant: Tenant, run: dict[str, Any]) -> None:
    claimed = await claim(tenant)
    path = f"/v1/worker/runs/{claimed['run']['id']}/events"

    async def write(kind: str, payload: dict[str, Any]) -> tuple[int, str]:
        events = [{"type": kind, "payload": payload}]
        answer = await tenant.key.post(path, {"fence": claimed["fence"], "events": events})
        return answer.status, answer.error["code"]

    assert await write("tool_completed", {"call_id": "c", "results": 1}) == (409, "conflict")
    assert await write("agent_completed", {"status": "completed"}) == (409, "conflict")
    assert await write("nonsense", {}) == (422, "invalid_request")
    assert await write("agent_thinking", {"thought": 1}) == (422, "invalid_request")


async def test_text_over_a_bound_is_refused_and_the_run_goes_on(
    ann: Caller, tenant: Tenant, run: dict[str, Any]
) -> None:
    claimed = await claim(tenant)
    path, fence = f"/v1/worker/runs/{claimed['run']['id']}", claimed["fence"]

    async def stream(message: int, *texts: str) -> Answer:
        given = [{"message_id": f"msg_{message:032x}", "text": text} for text in texts]
        events = [{"type": "message_delta", "payload": payload} for payload in given]
        return await tenant.key.post(f"{path}/events", {"fence": fence, "events": events})

    kept = [await stream(n, "ü" * (TEXT_BYTES // 4), "ü" * (TEXT_BYTES // 4)) for n in range(8)]
    refused = [await stream(0, "a"), await stream(8, "a")]
    ended = await tenant.key.post(f"{path}/complete", {"fence": fence})

    assert [each.status for each in kept] == [200] * 8
    assert [(each.status, each.error["code"]) for each in refused] == [(413, "too_large")] * 2
    assert (ended.status, ended.json["status"]) == (200, "completed")
    assert (await ann.get(f"/v1/runs/{run['run']['id']}")).json["status"] == "completed"


async def test_a_failed_run_says_why(ann: Caller, tenant: Tenant, run: dict[str, Any]) -> None:
    claimed = await claim(tenant)
    path = f"/v1/worker/runs/{claimed['run']['id']}/fail"
    failed = await tenant.key.post(path, {"fence": claimed["fence"], "error": "out of ideas"})

    assert (failed.status, failed.json["status"]) == (200, "failed")
    shown = (await ann.get(f"/v1/runs/{run['run']['id']}")).json
    assert (shown["status"], shown["error"]) == ("failed", "out of ideas")


async def test_a_queued_run_is_cancelled_at_once(ann: Caller, run: dict[str, Any]) -> None:
    answer = await ann.post(f"/v1/runs/{run['run']['id']}/cancel")

    assert (answer.status, answer.json["status"]) == (202, "cancelled")


async def test_tool_outputs_let_a_run_go_on(
    ann: Caller, tenant: Tenant, run: dict[str, Any]
) -> None:
    path = f"/v1/runs/{run['run']['id']}/tool_outputs"
    early = await ann.post(path, {"outputs": [{"call_id": "c1", "results": 1}]})
    claimed = await claim(tenant)
    events = [
        {"type": "tool_executing", "payload": {"tool_name": "ask", "call_id": "c1"}},
        {"type": "requires_action", "payload": {}},
    ]
    written = await tenant.key.post(
        f"/v1/worker/runs/{claimed['run']['id']}/events",
        {"fence": claimed["fence"], "events": events},
    )
    given = await ann.post(path, {"outputs": [{"call_id": "c1", "results": {"yes": True}}]})

    assert (early.status, early.error["code"]) == (409, "conflict")
    assert written.status == 200, written.body
    assert (given.status, given.json["status"]) == (200, "queued")
    assert (await claim(tenant))["run"]["id"] == run["run"]["id"]


async def test_no_run_is_an_empty_answer(tenant: Tenant) -> None:
    answer = await tenant.key.post("/v1/worker/claim", {"worker": "w1", "wait_seconds": 0})

    assert (answer.status, answer.body) == (204, b"")


async def test_users_see_agents_without_settings(ann: Caller, agent: str) -> None:
    listed = (await ann.get("/v1/agents")).json["data"]
    one = (await ann.get(f"/v1/agents/{agent}")).json

    assert listed == [one]
    assert (one["name"], one["kind"]) == ("planner", "worker")
    assert "settings" not in one
