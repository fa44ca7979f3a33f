"""Tenants do not see each other, although their users, words and external ids are the same."""

from __future__ import annotations

import asyncio
from functools import partial

import pytest

from ...support.waiting import until
from ..callers import Caller, Json, Tenant
from ..conftest import NewTenant
from ..figures import Figures

pytestmark = pytest.mark.scenario("isolation", "multi-tenant")

TENANTS = ("bank", "healthcare", "startup")
SUBJECTS = (
    "executive_communications",
    "regulatory_compliance_data",
    "financial_projections",
    "customer_data_analysis",
)
OFFICER = "officer@example.com"
ATTEMPTS = len(TENANTS) * (len(TENANTS) - 1) * len(SUBJECTS)


class World:
    """Three tenants; each has a user of the same name with four threads of three messages."""

    def __init__(self, tenants: dict[str, Tenant], threads: dict[str, list[str]]) -> None:
        self.tenants = tenants
        self.threads = threads

    def attempts(self) -> list[tuple[Tenant, str, int]]:
        """(who tries, whose thread, which process), for every foreign thread."""
        foreign = [
            (mine, thread)
            for name, mine in self.tenants.items()
            for other, threads in self.threads.items()
            if other != name
            for thread in threads
        ]
        return [(mine, thread, n) for n, (mine, thread) in enumerate(foreign)]


@pytest.fixture
async def world(new_tenant: NewTenant) -> World:
    """The tenants with their threads."""
    tenants = {name: await new_tenant() for name in TENANTS}
    threads: dict[str, list[str]] = {}
    for name, tenant in tenants.items():
        user = tenant.user(OFFICER)
        made = [await user.create(external_id=subject, title=subject) for subject in SUBJECTS]
        threads[name] = [thread["id"] for thread in made]
        for thread in threads[name]:
            await user.say(thread, *(f"zebrafish {name} {part}" for part in range(3)))
    return World(tenants, threads)


async def test_every_tenant_has_its_own_threads_of_the_same_names(world: World) -> None:
    assert len({thread for threads in world.threads.values() for thread in threads}) == 12
    total = 0
    for name, tenant in world.tenants.items():
        user = tenant.user(OFFICER, at=1)
        assert {t["id"] for t in await user.pages("/v1/threads")} == set(world.threads[name])
        for thread in world.threads[name]:
            messages = await user.messages(thread)
            total += len(messages)
            assert {m["tenant_id"] for m in messages} == {tenant.id}
            assert all(name in m["payload"]["content"] for m in messages)
    assert total == 36


async def test_no_thread_is_reached_over_http(world: World, figures: Figures) -> None:
    granted = []
    for mine, thread, number in world.attempts():
        user = mine.user(OFFICER, at=number)
        body = {"messages": [{"content": "intruder"}]}
        answers = [
            await user.send("GET", f"/v1/threads/{thread}"),
            await user.send("GET", f"/v1/threads/{thread}/messages"),
            await user.send("POST", f"/v1/threads/{thread}/messages", json=body),
            await user.send("PATCH", f"/v1/threads/{thread}", json={"title": "intruder"}),
        ]
        granted += [answer.text for answer in answers if answer.status_code != 404]
    assert len(world.attempts()) == ATTEMPTS == 24
    assert granted == []
    for name, tenant in world.tenants.items():
        for thread in world.threads[name]:
            assert len(await tenant.user(OFFICER).messages(thread)) == 3
    figures.record("attempts over HTTP refused", ATTEMPTS, n=ATTEMPTS * 4)


async def test_no_thread_is_reached_over_a_socket(world: World, figures: Figures) -> None:
    """Neither by commands nor by frames while the owners go on writing."""
    refused, foreign, own = 0, [], 0
    for name, tenant in world.tenants.items():
        async with tenant.user(OFFICER, at=1).socket() as socket:
            await socket.command("subscribe", feed="user")
            for thread in world.threads[name]:
                assert (await socket.command("subscribe", thread_id=thread))["type"] != "error"
            for mine, thread, _ in world.attempts():
                if mine is tenant:
                    answer = await socket.command("subscribe", thread_id=thread)
                    assert (answer["type"], answer["error"]["code"]) == ("error", "not_found")
                    refused += 1
            await asyncio.gather(
                *(
                    world.tenants[each].user(OFFICER).say(thread, f"zebrafish {each} live")
                    for each in sorted(TENANTS, key=lambda each: each == name)
                    for thread in world.threads[each][:1]
                )
            )
            frames = await socket.until(partial(has_text, f"{name} live"))
            foreign += [f for f in frames if any(o in str(f) for o in TENANTS if o != name)]
            own += sum(f"zebrafish {name}" in str(f) for f in frames)
    assert refused == ATTEMPTS
    assert foreign == []
    assert own > 0
    figures.record("attempts over sockets refused", refused, n=refused)


async def test_search_finds_ones_own_tenants_messages_only(world: World, figures: Figures) -> None:
    """The word is in all 36 messages."""
    for name, tenant in world.tenants.items():
        found = partial(hits, tenant.user(OFFICER, at=1))
        texts = await until(found, 60, what=f"what {name} finds")

        assert len(texts) == 12
        assert all(f"zebrafish {name}" in text for text in texts)
    figures.record("searches", len(TENANTS), n=len(TENANTS))


async def test_a_key_of_one_tenant_is_worth_nothing_for_the_other(world: World) -> None:
    """Also for its configuration, and for its workers."""
    bank, startup = world.tenants["bank"], world.tenants["startup"]
    admin = bank.worker()
    own = await admin.send("GET", f"/v1/tenants/{bank.id}/agents")
    foreign = await admin.send("GET", f"/v1/tenants/{startup.id}/agents")
    everyone = await admin.send("GET", "/v1/tenants")

    assert own.status_code in {200, 403}
    assert foreign.status_code in {403, 404}
    assert everyone.status_code in {401, 403}


def has_text(text: str, frame: Json) -> bool:
    """Whether a text is anywhere in a frame."""
    return text in str(frame)


async def hits(user: Caller) -> list[str]:
    """What a user finds once all is there to be found."""
    page = await user.ask("GET", "/v1/search", 200, params={"q": "zebrafish", "limit": 50})
    texts = [hit["text"] for hit in page["data"]]
    return texts if len(texts) >= 12 else []
