"""Tenants and what belongs to them: made, listed, changed and revoked over HTTP."""

from __future__ import annotations

import secrets

import pytest

from tests.support.waiting import until

from .callers import Caller, Running, Tenant

REVOKED_WITHIN = 5.0
"""Seconds in which a revocation must be felt."""


async def test_a_tenant_is_made_and_changed(running: Running) -> None:
    name = f"shop {secrets.token_hex(4)}"
    made = await running.platform.post("/v1/tenants", {"name": name, "tier": "early"})
    path = f"/v1/tenants/{made.json['id']}"
    changed = await running.platform.patch(
        path, {"tier": "mid", "limits": {"messages_per_minute": 7}, "name": f"{name}!"}
    )
    again = await running.platform.post("/v1/tenants", {"name": f"{name}!"})

    assert (made.status, made.json["limits"]["messages_per_minute"]) == (201, 300)
    assert (changed.status, changed.json["tier"]) == (200, "mid")
    assert changed.json["limits"]["messages_per_minute"] == 7
    assert changed.json["limit_overrides"] == {"messages_per_minute": 7}
    assert (await running.platform.get(path)).json == changed.json
    assert (again.status, again.error["code"]) == (409, "conflict")


async def test_tenants_are_listed_by_pages(running: Running) -> None:
    made = [(await running.tenant()).id for _ in range(3)]
    first = (await running.platform.get("/v1/tenants?limit=2")).json
    rest = (await running.platform.get(f"/v1/tenants?limit=2&after={first['next']}")).json

    assert [each["id"] for each in first["data"] + rest["data"]] == made
    assert (first["has_more"], rest["has_more"]) == (True, False)


async def test_a_disabled_tenant_is_refused(running: Running, tenant: Tenant, ann: Caller) -> None:
    assert (await ann.get("/v1/threads")).status == 200
    path = f"/v1/tenants/{tenant.id}"
    disabled = await running.platform.patch(path, {"disabled": True})

    async def is_refused() -> bool:
        return (await ann.get("/v1/threads")).status == 401

    assert disabled.json["disabled"] is True
    await until(is_refused, REVOKED_WITHIN)
    await running.platform.patch(path, {"disabled": False})
    await until(lambda: _is(ann, 200), REVOKED_WITHIN)


async def _is(caller: Caller, status: int) -> bool:
    return (await caller.get("/v1/threads")).status == status


async def test_a_revoked_key_is_refused(running: Running, tenant: Tenant) -> None:
    path = f"/v1/tenants/{tenant.id}/keys"
    made = await tenant.key.post(path, {"name": "short", "scopes": ["threads:read"]})
    caller = running.nobody.with_headers(
        Authorization=f"Bearer {made.json['secret']}", Threadkeep_User="ann"
    )
    assert (await caller.get("/v1/threads")).status == 200
    revoked = await tenant.key.delete(f"{path}/{made.json['id']}")

    assert (revoked.status, revoked.json["revoked_at"] is None) == (200, False)
    assert "secret" not in revoked.json
    await until(lambda: _is(caller, 401), REVOKED_WITHIN)
    listed = (await tenant.key.get(path)).json["data"]
    assert revoked.json in listed
    assert made.json["secret"] not in str(listed)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "k", "scopes": ["everything"]}, "scopes"),
        ({"name": "k", "scopes": []}, "scopes"),
        ({"name": "k", "expires_at": "2020-01-01T00:00:00Z"}, "expires_at"),
        ({"name": "k", "expires_at": "9999-12-31T23:59:59-23:59"}, "expires_at"),
        ({"name": "k", "colour": "red"}, "colour"),
    ],
)
async def test_a_wrong_key_is_refused(tenant: Tenant, body: object, field: str) -> None:
    answer = await tenant.key.post(f"/v1/tenants/{tenant.id}/keys", body)

    assert (answer.status, answer.error["field"]) == (422, field)


async def test_the_issuer_of_another_tenant_is_refused(running: Running, tenant: Tenant) -> None:
    other = await running.tenant()
    body = {"issuer": f"https://{tenant.id}.example", "audience": "a", "algorithm": "HS256"}
    made = await tenant.key.post(f"/v1/tenants/{tenant.id}/issuers", body)
    path = f"/v1/tenants/{other.id}/issuers"
    refused = await other.key.post(path, body | {"key_id": "k1"})
    await tenant.key.delete(f"/v1/tenants/{tenant.id}/issuers/{made.json['id']}")
    freed = await other.key.post(path, body | {"key_id": "k1"})

    assert (refused.status, refused.error["code"]) == (409, "conflict")
    assert refused.error["message"] == "This issuer is registered already."
    assert (made.status, freed.status) == (201, 201)


