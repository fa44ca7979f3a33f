"""The console in a real browser: what a person does, and what he must never be shown."""

from __future__ import annotations

import json
from importlib.resources import files

import aiohttp
import pytest

from tests.support.browser import Page
from tests.support.tenants import DemoTenant, make_tenant
from tests.support.waiting import until
from threadkeep.client import Message, Threadkeep

SCRIPTS = sorted(
    each.name
    for each in files("threadkeep.web").joinpath("console").iterdir()
    if each.name.endswith(".js")
)
_SLOW = {
    "slow": {
        "steps": [
            {"say": {"text": "one two three four five six seven", "piece": 8, "every_ms": 1000}}
        ]
    }
}
"""Speaks long enough for somebody to act meanwhile."""
_NOTE_STREAMS = """
window.streamed = [];
new MutationObserver((changes) => {
  for (const { target, addedNodes } of changes) {
    if (target.closest(".streaming")) streamed.push(...[...addedNodes].map((e) => e.textContent));
  }
}).observe(document.querySelector("#timeline"), { childList: true, subtree: true });
"""
"""Keeps every text that is shown of a message while it streams, however briefly."""
_SEQS = "return [...document.querySelectorAll('#timeline [data-seq]')].map((e) => +e.dataset.seq)"


async def sign_in(page: Page, tenant: DemoTenant, user: str = "ann") -> None:
    await page.open(f"{tenant.url}/#token={tenant.token(user)}")
    await page.shows("#connection[data-state=open]", "connected")


async def open_thread(page: Page, thread: str) -> None:
    await page.click(f'[data-thread="{thread}"]')
    await page.shows("#verdict", "snapshot")


async def thread_of(client: Threadkeep, *texts: str) -> str:
    thread = await client.threads.create(title="About tides")
    await client.append(thread, *texts)
    return thread.id


async def test_the_policy_allows_nothing_inline_and_nothing_from_elsewhere(
    service_url: str,
) -> None:
    assert "threadkeep.js" in SCRIPTS
    async with aiohttp.ClientSession(service_url) as session:
        for path in ("/", *(f"/console/{name}" for name in SCRIPTS)):
            async with session.get(path) as answer:
                policy = dict(
                    part.strip().partition(" ")[::2]
                    for part in answer.headers["Content-Security-Policy"].split(";")
                )
                text = await answer.text()

            assert answer.status == 200
            assert policy["default-src"] == "'none'"
            assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
            assert policy["frame-ancestors"] == "'none'"
            assert "https://" not in text
        async with session.get("/console/../settings.py") as answer:
            assert answer.status == 404
        async with session.get("/console/absent.js") as answer:
            assert answer.status == 404


async def test_the_token_leaves_the_address_and_never_gets_into_another(
    page: Page, tenant: DemoTenant
) -> None:
    await sign_in(page, tenant)

    assert await page.address() == f"{tenant.url}/"
    assert await page.text("#who") == "ann"
    token = tenant.token("ann")
    script = "return performance.getEntriesByType('resource').map((entry) => entry.name)"
    visited = await page.run(script)
    assert any("/v1/threads" in url for url in visited)
    assert not [url for url in visited if token[:40] in url or "token" in url]

    await page.open(f"{tenant.url}/")
    await page.shows("#connection[data-state=open]", "connected")
    await page.click("#sign-out")
    await page.shows("#sign-in h2", "Sign in")
    assert await page.run("return sessionStorage.length") == 0


@pytest.mark.parametrize("token", ["nonsense", "expired"])
async def test_a_refused_token_leads_to_the_form(
    chromium: tuple[str, str], page: Page, tenant: DemoTenant, token: str
) -> None:
    given = tenant.token("ann", seconds=-60) if token == "expired" else token
    await page.open(f"{tenant.url}/")
    await page.write("#token", given)
    await page.click("#sign-in-form button")
    await page.shows("#sign-in-error", "credentials")

    assert await page.run("return document.getElementById('console').hidden") is True
    # The browser itself notes the 401; nothing else may be there.
    assert all("401" in line for line in await page.complaints())


async def test_an_agent_answers_and_every_event_is_seen(page: Page, tenant: DemoTenant) -> None:
    await sign_in(page, tenant)
    await page.click("#new-thread")
    await page.shows("#verdict", "snapshot")
    await page.write("#text", "What is 12 * (3 + 4)?")
    await page.click("#send")
    await page.shows(".message.assistant .bubble", "84")
    await page.shows("[data-type=agent_completed]", "completed")
    kinds = await page.run(
        "return [...document.querySelectorAll('#timeline li')].map((e) => e.dataset.type)"
    )

    assert kinds[:3] == ["thread_created", "message", "agent_started"]
    assert kinds.index("tool_executing") < kinds.index("tool_completed")
    assert await page.run(_SEQS) == list(range(1, len(kinds) + 1))
    assert (await page.text("#cursor")).endswith(f"-{len(kinds)}")


