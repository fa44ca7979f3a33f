"""A thread is its owner's: nobody else finds it, by whatever way."""

from __future__ import annotations

import random
import re

import pytest

from ...support.waiting import until
from ..callers import Caller, Tenant, gathered
from ..figures import Figures
from ..levels import Levels

pytestmark = pytest.mark.scenario("lifecycle", "creation with user isolation")

TITLES = {
    "ann@example.com": "Cost Optimization Chat",
    "bob@example.com": "Performance Analysis Chat",
}
GETS = ("", "/messages", "/entries", "/runs", "/messages?backward=true&limit=1")


async def test_two_users_have_a_thread_each_and_see_no_other(tenant: Tenant) -> None:
    made = {
        name: await tenant.user(name).create(title=title, metadata={"user_context": name})
        for name, title in TITLES.items()
    }
    for number, (name, title) in enumerate(TITLES.items()):
        user = tenant.user(name, at=number)
        (listed,) = await user.pages("/v1/threads")

        assert listed["id"] == made[name]["id"]
        assert (listed["title"], listed["owner"]) == (title, name)
        assert listed["metadata"] == {"user_context": name}
        assert listed["state"] == "active"
        for other in made.values():
            if other["owner"] != name:
                await user.ask("GET", f"/v1/threads/{other['id']}", 404)
    assert len({thread["id"] for thread in made.values()}) == 2


async def test_search_finds_ones_own_words_only(tenant: Tenant) -> None:
    ann, bob = tenant.user("ann"), tenant.user("bob", at=1)
    thread = (await ann.create())["id"]
    await ann.say(thread, "the marzipan pipeline is late")

    async def hits(user: Caller) -> list[str]:
        page = await user.ask("GET", "/v1/search", 200, params={"q": "marzipan"})
        return [hit["thread_id"] for hit in page["data"]]

    assert await until(lambda: hits(ann), 60, what="Ann's own search") == [thread]
    assert await hits(bob) == []
    page = await bob.ask("GET", "/v1/threads", 200, params={"q": "marzipan"})
    assert page["data"] == []


async def test_a_socket_gives_nothing_of_a_foreign_thread(tenant: Tenant) -> None:
    ann = tenant.user("ann")
    thread = (await ann.create())["id"]
    async with tenant.user("bob", at=1).socket() as bobs, ann.socket() as anns:
        assert (await anns.command("subscribe", thread_id=thread))["type"] != "error"
        refused = await bobs.command("subscribe", thread_id=thread)
        await ann.say(thread, "for Ann alone")
        seen = await anns.until(lambda frame: frame["type"] == "message")

        assert (refused["type"], refused["error"]["code"]) == ("error", "not_found")
        assert seen[-1]["payload"]["content"] == "for Ann alone"
        assert (await bobs.command("ping"))["type"] != "error"
        assert bobs.frames == []


async def test_random_probes_leak_nothing(tenant: Tenant, levels: Levels, figures: Figures) -> None:
    """Foreign, random and malformed ids are one and the same to somebody who guesses."""
    ann = tenant.user("ann")
    threads = [(await ann.create(title="canary-ann"))["id"] for _ in range(20)]
    for thread in threads:
        await ann.say(thread, "canary-ann says something")
    chance = random.Random(20)
    users = [tenant.user(f"prober-{n}", at=n) for n in range(10)]

    async def probe(number: int) -> tuple[str, str]:
        user = users[number % len(users)]
        kind = chance.choice(("foreign", "random", "list"))
        if kind == "list":
            path = chance.choice(("/v1/threads", "/v1/search?q=canary", "/v1/threads?q=canary"))
            return kind, (await user.send("GET", path)).text
        name = chance.choice(threads) if kind == "foreign" else f"thr_{chance.randbytes(16).hex()}"
        answer = await user.send("GET", f"/v1/threads/{name}{chance.choice(GETS)}")
        return kind, f"{answer.status_code} {re.sub(r'[0-9a-f]{32}', '', answer.text)}"

    seen = await gathered(20, [probe(number) for number in range(levels.probes)])
    leaks = [text for _, text in seen if "canary" in text]
    answers = {
        kind: {text for each, text in seen if each == kind} for kind in ("foreign", "random")
    }

    assert leaks == []
    assert answers["foreign"] == answers["random"]
    assert len(answers["foreign"]) == 1
    figures.record("probes", len(seen), n=len(seen))
    figures.record("leaks", len(leaks), n=len(seen))
