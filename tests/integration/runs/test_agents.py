"""Agents of the process: real tools over real conversations, and what becomes of their runs."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import pytest

from tests.support.postgres import Database, one_value
from tests.support.waiting import until
from threadkeep.agents.handle import FLUSH_SECONDS
from threadkeep.agents.librarian import NO_QUESTION, NOTHING
from threadkeep.domain.run_payloads import ToolOutput
from threadkeep.domain.runs import LeaseTimes
from threadkeep.errors import Unavailable
from threadkeep.services.search import Search

from .desks import QUICK
from .libraries import Library, library_on

DIALOGUE = (
    "What is the biggest planet?",
    "Jupiter, by far.",
    "Who wrote the Odyssey?",
    "Homer, or several people of that name.",
)


def kinds(log: Sequence[tuple[str, Any]]) -> list[str]:
    return [kind for kind, _ in log]


async def test_a_question_asked_before_gets_the_reply_it_had_then(database: Database) -> None:
    async with library_on(database) as library:
        source = await library.remember(*DIALOGUE)

        log = await library.ask("Who wrote the Odyssey?")

        assert kinds(log) == [
            "agent_started",
            "agent_thinking",
            "tool_executing",
            "tool_completed",
            "agent_thinking",
            "message",
            "agent_completed",
        ]
        said = log[-2][1]
        assert said["content"] == "“Homer, or several people of that name.”"
        cited = said["metadata"]["citations"]
        assert [(each["thread_id"], each["seq"]) for each in cited] == [
            (f"thr_{source}", 3),
            (f"thr_{source}", 4),
        ]
        assert log[3][1]["results"]["messages"][0]["message_id"] == cited[0]["message_id"]
        assert log[-1][1]["response"] == said["content"]
        assert log[-1][1]["usage"] == {"messages_cited": 2}


async def test_a_similar_question_is_answered_and_called_similar(database: Database) -> None:
    async with library_on(database) as library:
        await library.remember(*DIALOGUE)

        log = await library.ask("Which is the biggest planet?")

        said = log[-2][1]["content"]
        assert "closest" in said
        assert "Jupiter" in said


async def test_it_says_when_it_knows_nothing(database: Database) -> None:
    async with library_on(database) as library:
        await library.remember(*DIALOGUE)

        log = await library.ask("How do I repair my bicycle?")

        assert log[-2][1]["content"] == NOTHING
        assert log[-2][1]["metadata"] == {"citations": []}


async def test_it_never_reads_what_another_user_wrote(database: Database) -> None:
    async with library_on(database) as library:
        await library.remember(*DIALOGUE, owner="bob")

        log = await library.ask("Who wrote the Odyssey?")

        assert log[3][1]["results"] == {"messages": []}
        assert log[-2][1]["content"] == NOTHING


async def test_it_does_not_quote_itself(database: Database) -> None:
    async with library_on(database) as library:
        await library.remember(*DIALOGUE)
        thread = await library.office.thread()
        first = await library.office.start(thread, "Who wrote the Odyssey?", agent="librarian")
        await library.ended(thread, first.run.id)
        await library.index(thread)

        log = await library.ask("Who wrote the Odyssey?")

        assert log[-2][1]["content"] == "“Homer, or several people of that name.”"


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("What is 2 * (3 + 4)?", "2 * (3 + 4) = 14"),
        ("what is 5 plus 5", "5 + 5 = 10"),
        ("1/0", "This cannot be calculated: it divides by zero."),
        ("9**9**9", "This cannot be calculated: a number in it is too large."),
    ],
)
async def test_arithmetic_goes_to_the_calculator(
    database: Database, question: str, answer: str
) -> None:
    async with library_on(database) as library:
        log = await library.ask(question)

        assert kinds(log)[2:4] == ["tool_executing", "tool_completed"]
        assert log[2][1]["tool_name"] == "calculator"
        assert log[-2][1]["content"] == answer


async def test_without_a_message_it_answers_the_last_one_of_the_user(database: Database) -> None:
    async with library_on(database) as library:
        thread = await library.remember("What is 1 + 1?", "Hm.")
        run = (await library.office.start(thread, agent="librarian")).run.id
        log = await library.ended(thread, run)
        empty = await library.office.thread()
        other = (await library.office.start(empty, agent="librarian")).run.id

        assert log[-2][1]["content"] == "1 + 1 = 2"
        assert (await library.ended(empty, other))[-2][1]["content"] == NO_QUESTION


SCRIPT = [
    {"think": "first"},
    {"tool": {"name": "lookup", "input": {"q": 1}, "results": {"n": 2}}},
    {"tool": {"name": "broken", "error": "no such thing"}},
    {"say": "said in between"},
    {"wait_ms": 1},
    {"say": {"text": "the last word", "piece": 4}},
]


async def test_a_script_plays_its_steps(database: Database) -> None:
    async with library_on(database) as library:
        await library.office.agent("script", "scripted", steps=SCRIPT)

        log = await library.ask("go", agent="script")

        assert kinds(log)[1:] == [
            "agent_thinking",
            "tool_executing",
            "tool_completed",
            "tool_executing",
            "tool_completed",
            "message",
            "message",
            "agent_completed",
        ]
        assert log[3][1]["results"] == {"n": 2}
        assert log[5][1]["error"] == "no such thing"
        assert log[-1][1]["response"] == "the last word"


async def test_a_script_can_fail_and_a_wrong_one_does(database: Database) -> None:
    async with library_on(database) as library:
        await library.office.agent("fails", "scripted", steps=[{"fail": "as declared"}])
        await library.office.agent("wrong", "scripted", steps=[{"think": "a", "say": "b"}])

        failed = await library.ask("go", agent="fails")
        wrong = await library.ask("go", agent="wrong")

        assert (failed[-1][1]["status"], failed[-1][1]["error"]) == ("failed", "as declared")
        assert wrong[-1][1]["error"].startswith("The script is wrong")


async def test_a_script_goes_on_with_the_outputs_of_the_user(database: Database) -> None:
    async with library_on(database) as library:
        steps = [
            {"require_action": {"calls": [{"tool_name": "approve", "tool_input": {"sum": 9}}]}},
            {"say": "thank you"},
        ]
        await library.office.agent("asks", "scripted", steps=steps)
        thread = await library.office.thread()
        run = (await library.office.start(thread, agent="asks")).run.id
        waiting = await until(lambda: _open_calls(library, run), 10)

        await library.office.runs.tool_outputs(
            library.office.principal, run, [ToolOutput(waiting[0], results="yes")]
        )

        assert kinds(await library.ended(thread, run)) == [
            "agent_started",
            "tool_executing",
            "requires_action",
            "tool_completed",
            "agent_resumed",
            "message",
            "agent_completed",
        ]


async def _open_calls(library: Library, run: str) -> list[str]:
    found = await library.office.run(run)
    return sorted(found.open_calls) if found.status == "requires_action" else []


async def test_a_script_goes_on_where_the_dead_runner_stopped(database: Database) -> None:
    async with library_on(database, processes=2, first=1) as library:
        steps = [{"think": "a"}, {"say": "once"}, {"wait_ms": 60_000}, {"say": "at last"}]
        await library.office.agent("slow", "scripted", steps=steps)
        thread = await library.office.thread()
        run = (await library.office.start(thread, agent="slow")).run.id
        await until(lambda: _has(library, thread, "message"), 5)

        # From here on the first runner can write nothing, as if it had been killed.
        await library.office.desks[1].database.aclose()
        await library.shorten(run)
        await library.office.expire(run)
        library.office.runs.reaper.start()
        library.runners[0].start()

        try:
            log = await library.ended(thread, run)
        finally:
            await library.office.runs.reaper.aclose()
        assert kinds(log) == [
            "agent_started",
            "agent_thinking",
            "message",
            "agent_resumed",
            "message",
            "agent_completed",
        ]
        assert log[3][1]["previous_worker"] == "runner-1"


async def _has(library: Library, thread: str, kind: str) -> bool:
    return kind in await library.office.kinds(thread)


async def test_what_an_agent_cannot_reach_is_tried_a_few_times_only(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each try counts, as each of a worker that is lost does."""

    async def away(*_: object, **__: object) -> None:
        raise Unavailable

    monkeypatch.setattr(Search, "messages", away)
    async with library_on(database, times=QUICK) as library:
        library.office.runs.reaper.start()
        thread = await library.office.thread()
        asked = "Who wrote the Odyssey?"
        run = (await library.office.start(thread, asked, agent="librarian")).run.id
        try:
            log = await library.ended(thread, run)
        finally:
            await library.office.runs.reaper.aclose()

    assert log[-1][1]["status"] == "failed"
    assert kinds(log).count("agent_resumed") == QUICK.attempts - 1


