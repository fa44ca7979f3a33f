"""Probes, metrics, status and the description of the API."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import replace

import pytest

from tests.support.postgres import Database
from tests.support.proxy import proxied
from tests.support.waiting import until
from threadkeep import __version__
from threadkeep.services import probes
from threadkeep.storage.appender import Appender
from threadkeep.web.keys import SERVICES
from threadkeep.web.routes import TABLE

from .callers import Answer, Caller, Running, running_on


@pytest.fixture
def patient_probes(monkeypatch: pytest.MonkeyPatch) -> None:
    """The database may take its time, and one answer holds for the whole test."""
    monkeypatch.setattr(probes, "READY_SECONDS", 30.0)
    monkeypatch.setattr(probes, "CACHED_SECONDS", 30.0)


async def test_probes_answer(patient_probes: None, running: Running) -> None:
    assert (await running.nobody.get("/livez")).json == {"status": "alive"}
    assert (await running.nobody.get("/readyz")).json == {"status": "ready"}


async def test_many_probes_ask_the_database_once(
    patient_probes: None, running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = 0
    asking = running.app[SERVICES].probes
    ask = asking._ask

    async def count() -> object:
        nonlocal asked
        asked += 1
        return await ask()

    monkeypatch.setattr(asking, "_ask", count)
    answers = await asyncio.gather(*(running.nobody.get("/readyz") for _ in range(50)))

    assert {each.status for each in answers} == {200}
    assert asked == 1


async def test_readiness_follows_the_database(database: Database) -> None:
    """Alive without a database, not ready, and ready again when it is back."""
    async with (
        proxied(database.app_url) as proxy,
        running_on(replace(database, app_url=proxy.url)) as running,
    ):
        proxy.is_silent = True
        down = await until(lambda: _failed(running.nobody), 5.0)
        assert down is not None
        alive = await running.nobody.get("/livez")
        serving = await running.nobody.get("/readyz?exclude=database")
        status = await running.platform.get("/v1/status")
        measured = await scraped(running)
        proxy.is_silent = False

        assert down.status == 503
        assert down.error["code"] == "unavailable"
        assert int(down.headers["Retry-After"]) >= 1
        assert (alive.status, serving.status) == (200, 200)
        assert status.json["degraded"] == ["database"]
        assert measured["threadkeep_database_up"] == 0
        await until(lambda: _is_ready(running.nobody), 5.0)
        assert (await scraped(running))["threadkeep_database_up"] == 1


async def test_a_busy_pool_leaves_a_process_ready(patient_probes: None, running: Running) -> None:
    """Else all processes would leave their requests to each other, and to nobody in the end."""
    asking = running.app[SERVICES].probes
    database = asking._database
    async with AsyncExitStack() as stack:
        for _ in range(database.pool_size):
            await stack.enter_async_context(database.transaction(None))
        asking._asked_at = float("-inf")  # no answer from before holds
        answer = await running.nobody.get("/readyz")

        assert database.usage() == (database.pool_size, database.pool_size)
    assert answer.status == 200


async def _failed(nobody: Caller) -> Answer | None:
    answer = await nobody.get("/readyz")
    return answer if answer.status != 200 else None


async def _is_ready(nobody: Caller) -> bool:
    return (await nobody.get("/readyz")).status == 200


async def test_status_is_for_callers(running: Running, ann: Caller) -> None:
    for caller in (running.platform, ann):
        shown = (await caller.get("/v1/status")).json
        assert (shown["version"], shown["maintenance"]) == (__version__, False)
        assert shown["degraded"] == []
        assert len(shown["epoch"]) == 16
    assert (await running.nobody.get("/v1/status")).status == 401


async def test_metrics_count_what_happened(running: Running, ann: Caller, thread: str) -> None:
    before = await scraped(running)
    body = {"messages": [{"content": "a"}, {"content": "b"}]}
    await ann.post(f"/v1/threads/{thread}/messages", body)
    await ann.get("/v1/threads/thr_nothing")
    after = await scraped(running)

    def grown(name: str) -> float:
        return after[name] - before.get(name, 0.0)

    route = 'method="POST",route="/v1/threads/{thread_id}/messages",status="201"'
    assert grown("threadkeep_appended_messages_total") == 2
    assert grown("threadkeep_append_batch_requests_count") == 1
    assert grown(f"threadkeep_http_request_seconds_count{{{route}}}") == 1
    assert grown('threadkeep_errors_total{code="not_found"}') == 1
    assert after["threadkeep_database_connections_limit"] > 0
    assert f'threadkeep_build_info{{version="{__version__}"}}' in after
    for name in ("appends_waiting", "database_connections_busy", "wakeups_connected"):
        assert f"threadkeep_{name}" in after
    assert "threadkeep_projector_lag_seconds" in after
    assert thread.removeprefix("thr_") not in str(after)


async def scraped(running: Running) -> dict[str, float]:
    """Samples by name and labels."""
    text = (await running.nobody.get("/metrics")).body.decode()
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


async def test_the_description_is_served(running: Running) -> None:
    answer = await running.nobody.get("/openapi.json")

    assert answer.json["openapi"] == "3.1.0"
    assert sum(len(methods) for methods in answer.json["paths"].values()) == len(TABLE)


async def test_the_page_needs_nothing_from_elsewhere(running: Running) -> None:
    page = await running.nobody.get("/docs")
    policy = page.headers["Content-Security-Policy"]

    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    for path in ("/docs", "/docs/docs.js", "/docs/docs.css"):
        answer = await running.nobody.get(path)
        assert answer.status == 200
        assert b"http://" not in answer.body
        assert b"https://" not in answer.body


async def test_a_browser_shows_the_page(running: Running, chromium: tuple[str, str]) -> None:
    program, _ = chromium
    process = await asyncio.create_subprocess_exec(
        program,
        *("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"),
        *("--virtual-time-budget=10000", "--dump-dom", f"{running.nobody.url}/docs"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    shown, _ = await asyncio.wait_for(process.communicate(), 50.0)
    page = shown.decode()

    assert page.count('<details class="route"') == len(TABLE)
    assert "/v1/threads/{thread_id}/messages" in page
    assert f"Version {__version__}" in page


async def test_search_asks_whether_appends_wait(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The running service connects the two; how search gives way is tested with the projector."""
    asked = 0

    def waiting(_appender: Appender) -> int:
        nonlocal asked
        asked += 1
        return 0

    monkeypatch.setattr(Appender, "waiting", waiting)
    async with running_on(database) as running:
        ann = (await running.tenant()).user("ann")
        thread = (await ann.post("/v1/threads", {})).json["id"]
        said = await ann.post(f"/v1/threads/{thread}/messages", {"messages": [{"content": "a"}]})

        assert said.status == 201
        await until(lambda: asked, 5.0, what="a question")