async def test_text_is_seen_while_it_streams(page: Page, tenant: DemoTenant) -> None:
    async with tenant.client() as client:
        thread = await thread_of(client, "Hello")
        await sign_in(page, tenant)
        await open_thread(page, thread)
        await page.run(_NOTE_STREAMS)
        await client.runs.start(thread, "scripted", message="Go on.")
        await page.shows(".message.assistant:not(.streaming) .bubble", "nine ten", 20)

    assert any(text.startswith("one two") for text in await page.run("return streamed"))
    assert await page.texts(".streaming") == []
    assert len(await page.texts(".message.assistant .bubble")) == 1


async def test_a_cut_socket_misses_nothing(page: Page, tenant: DemoTenant) -> None:
    async with tenant.client() as client:
        thread = await thread_of(client, "before")
        await sign_in(page, tenant)
        await open_thread(page, thread)
        await page.click("#cut")
        await page.shows("#connection", "cut")
        for n in range(3):
            await client.append(thread, f"missed {n}")

        assert not [text for text in await page.texts(".bubble") if "missed" in text]
        await page.click("#resume")
        await page.shows("#notice", "3 entries were missed")
        await page.shows(".missed .bubble", "missed 2")
        await client.append(thread, "after")
        await page.shows(".message .bubble", "after")

    assert await page.text("#verdict") == "resumed"
    assert await page.run(_SEQS) == [1, 2, 3, 4, 5, 6]
    assert await page.texts(".missed .bubble") == ["missed 0", "missed 1", "missed 2"]


async def test_a_message_is_text_and_never_markup(page: Page, tenant: DemoTenant) -> None:
    hostile = "<img src=x onerror=\"document.title='taken'\"><script>1</script>"
    async with tenant.client() as client:
        thread = await thread_of(client, hostile)
        await sign_in(page, tenant)
        await open_thread(page, thread)
        await page.shows(".bubble", hostile)

    assert await page.texts("#timeline img, #timeline script") == []
    assert await page.run("return document.title") == "Threadkeep"


async def test_the_list_is_live_and_counts_what_is_new(page: Page, tenant: DemoTenant) -> None:
    async with tenant.client() as client, tenant.client("bob") as other:
        await sign_in(page, tenant)
        foreign = await thread_of(other, "mine alone")
        thread = await thread_of(client, "one")
        await page.shows(f'[data-thread="{thread}"] .name', "About tides")
        await client.append(thread, "two")
        await page.shows(f'[data-thread="{thread}"] .unread', "2 new")
        await open_thread(page, thread)
        await page.run(
            "document.querySelector('#query').value = 'nothing like it';"
            "document.querySelector('#query').dispatchEvent(new Event('input'))"
        )
        await page.shows("#thread-list .none:not([hidden])", "No threads.")

    assert foreign not in json.dumps(await page.run("return document.body.innerHTML"))


async def test_older_entries_are_read_on_demand(page: Page, tenant: DemoTenant) -> None:
    async with tenant.client() as client:
        thread = await thread_of(client, *(f"message {n}" for n in range(80)))
        await sign_in(page, tenant)
        await open_thread(page, thread)
        await page.shows(".bubble", "message 79")
        shown = len(await page.run(_SEQS))

        assert shown == 50
        await page.click("#older")
        await until(lambda: _all_shown(page, 81), what="the whole log")
        entries = [entry async for entry in client.entries(thread)]

    assert await page.run(_SEQS) == [entry.seq for entry in entries]
    assert sum(isinstance(entry, Message) for entry in entries) == 80


async def _all_shown(page: Page, count: int) -> bool:
    return len(await page.run(_SEQS)) == count


async def test_an_idea_is_one_click_away(page: Page, tenant: DemoTenant) -> None:
    await sign_in(page, tenant)

    assert len(await page.texts("#ideas button")) == 3
    await page.click("#ideas button")
    await page.shows(".message.assistant .bubble", "84")
    await page.shows("#title", "What is 12 * (3 + 4)?")
    assert await page.run("return document.getElementById('welcome').hidden") is True


async def test_a_run_goes_on_while_the_socket_is_cut(
    page: Page, service_url: str, platform_key: str
) -> None:
    """All that the page is for: send, run, cut in the middle of it, resume."""
    tenant = await make_tenant(service_url, platform_key, agents=_SLOW)
    await sign_in(page, tenant)
    await page.click("#new-thread")
    await page.shows("#verdict", "snapshot")
    await page.run("document.querySelector('#agent').value = 'slow'")
    await page.write("#text", "Go on.")
    await page.click("#send")
    await page.shows(".streaming .bubble", "one")
    await page.click("#cut")
    await page.shows("#notice", "The socket is cut")
    seen = await page.run(_SEQS)
    async with tenant.client() as client:
        thread = await anext(client.threads.list())

        async def is_over() -> bool:
            return any(
                e.type == "agent_completed" for e in [e async for e in client.entries(thread)]
            )

        await until(is_over, 20, what="the end of the run")
        whole = [entry.seq async for entry in client.entries(thread)]
    assert await page.run(_SEQS) == seen
    await page.click("#resume")
    await page.shows("[data-type=agent_completed]", "completed")

    assert await page.text("#verdict") == "resumed"
    assert await page.run(_SEQS) == whole
    assert (await page.texts(".message.assistant .bubble")) == ["one two three four five six seven"]
