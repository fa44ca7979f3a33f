"""What is somebody else's is as absent as what never was, on every route; and the audit knows."""

from __future__ import annotations

import re

import asyncpg
import httpx
import pytest

from ...support.waiting import until
from ..callers import Caller, Json, Platform, Tenant
from ..conftest import NewTenant
from ..database import APP, AUDITOR, as_role, connected, digits
from ..figures import Figures
from .routes import Route, routes_with_ids
from .victims import Victim, attackers, random_ids

pytestmark = pytest.mark.scenario("isolation", "cross-user attempts")

COMMANDS: dict[str, Json] = {
    "subscribe": {},
    "switch_thread": {},
    "rename_thread": {"title": "intruder"},
    "delete_thread": {},
    "get_thread_history": {},
    "user_message": {"content": "intruder"},
    "start_agent": {"agent": "analyst"},
    "typing": {},
}
RUN_COMMANDS: dict[str, Json] = {
    "stop_agent": {},
    "tool_outputs": {"outputs": [{"call_id": "c", "results": {}}]},
}


async def test_the_four_kinds_of_access_are_refused_and_ones_own_granted(tenant: Tenant) -> None:
    victim, intruder = tenant.user("ann"), tenant.user("mallory", at=1)
    thread = (await victim.create(title="of Ann"))["id"]
    await victim.say(thread, "canary-of-ann")
    own = [
        await victim.thread(thread),
        await victim.messages(thread),
        await victim.pages("/v1/threads"),
    ]
    await intruder.ask("GET", f"/v1/threads/{thread}", 404)
    await intruder.ask("GET", f"/v1/threads/{thread}/messages", 404)
    found = await intruder.ask("GET", "/v1/search", 200, params={"q": "canary"})
    listed = await intruder.ask("GET", "/v1/threads", 200)

    assert all(own)
    assert (found["data"], listed["data"]) == ([], [])


async def test_every_route_answers_a_foreign_id_like_a_random_one(
    operator: Platform, new_tenant: NewTenant, admin_dsn: str, figures: Figures
) -> None:
    """And exactly the attempts on what exists are in the audit, once each."""
    victim, other = await Victim.make(operator, await new_tenant()), await new_tenant()
    routes = await routes_with_ids(victim.user)
    different, attempts, expected = [], 0, []
    for route in routes:
        for number, attacker in enumerate(await attackers(operator, victim.tenant, other, route)):
            caller = attacker.caller(number)
            foreign = await send(caller, route, victim.ids)
            random = await send(caller, route, random_ids())
            attempts += 1
            if shape(foreign) != shape(random) or foreign.status_code not in refusals_of(route):
                different.append((route.name, attacker.name, shape(foreign), shape(random)))
            if attacker.is_audited:
                expected.append((attacker.name, route.name, 1))
    assert different == []
    assert attempts > 50
    names = {name for name, _, _ in expected}

    async def is_audited() -> bool:
        return len(await refusals(admin_dsn, names)) >= len(expected)

    await until(is_audited, 10, what="the audit")
    assert sorted(await refusals(admin_dsn, names)) == sorted(expected)
    assert await victim.untouched()
    figures.record("routes with an id", len(routes), n=len(routes))
    figures.record("attempts refused", attempts, n=attempts)
    figures.record("audit rows", len(expected), n=len(expected))


async def test_ones_own_is_granted_on_every_route(
    operator: Platform, tenant: Tenant, figures: Figures
) -> None:
    """With a new thread and run for each route, so that no route spoils the next one."""
    refused, granted = [], 0
    await operator.agent(tenant, "librarian", "worker")  # whom the description's example starts
    first = await Victim.make(operator, tenant)
    for route in await routes_with_ids(first.user):
        own = await Victim.make(operator, tenant)
        method, path, options = route.options(own.ids)
        status = await own.caller_for(route).status(method, path, **options)
        if status in {401, 403, 404, 422} or status >= 500:
            refused.append((route.name, status))
        granted += 1
    assert refused == []
    assert granted > 25
    figures.record("own access granted", granted, n=granted)


async def test_every_socket_command_answers_a_foreign_id_like_a_random_one(
    operator: Platform, tenant: Tenant, figures: Figures
) -> None:
    victim = await Victim.make(operator, tenant)
    different = []
    async with tenant.user("mallory", at=1).socket() as socket:
        for commands, parameter in ((COMMANDS, "thread_id"), (RUN_COMMANDS, "run_id")):
            for kind, fields in commands.items():
                random = random_ids()
                answers = [
                    await socket.command(kind, **fields, **{parameter: ids[parameter]})
                    for ids in (victim.ids, random)
                ]
                codes = [answer.get("error", {}).get("code") for answer in answers]
                if codes != ["not_found"] * 2 or frame(answers[0]) != frame(answers[1]):
                    different.append((kind, answers))
        assert (await socket.command("ping"))["type"] != "error"
        assert socket.frames == []
    assert different == []
    assert await victim.untouched()
    figures.record("commands refused", len(COMMANDS) + len(RUN_COMMANDS), n=2 * len(COMMANDS))


async def test_nobody_changes_the_audit(tenant: Tenant, admin_dsn: str) -> None:
    """Not even the administrator of the database, unless he removes the trigger first."""
    async with connected(admin_dsn) as connection:
        assert await connection.fetchval(
            "SELECT count(*) FROM audit WHERE tenant_id = $1", digits(tenant.id)
        )
        for statement in ("UPDATE audit SET count = 0", "DELETE FROM audit", "TRUNCATE audit"):
            with pytest.raises(asyncpg.PostgresError, match="append-only"):
                await connection.execute(statement)
    for role in (APP, AUDITOR, "threadkeep_writer"):
        for statement in ("UPDATE audit SET count = 0", "DELETE FROM audit"):
            async with as_role(admin_dsn, role, tenant=digits(tenant.id)) as connection:
                with pytest.raises(asyncpg.InsufficientPrivilegeError):
                    await connection.execute(statement)


async def send(caller: Caller, route: Route, ids: dict[str, str]) -> httpx.Response:
    """Try a route with these ids."""
    method, path, options = route.options(ids)
    return await caller.send(method, path, **options)


def refusals_of(route: Route) -> set[int]:
    """How a route may refuse; nobody but the platform has credentials for its routes."""
    return {401} if route.is_platforms else {403, 404}


def shape(answer: httpx.Response) -> tuple[int, str]:
    """An answer without what differs by nature: ids."""
    return answer.status_code, re.sub(r"[0-9a-f]{32}", "#", answer.text)


def frame(answer: Json) -> str:
    """A frame without ids."""
    return re.sub(r"[0-9a-f]{32}", "#", str({**answer, "re": ""}))


async def refusals(dsn: str, owners: set[str]) -> list[tuple[str, str, int]]:
    """(owner, action, count) of the audit's rows of some users."""
    async with connected(dsn) as connection:
        rows = await connection.fetch(
            "SELECT owner, action, count FROM audit WHERE owner = ANY ($1)", list(owners)
        )
    return [(row["owner"], row["action"], row["count"]) for row in rows]
