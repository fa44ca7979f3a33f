"""Somebody else's id is answered as one that nobody has: status, body, and work for the database.

The matrix is made from the table of routes, so that a new route is in it by itself.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass

import msgspec
import pytest

from tests.support.postgres import Database
from threadkeep.domain import ids
from threadkeep.web.examples import EXAMPLES
from threadkeep.web.keys import SERVICES
from threadkeep.web.route import Access, Route
from threadkeep.web.routes import TABLE

from .callers import Answer, Caller, Running, Tenant, running_on
from .statements import Statements, watch

PARAMETER = re.compile(r"{(\w+_id)}")
WITH_IDS = [route for route in TABLE if PARAMETER.search(route.path)]


@dataclass
class Scene:
    """Two tenants; what the second one, and another user of the first one, own."""

    running: Running
    statements: Statements
    mine: Tenant
    foreign: list[dict[str, str]]
    """Ids by name of parameter: another tenant's, and another user's of the same tenant."""


@pytest.fixture
async def scene(database: Database, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Scene]:
    """Everything that an id could name, twice."""
    statements = watch(monkeypatch)
    async with running_on(database) as running:
        mine, other = await running.tenant(), await running.tenant()
        theirs = await possessions(other, other.user("eve"))
        of_bob = await possessions(mine, mine.user("bob"))
        same_tenant = {name: of_bob[name] for name in ("thread_id", "run_id")}
        yield Scene(running, statements, mine, [theirs, same_tenant])


async def possessions(tenant: Tenant, user: Caller) -> dict[str, str]:
    """One of everything, and its ids."""
    base = f"/v1/tenants/{tenant.id}"
    agent = await made(tenant.key, f"{base}/agents", {"name": "w", "kind": "worker"})
    key = await made(tenant.key, f"{base}/keys", {"name": "k"})
    issuer = await made(
        tenant.key,
        f"{base}/issuers",
        {"issuer": f"https://{tenant.id}.example", "audience": "a", "algorithm": "HS256"},
    )
    thread = await made(user, "/v1/threads", {"title": "private"})
    started = await user.post(
        f"/v1/threads/{thread}/runs", {"agent": "w", "message": {"content": "go"}}
    )
    assert started.status == 201, started.body
    return {
        "tenant_id": tenant.id,
        "agent_id": agent,
        "key_id": key,
        "issuer_id": issuer,
        "thread_id": thread,
        "run_id": started.json["run"]["id"],
    }


async def made(caller: Caller, path: str, body: object) -> str:
    answer = await caller.post(path, body)
    assert answer.status == 201, answer.body
    made_id: str = answer.json["id"]
    return made_id


def caller_of(route: Route, tenant: Tenant) -> Caller:
    """Who may call the route with ids of his own."""
    if route.access is Access.PLATFORM:
        return tenant.running.platform
    return tenant.user("ann") if route.access is Access.USER else tenant.key


async def call(route: Route, caller: Caller, path: str) -> Answer:
    body = EXAMPLES.get(route.body)
    options = {} if body is None else {"data": msgspec.json.encode(body)}
    return await caller.send(
        route.method, path, headers={"Content-Type": "application/json"}, **options
    )


def without_ids(body: bytes) -> bytes:
    """What must be alike: ids and the request's own id may differ."""
    return re.sub(rb"(?:[a-z]{3}_)?[0-9a-f]{32}", b"ID", body)


def cases() -> list[tuple[Route, str, int]]:
    """Route, the parameter that is foreign, and whose it is."""
    found = []
    for route in WITH_IDS:
        names = PARAMETER.findall(route.path)
        if route.access is Access.PLATFORM:
            continue  # to the platform no tenant is foreign; a random one is tested below
        for name in names:
            found.append((route, name, 0))
            if name in ("thread_id", "run_id") and route.access is Access.USER:
                found.append((route, name, 1))
    return found