async def test_issuers_are_registered_and_revoked(tenant: Tenant) -> None:
    path = f"/v1/tenants/{tenant.id}/issuers"
    body = {"issuer": f"https://{tenant.id}.example", "audience": "a", "algorithm": "HS256"}
    made = await tenant.key.post(path, body)
    again = await tenant.key.post(path, body)
    revoked = await tenant.key.delete(f"{path}/{made.json['id']}")

    assert (made.status, len(made.json["secret"]) > 32) == (201, True)
    assert (again.status, again.error["code"]) == (409, "conflict")
    assert revoked.json["revoked_at"] is not None
    assert (await tenant.key.get(path)).json["data"] == [revoked.json]


async def test_agents_are_configured(tenant: Tenant) -> None:
    path = f"/v1/tenants/{tenant.id}/agents"
    made = await tenant.key.post(path, {"name": "lib", "kind": "librarian"})
    one = f"{path}/{made.json['id']}"
    taken = await tenant.key.post(path, {"name": "lib", "kind": "worker"})
    unknown = await tenant.key.post(path, {"name": "x", "kind": "oracle"})
    changed = await tenant.key.patch(one, {"name": "archivist"})

    assert (made.status, made.json["settings"]) == (201, {})
    assert (taken.status, unknown.status) == (409, 422)
    assert (await tenant.key.get(one)).json == changed.json
    assert (await tenant.key.get(path)).json["data"] == [changed.json]
    assert (await tenant.key.delete(one)).status == 204
    assert (await tenant.key.get(one)).status == 404
    assert (await tenant.key.delete(one)).status == 404


async def test_users_are_revoked_by_their_name_in_the_path(tenant: Tenant) -> None:
    path = f"/v1/tenants/{tenant.id}/users/an%2Fn%20%C3%A9"
    revoked = await tenant.key.post(f"{path}/revoke")
    back = await tenant.key.post(f"{path}/unrevoke")
    never = await tenant.key.post(f"/v1/tenants/{tenant.id}/users/somebody/unrevoke")

    assert (revoked.status, back.status, never.status) == (204, 204, 404)
    audited = (await tenant.key.get("/v1/audit")).json["data"]
    assert ("user_revoke", "an/n é") in [(row["action"], row["target"]) for row in audited]


async def test_the_audit_is_read_newest_first(tenant: Tenant) -> None:
    for n in range(3):
        await tenant.key.post(
            f"/v1/tenants/{tenant.id}/agents", {"name": f"a{n}", "kind": "worker"}
        )
    first = (await tenant.key.get("/v1/audit?limit=2")).json
    rest = (await tenant.key.get(f"/v1/audit?after={first['next']}")).json

    assert [row["action"] for row in first["data"]] == ["agent_create"] * 2
    assert [row["action"] for row in rest["data"]] == [
        "agent_create",
        "key_create",
        "tenant_create",
    ]
    times = [row["at"] for row in first["data"] + rest["data"]]
    assert times == sorted(times, reverse=True)
    assert (await tenant.user().get("/v1/audit?before=nothing")).status == 422


async def test_a_ticket_is_made_for_one_origin(ann: Caller) -> None:
    made = await ann.post("/v1/tickets", {"origin": "https://shop.example", "seconds": 30})
    long = await ann.post("/v1/tickets", {"seconds": 301})

    assert (made.status, made.json["ticket"].startswith("tkt_")) == (201, True)
    assert (long.status, long.error["field"]) == (422, "seconds")


async def test_search_finds_own_messages(ann: Caller, tenant: Tenant, thread: str) -> None:
    bodies = [{"content": "the spring tide comes at noon"}, {"content": "nothing of interest"}]
    for caller, where in ((ann, thread), (tenant.user("bob"), None)):
        target = where or (await caller.post("/v1/threads", {})).json["id"]
        await caller.post(f"/v1/threads/{target}/messages", {"messages": bodies})

    async def found() -> list[dict[str, object]]:
        answer = await ann.get("/v1/search?q=spring%20tide")
        assert answer.status == 200, answer.body
        hits: list[dict[str, object]] = answer.json["data"]
        return hits

    hits = await until(found, 10.0)
    assert [(hit["thread_id"], hit["text"]) for hit in hits] == [
        (thread, "the spring tide comes at noon")
    ]
    assert (await ann.get("/v1/search")).error["field"] == "q"