async def test_a_leaving_process_hands_its_runs_over(database: Database) -> None:
    async with library_on(database, processes=2) as library:
        steps = [{"think": "a"}, {"wait_ms": 60_000}, {"say": "done"}]
        await library.office.agent("slow", "scripted", steps=steps)
        thread = await library.office.thread()
        run = (await library.office.start(thread, agent="slow")).run.id
        await until(lambda: _has(library, thread, "agent_thinking"), 5)
        await library.shorten(run)
        library.runners[1].start()

        await library.runners[0].aclose(0)

        log = await library.ended(thread, run)
        assert log[2] == (
            "agent_resumed",
            {"attempt": 1, "previous_worker": "runner-0", "reason": "handed_over"},
        )
        assert log[-1][1]["status"] == "completed"


async def test_a_cancelled_script_stops(database: Database) -> None:
    times = LeaseTimes(heartbeat=QUICK.heartbeat)
    async with library_on(database, times=times) as library:
        await library.office.agent("slow", "scripted", steps=[{"wait_ms": 60_000}])
        thread = await library.office.thread()
        run = (await library.office.start(thread, agent="slow")).run.id
        await until(lambda: _is_running(library, run), 5)

        await library.office.runs.cancel(library.office.principal, run)

        log = await library.ended(thread, run)
        assert log[-1][1]["status"] == "cancelled"


async def _is_running(library: Library, run: str) -> bool:
    return (await library.office.run(run)).status == "running"


async def test_slow_text_is_kept_while_it_streams(database: Database) -> None:
    async with library_on(database) as library:
        steps = [{"say": {"text": "abcdefghij", "piece": 1, "every_ms": 100}}]
        await library.office.agent("slow", "scripted", steps=steps)
        thread = await library.office.thread()
        begun = time.monotonic()
        run = (await library.office.start(thread, agent="slow")).run.id
        query = "SELECT count(*) FROM partials WHERE run_id = $1"

        kept = await until(lambda: one_value(library.office.given.superuser_url, query, run), 5)

        log = await library.ended(thread, run)
        took = time.monotonic() - begun
        published = library.office.desks[0].pieces
        assert kept
        assert 3 <= len(published) <= 2 + took / FLUSH_SECONDS  # of ten: a second of text or more
        assert "abcdefghij".startswith("".join(text for _, _, text in published))
        assert log[-2][1]["content"] == "abcdefghij"
        assert not await one_value(library.office.given.superuser_url, query, run)