def test_the_matrix_covers_every_route_with_an_id() -> None:
    covered = {route for route, _, _ in cases()}
    rest = [route.path for route in WITH_IDS if route not in covered]

    assert len(cases()) > 50
    assert rest == ["/v1/tenants/{tenant_id}"]


async def test_a_foreign_id_is_answered_as_a_random_one(scene: Scene) -> None:
    for route, name, whose in cases():
        caller = caller_of(route, scene.mine)
        answers, asked = [], []
        for value in (scene.foreign[whose][name], random_like(name, scene)):
            await scene.statements.appends()
            answer = await call(route, caller, path_with(route, name, value, scene))
            answers.append(answer)
            request = answer.headers["X-Request-Id"]
            asked.append(await scene.statements.of(request) + await scene.statements.appends())
        foreign, random = answers
        case = f"{route.method} {route.path} {name}"
        assert (foreign.status, foreign.error["code"]) == (404, "not_found"), case
        assert (random.status, random.error["code"]) == (404, "not_found"), case
        assert without_ids(foreign.body) == without_ids(random.body), case
        assert foreign.headers.keys() == random.headers.keys(), case
        assert asked[0] == asked[1], case
        if name != "tenant_id":
            assert asked[0], f"{case}: nothing was counted"


def path_with(route: Route, name: str, value: str, scene: Scene) -> str:
    """The path with `value`; the tenant is one's own, other ids are random."""
    chosen = {"tenant_id": scene.mine.id, "user": "someone"} | {name: value}
    return re.sub(
        r"{(\w+)}",
        lambda match: chosen.get(match[1]) or random_like(match[1], scene),
        route.path,
    )


def random_like(name: str, scene: Scene) -> str:
    """An id of the same sort that nobody has."""
    prefix = scene.foreign[0].get(name, "x_").partition("_")[0]
    return f"{prefix}_{ids.new_id()}"


async def test_nothing_foreign_was_changed(scene: Scene) -> None:
    before = await state_of(scene)
    for route, name, whose in cases():
        path = path_with(route, name, scene.foreign[whose][name], scene)
        await call(route, caller_of(route, scene.mine), path)

    assert await state_of(scene) == before


async def state_of(scene: Scene) -> list[bytes]:
    """Everything that the owners and the platform see."""
    theirs, bobs = scene.foreign
    platform = scene.running.platform
    bob = scene.mine.user("bob")
    tenant = theirs["tenant_id"]
    shown = [
        await platform.get(f"/v1/tenants/{tenant}"),
        await platform.get(f"/v1/tenants/{tenant}/keys"),
        await platform.get(f"/v1/tenants/{tenant}/issuers"),
        await platform.get(f"/v1/tenants/{tenant}/agents"),
        await bob.get(f"/v1/threads/{bobs['thread_id']}"),
        await bob.get(f"/v1/threads/{bobs['thread_id']}/entries"),
        await bob.get(f"/v1/runs/{bobs['run_id']}"),
    ]
    assert {each.status for each in shown} == {200}
    # The projector may still be catching up with what was appended before.
    return [re.sub(rb'"last_activity_at":"[^"]*"', b"", each.body) for each in shown]


async def test_an_attempt_is_audited_afterwards(scene: Scene) -> None:
    theirs, bobs = scene.foreign
    ann = scene.mine.user("ann")
    for thread in (theirs["thread_id"], bobs["thread_id"], f"thr_{ids.new_id()}"):
        for _ in range(3):
            assert (await ann.get(f"/v1/threads/{thread}")).status == 404
    await scene.running.app[SERVICES].audit.flush()
    rows = (await scene.mine.key.get("/v1/audit")).json["data"]
    refused = {
        row["target"].replace("-", ""): row["count"]
        for row in rows
        if row["action"] == "GET /v1/threads/{thread_id}" and row["owner"] == "ann"
    }

    assert set(refused) == {each["thread_id"].removeprefix("thr_") for each in (theirs, bobs)}
    assert all(count >= 1 for count in refused.values())
