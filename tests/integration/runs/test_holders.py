"""What holders write: order, messages, streaming text, tool calls that callers answer."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.postgres import Database, one_value
from threadkeep.domain import ids
from threadkeep.domain.run_payloads import RunEvent, RunMessage, ToolOutput
from threadkeep.domain.runs import Claimed, claimed_object
from threadkeep.errors import Conflict, IdempotencyMismatch, InvalidRequest, ThreadkeepError

from .desks import Office, office_on


def thought(text: str = "hm") -> RunEvent:
    return RunEvent("agent_thinking", {"thought": text, "progress_percentage": 30})


def call(call_id: str) -> RunEvent:
    return RunEvent("tool_executing", {"tool_name": "t", "call_id": call_id})


def answer(call_id: str, **outcome: Any) -> RunEvent:
    return RunEvent("tool_completed", {"call_id": call_id, **(outcome or {"results": 1})})


def delta(message: str, text: str, **more: Any) -> RunEvent:
    return RunEvent("message_delta", {"message_id": f"msg_{message}", "text": text, **more})


def message(message_id: str, text: str) -> RunEvent:
    return RunEvent("message", {"message_id": f"msg_{message_id}", "content": text})


async def held(office: Office) -> Claimed:
    """A claimed run on a thread of its own."""
    await office.start(await office.thread(), "question")
    return await office.claim()


async def write(office: Office, claimed: Claimed, *events: RunEvent) -> None:
    await office.runs.append_events(office.tenant, claimed.run.id, claimed.fence, events)


async def pieces(office: Office, claimed: Claimed) -> int:
    query = "SELECT count(*) FROM partials WHERE run_id = $1"
    count: int = await one_value(office.given.superuser_url, query, claimed.run.id)
    return count


async def test_a_whole_run_stands_in_the_log_as_it_was_sent(database: Database) -> None:
    async with office_on(database) as office:
        claimed = await held(office)
        said = ids.new_id()

        await write(office, claimed, thought("a"), call("c"), answer("c", results={"x": [1]}))
        await write(office, claimed, call("d"), answer("d", error="no"), message(said, "done"))
        await office.runs.complete(office.tenant, claimed.run.id, claimed.fence, response="done")

        log = await office.log(claimed.run.thread, claimed.run.id)
        assert [kind for kind, _ in log] == [
            "agent_started",
            "agent_thinking",
            "tool_executing",
            "tool_completed",
            "tool_executing",
            "tool_completed",
            "message",
            "agent_completed",
        ]
        assert log[1][1] == {"thought": "a", "progress_percentage": 30}
        assert log[2][1] == {"tool_name": "t", "tool_input": {}, "call_id": "c"}
        assert log[3][1].pop("duration_ms") >= 0
        assert log[3][1] == {"call_id": "c", "tool_name": "t", "results": {"x": [1]}}
        assert log[5][1]["error"] == "no"
        assert log[6][1] == {"role": "assistant", "content": "done", "metadata": {}}
        await office.check(claimed.run.thread)


@pytest.mark.parametrize(
    ("events", "error"),
    [
        ([answer("c")], Conflict),
        ([call("c"), call("c")], Conflict),
        ([RunEvent("agent_started")], Conflict),
        ([RunEvent("agent_completed", {"status": "completed"})], Conflict),
        ([RunEvent("requires_action")], Conflict),
        ([call("c"), RunEvent("requires_action"), thought()], Conflict),
        ([RunEvent("nonsense")], InvalidRequest),
        ([RunEvent("agent_thinking", {"thought": "a", "more": 1})], InvalidRequest),
        ([RunEvent("agent_thinking", {"thought": "a\0b"})], InvalidRequest),
        ([call("c"), RunEvent("tool_completed", {"call_id": "c"})], InvalidRequest),
        ([call("c"), answer("c", results=1, error="e")], InvalidRequest),
        ([RunEvent("message", {"content": "a", "role": "user"})], InvalidRequest),
        ([RunEvent("message", {"content": "a", "message_id": "msg_1"})], InvalidRequest),
        ([delta("0" * 32, "a\0")], InvalidRequest),
        ([delta("0" * 32, "a", offset=1)], Conflict),
        ([], InvalidRequest),
    ],
)
async def test_what_is_out_of_order_or_malformed_changes_nothing(
    database: Database, events: list[RunEvent], error: type[ThreadkeepError]
) -> None:
    async with office_on(database) as office:
        claimed = await held(office)
        before = await office.log(claimed.run.thread)

        with pytest.raises(error):
            await write(office, claimed, thought(), *events) if events else await write(
                office, claimed
            )

        assert await office.log(claimed.run.thread) == before
        assert await pieces(office, claimed) == 0


async def test_a_run_cannot_be_completed_while_calls_are_open(database: Database) -> None:
    async with office_on(database) as office:
        claimed = await held(office)
        await write(office, claimed, call("c"))

        with pytest.raises(Conflict):
            await office.runs.complete(office.tenant, claimed.run.id, claimed.fence)
        await office.runs.fail(office.tenant, claimed.run.id, claimed.fence, error="gave up")

        log = await office.log(claimed.run.thread, claimed.run.id)
        assert log[-2][1]["error"] == "interrupted"
        await office.check(claimed.run.thread)


async def test_text_streams_in_pieces_until_its_message_is_there(database: Database) -> None:
    async with office_on(database) as office:
        claimed = await held(office)
        said = ids.new_id()

        await write(office, claimed, delta(said, "Grüße "), delta(said, "an 🐘"))
        await write(office, claimed, delta(said, " alle"))
        streamed = await pieces(office, claimed)
        await write(office, claimed, message(said, "Grüße an 🐘 alle"))

        assert streamed == 3
        assert office.desks[0].pieces == [
            (said, 0, "Grüße "),
            (said, 6, "an 🐘"),
            (said, 10, " alle"),
        ]
        assert await pieces(office, claimed) == 0
        with pytest.raises(Conflict):
            await write(office, claimed, delta(said, "more"))


async def test_a_repeated_piece_or_message_is_not_added_twice(database: Database) -> None:
    async with office_on(database) as office:
        claimed = await held(office)
        said = ids.new_id()

        for _ in range(3):
            await write(office, claimed, delta(said, "abc", offset=0), delta(said, "def", offset=3))
        await write(office, claimed, delta(said, "cdefgh", offset=2))
        streamed = list(office.desks[0].pieces)
        for _ in range(3):
            await write(office, claimed, message(said, "abcdefgh"))

        assert streamed == [(said, 0, "abc"), (said, 3, "def"), (said, 6, "gh")]
        kinds = await office.kinds(claimed.run.thread, claimed.run.id)
        assert kinds == ["agent_started", "message"]
        with pytest.raises(IdempotencyMismatch):
            await write(office, claimed, message(said, "another text"))


async def test_unfinished_text_survives_death_and_is_void_with_takeover(database: Database) -> None:
    async with office_on(database) as office:
        claimed = await held(office)
        said = ids.new_id()
        await write(office, claimed, delta(said, "half a sent"))
        await office.expire(claimed.run.id)
        await office.runs.reap()
        after_death = await pieces(office, claimed)

        second = await office.claim()
        after_takeover = await pieces(office, claimed)
        await write(office, second, delta(said, "half"), message(said, "half a sentence"))

        assert (after_death, after_takeover) == (1, 0)
        assert (await office.kinds(claimed.run.thread)).count("message") == 2


async def test_the_end_of_a_run_leaves_no_text_behind(database: Database) -> None:
    async with office_on(database) as office:
        claimed = await held(office)
        await write(office, claimed, delta(ids.new_id(), "unfinished"))

        await office.runs.fail(office.tenant, claimed.run.id, claimed.fence, error="e")

        assert await pieces(office, claimed) == 0


async def test_the_last_message_comes_with_the_end(database: Database) -> None:
    async with office_on(database) as office:
        claimed = await held(office)
        said = RunMessage(content="bye", message_id=f"msg_{ids.new_id()}")

        await office.runs.complete(office.tenant, claimed.run.id, claimed.fence, message=said)

        kinds = await office.kinds(claimed.run.thread, claimed.run.id)
        assert kinds == ["agent_started", "message", "agent_completed"]


async def test_a_run_goes_on_when_its_calls_are_answered(database: Database) -> None:
    async with office_on(database, processes=2) as office:
        claimed = await held(office)
        run = claimed.run.id
        await write(office, claimed, call("a"), call("b"), RunEvent("requires_action"))
        assert (await office.run(run)).status == "requires_action"
        assert await office.runs.claim(office.tenant, "w", None, 0) is None
        assert await office.runs.reap() == 0

        outputs = office.desks[1].runs.tool_outputs
        half = await outputs(office.principal, run, [ToolOutput("a", results={"n": 1})])
        with pytest.raises(Conflict):
            await outputs(office.principal, run, [ToolOutput("a", results=2)])
        with pytest.raises(InvalidRequest):
            await outputs(office.principal, run, [ToolOutput("b")])
        whole = await outputs(office.principal, run, [ToolOutput("b", error="denied")])
        second = await office.claim(worker="again")

        assert (half.status, whole.status) == ("requires_action", "queued")
        assert second.run.attempt == 1
        log = await office.log(claimed.run.thread, run)
        assert [kind for kind, _ in log[3:]] == [
            "requires_action",
            "tool_completed",
            "tool_completed",
            "agent_resumed",
        ]
        assert log[3][1] == {"call_ids": ["a", "b"]}
        assert log[-1][1]["reason"] == "tool_outputs"
        with pytest.raises(Conflict):
            await outputs(office.principal, run, [ToolOutput("b", results=1)])


async def test_a_run_that_waits_for_answers_can_be_cancelled(database: Database) -> None:
    async with office_on(database) as office:
        claimed = await held(office)
        await write(office, claimed, call("a"), RunEvent("requires_action"))

        cancelled = await office.runs.cancel(office.principal, claimed.run.id)

        assert cancelled.status == "cancelled"
        await office.check(claimed.run.thread)


async def test_a_worker_gets_all_that_it_needs_to_begin(database: Database) -> None:
    async with office_on(database) as office:
        await office.agent("tuned", tone="dry")
        thread = await office.thread()
        await office.start(thread, "question", agent="tuned", input={"n": 1})

        given = claimed_object(await office.claim())

        assert given["settings"] == {"tone": "dry"}
        assert given["input"] == {"n": 1}
        assert given["message"]["payload"]["content"] == "question"
        assert [event["type"] for event in given["events"]] == ["agent_started"]
        assert given["thread_id"] == f"thr_{thread}"
