"""Who may call which route: every route of the table, with every sort of credential."""

from __future__ import annotations

import re
import secrets
import time

import jwt
import msgspec
import pytest

from threadkeep.web.examples import EXAMPLES
from threadkeep.web.route import Access, Route
from threadkeep.web.routes import TABLE

from .callers import Answer, Caller, Running, Tenant

GUARDED = [route for route in TABLE if route.access not in (Access.PUBLIC, Access.SOCKET)]


def name_of(route: Route) -> str:
    return f"{route.method} {route.path}"


def path_of(route: Route, tenant: Tenant) -> str:
    """The path with ids that nothing has, but the tenant's own."""
    path = route.path.replace("{tenant_id}", tenant.id)
    prefixes = {"thread": "thr", "run": "run", "agent": "agt", "key": "key", "issuer": "iss"}
    return re.sub(
        r"{(\w+?)(_id)?}", lambda m: f"{prefixes.get(m[1], m[1])}_{secrets.token_hex(16)}", path
    )


async def call(route: Route, caller: Caller, path: str) -> Answer:
    body = EXAMPLES.get(route.body)
    options = {} if body is None else {"data": msgspec.json.encode(body)}
    query = "?q=x" if route.path == "/v1/search" else ""
    headers = {"Content-Type": "application/json"}
    return await caller.send(route.method, path + query, headers=headers, **options)


def test_there_are_guarded_routes() -> None:
    assert len(GUARDED) > 45


async def test_every_guarded_route_wants_a_credential(running: Running, tenant: Tenant) -> None:
    wrong = [
        running.nobody,
        running.nobody.with_headers(Authorization="Basic YTpi"),
        running.nobody.with_headers(Authorization="Bearer "),
        running.nobody.with_headers(Authorization="Bearer tk_" + "0" * 32 + "_" + "a" * 43),
        running.nobody.with_headers(Authorization="Bearer a.b.c", Threadkeep_User="ann"),
    ]
    for route in GUARDED:
        for caller in wrong:
            answer = await call(route, caller, path_of(route, tenant))
            assert (answer.status, answer.error["code"]) == (401, "not_authenticated"), route.path
            assert answer.headers["WWW-Authenticate"].startswith("Bearer")


async def test_a_key_needs_the_scope_of_the_route(running: Running, tenant: Tenant) -> None:
    scopes = {"threads:read", "threads:write", "runs:write", "worker", "admin"}
    checked = 0
    for scope in sorted(scopes):
        others = await running.key(tenant.id, *sorted(scopes - {scope}))
        for route in (each for each in GUARDED if each.scope == scope):
            caller = others.with_headers(Threadkeep_User="ann")
            answer = await call(route, caller, path_of(route, tenant))
            assert (answer.status, answer.error["code"]) == (403, "forbidden"), route.path
            checked += 1
    assert checked > 25


async def test_conversations_need_a_user(tenant: Tenant) -> None:
    routes = [route for route in GUARDED if route.access is Access.USER]
    for route in routes:
        answer = await call(route, tenant.key, path_of(route, tenant))
        assert (answer.status, answer.error["field"]) == (422, "Threadkeep-User"), route.path
    assert len(routes) > 20


async def test_the_platform_key_reads_no_conversations(running: Running, tenant: Tenant) -> None:
    platform = running.platform.with_headers(Threadkeep_User="ann")
    for route in GUARDED:
        if route.access in (Access.USER, Access.TENANT):
            answer = await call(route, platform, path_of(route, tenant))
            assert answer.status == 401, route.path


async def test_only_the_platform_makes_tenants(tenant: Tenant) -> None:
    for route in GUARDED:
        if route.access is Access.PLATFORM:
            answer = await call(route, tenant.key, path_of(route, tenant))
            assert answer.status == 401, route.path


async def test_an_admin_configures_the_own_tenant_alone(running: Running, tenant: Tenant) -> None:
    other = await running.tenant()
    for route in GUARDED:
        if route.access is Access.CONFIGURE:
            foreign = await call(route, other.key, path_of(route, tenant))
            assert (foreign.status, foreign.error["code"]) == (404, "not_found"), route.path
            limited = await running.key(tenant.id, "threads:read")
            assert (await call(route, limited, path_of(route, tenant))).status == 403, route.path
    assert (await tenant.key.get(f"/v1/tenants/{tenant.id}")).status == 200


@pytest.fixture
async def issuer(tenant: Tenant) -> str:
    """The secret of an issuer of the tenant."""
    made = await tenant.key.post(
        f"/v1/tenants/{tenant.id}/issuers",
        {"issuer": f"https://{tenant.id}.example", "audience": "threadkeep", "algorithm": "HS256"},
    )
    assert made.status == 201, made.body
    secret: str = made.json["secret"]
    return secret


def token(tenant: Tenant, secret: str, **claims: object) -> str:
    now = int(time.time())
    given = {
        "iss": f"https://{tenant.id}.example",
        "aud": "threadkeep",
        "sub": "ann",
        "iat": now,
        "exp": now + 60,
    }
    return jwt.encode(given | claims, secret, algorithm="HS256")


async def test_a_user_token_is_one_user(running: Running, tenant: Tenant, issuer: str) -> None:
    caller = running.nobody.with_headers(Authorization=f"Bearer {token(tenant, issuer)}")
    made = await caller.post("/v1/threads", {})
    other = await caller.with_headers(Threadkeep_User="bob").get("/v1/threads")

    assert (made.status, made.json["owner"]) == (201, "ann")
    assert (await tenant.user("ann").get(f"/v1/threads/{made.json['id']}")).status == 200
    assert (other.status, other.error["code"]) == (403, "forbidden")
    assert (await caller.get("/v1/status")).status == 200
    worker = await caller.post("/v1/worker/claim", EXAMPLES_CLAIM)
    assert worker.status == 403


EXAMPLES_CLAIM = {"worker": "w", "wait_seconds": 0}


async def test_wrong_user_tokens_are_refused(running: Running, tenant: Tenant, issuer: str) -> None:
    wrong = [
        token(tenant, issuer, exp=int(time.time()) - 60),
        token(tenant, issuer, aud="another"),
        token(tenant, issuer, iss="https://another.example"),
        token(tenant, "another secret of enough length 0123456789"),
        jwt.encode({"sub": "ann"}, "", algorithm="none"),
    ]
    for each in wrong:
        caller = running.nobody.with_headers(Authorization=f"Bearer {each}")
        assert (await caller.get("/v1/threads")).status == 401


async def test_a_read_only_token_cannot_write(
    running: Running, tenant: Tenant, issuer: str
) -> None:
    limited = token(tenant, issuer, scope="threads:read openid")
    caller = running.nobody.with_headers(Authorization=f"Bearer {limited}")

    assert (await caller.get("/v1/threads")).status == 200
    assert (await caller.post("/v1/threads", {})).status == 403
