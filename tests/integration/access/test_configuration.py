from __future__ import annotations

import asyncpg
import msgspec
import pytest

from tests.support.postgres import APP, one_value, superuser
from threadkeep.domain import ids
from threadkeep.domain.configuration import (
    AgentPatch,
    LimitOverrides,
    NewAgent,
    NewIssuer,
    NewTenant,
    Retention,
    TenantPatch,
)
from threadkeep.domain.limits import TIERS
from threadkeep.errors import Conflict, InvalidRequest, NotFound, TooLarge
from threadkeep.services.windows import PageRequest

from .conftest import Access

CONFIGURATION = [
    "tenants",
    "policies",
    "api_keys",
    "token_issuers",
    "agents",
    "revoked_users",
    "audit",
    "tickets",
]


async def test_a_tenant_is_made_changed_and_found(access: Access) -> None:
    made = await access.tenants.create(
        NewTenant("Acme", "early", LimitOverrides(messages_per_minute=5)), actor="platform"
    )
    assert made.limits.messages_per_minute == 5
    assert made.limits.requests_per_minute == TIERS["early"].requests_per_minute

    changed = await access.tenants.patch(
        made.id,
        TenantPatch(
            name="Acme Ltd",
            tier="mid",
            limits=LimitOverrides(),
            retention=Retention(delete_after_days=30),
            disabled=True,
        ),
        actor="platform",
    )

    assert (changed.name, changed.tier, changed.overrides) == ("Acme Ltd", "mid", {})
    assert changed.limits == TIERS["mid"]
    assert changed.retention == {"delete_after_days": 30}
    assert changed.disabled_at is not None
    assert await access.tenants.get(made.id) == changed


async def test_what_is_not_given_stays(access: Access) -> None:
    made = await access.tenants.create(
        NewTenant("Acme", "early", LimitOverrides(sockets_per_user=1)), actor="platform"
    )
    changed = await access.tenants.patch(made.id, TenantPatch(disabled=False), actor="platform")

    assert (changed.name, changed.tier, changed.overrides, changed.disabled_at) == (
        "Acme",
        "early",
        {"sockets_per_user": 1},
        None,
    )


async def test_names_are_unique_and_a_refused_change_changes_nothing(access: Access) -> None:
    await access.tenants.create(NewTenant("Acme"), actor="platform")
    other = await access.tenants.create(NewTenant("Other"), actor="platform")

    with pytest.raises(Conflict):
        await access.tenants.create(NewTenant("Acme"), actor="platform")
    with pytest.raises(Conflict):
        await access.tenants.patch(other.id, TenantPatch(name="Acme", tier="mid"), actor="platform")
    assert await access.tenants.get(other.id) == other
    with pytest.raises(InvalidRequest):
        await access.tenants.create(NewTenant("a\0b"), actor="platform")


async def test_lists_page_both_ways_and_refuse_made_up_cursors(access: Access) -> None:
    made = [await access.tenant() for _ in range(5)]
    first = await access.tenants.list(PageRequest(limit=2))
    second = await access.tenants.list(PageRequest(limit=2, after=first.next))
    third = await access.tenants.list(PageRequest(limit=2, after=second.next))
    back = await access.tenants.list(PageRequest(limit=2, before=third.previous))
    start = await access.tenants.list(PageRequest(limit=2, before=back.previous))

    pages = [[item.id for item in page.items] for page in (first, second, third, back, start)]
    assert pages == [made[:2], made[2:4], made[4:], made[2:4], made[:2]]
    assert [page.has_more for page in (first, second, third, back, start)] == [
        True,
        True,
        False,
        True,
        False,
    ]
    assert (first.previous, third.next, start.previous) == (None, None, None)
    for wrong in ({"after": "x"}, {"before": "id-1"}, {"limit": 0}, {"limit": 101}):
        with pytest.raises(InvalidRequest):
            await access.tenants.list(PageRequest(**wrong))


async def test_keys_and_issuers_of_no_tenant_are_not_found(access: Access) -> None:
    nobody = ids.new_id()
    with pytest.raises(NotFound):
        await access.key(nobody)
    with pytest.raises(NotFound):
        await access.token(nobody)
    with pytest.raises(NotFound):
        await access.tenants.get(nobody)
    with pytest.raises(NotFound):
        await access.tenants.patch(nobody, TenantPatch(tier="mid"), actor="platform")
    with pytest.raises(NotFound):
        await access.tenants.revoke_user(nobody, "ann", actor="platform")


async def test_one_tenant_cannot_touch_what_another_configured(access: Access) -> None:
    mine, theirs = await access.tenant(), await access.tenant()
    key, _ = await access.key(theirs)
    issuer, _ = await access.tenants.issuers.create(
        theirs, NewIssuer("acme", "chat", "HS256"), actor="test"
    )
    agent = await access.tenants.agents.create(theirs, NewAgent("a", "librarian"), actor="test")
    agents = access.tenants.agents
    attempts = [
        access.tenants.keys.revoke(mine, key, actor="test"),
        access.tenants.issuers.revoke(mine, issuer.id, actor="test"),
        agents.get(mine, agent.id),
        agents.update(mine, agent.id, AgentPatch(name="b"), actor="test"),
        agents.delete(mine, agent.id, actor="test"),
    ]
    for attempt in attempts:
        with pytest.raises(NotFound):
            await attempt

    assert await agents.get(theirs, agent.id) == agent
    for listing in (access.tenants.keys, access.tenants.issuers, agents):
        assert (await listing.list(mine, PageRequest())).items == []


async def test_row_security_shows_no_configuration_of_another_tenant(access: Access) -> None:
    mine, theirs = await access.tenant(), await access.tenant()
    for tenant in (mine, theirs):
        _, bearer = await access.key(tenant)
        await access.token(tenant)
        await access.tenants.agents.create(tenant, NewAgent("a", "librarian"), actor="test")
        await access.tenants.revoke_user(tenant, "eve", actor="test")
        principal = await access.credentials.authenticate(bearer, "ann")
        await access.credentials.issue_ticket(principal, origin=None, seconds=60)

    async with superuser(access.given.app_url) as connection:
        for name in CONFIGURATION:
            everything = f"SELECT to_jsonb(x)::text FROM {name} x"
            assert await one_value(access.given.superuser_url, f"SELECT count(*) FROM {name}") >= 2
            assert await connection.fetch(everything) == []
            async with connection.transaction():
                await connection.execute("SELECT set_principal($1, $2)", mine, "ann")
                rows = [row[0] for row in await connection.fetch(everything)]
            assert rows
            assert not [row for row in rows if str(ids_with_dashes(theirs)) in row]


def ids_with_dashes(digits: str) -> str:
    parts = (digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:])
    return "-".join(parts)


async def test_row_security_refuses_configuration_written_for_another_tenant(
    access: Access,
) -> None:
    mine, theirs = await access.tenant(), await access.tenant()
    insert = "INSERT INTO revoked_users (tenant_id, owner) VALUES ($1, 'ann')"
    for principal in (mine, None):
        async with superuser(access.given.app_url) as connection:
            await connection.execute("BEGIN")
            await connection.execute("SELECT set_principal($1, NULL)", principal)
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(insert, theirs)


async def test_every_change_is_audited_with_its_actor(access: Access) -> None:
    tenant = await access.tenant()
    key, _ = await access.key(tenant)
    await access.tenants.keys.revoke(tenant, key, actor="platform")
    agents = access.tenants.agents
    agent = await agents.create(tenant, NewAgent("a", "worker"), actor="key:1")
    await agents.update(tenant, agent.id, AgentPatch(name="b"), actor="key:1")
    await agents.delete(tenant, agent.id, actor="key:1")
    await access.tenants.patch(tenant, TenantPatch(tier="mid"), actor="platform")
    await access.tenants.revoke_user(tenant, "ann", actor="platform")
    await access.tenants.unrevoke_user(tenant, "ann", actor="platform")
    await access.token(tenant)

    query = "SELECT actor || ' ' || action FROM audit WHERE tenant_id = $1 ORDER BY id"
    async with superuser(access.given.superuser_url) as connection:
        rows = [row[0] for row in await connection.fetch(query, tenant)]
    assert rows == [
        "test tenant_create",
        "test key_create",
        "platform key_revoke",
        "key:1 agent_create",
        "key:1 agent_update",
        "key:1 agent_delete",
        "platform tenant_update",
        "platform user_revoke",
        "platform user_unrevoke",
        "test issuer_create",
        "test token_mint",
    ]


async def test_agents_take_the_settings_of_their_kind_and_no_other(access: Access) -> None:
    tenant = await access.tenant()
    agents = access.tenants.agents
    steps = {"steps": [{"think": "…"}]}
    script = await agents.create(tenant, NewAgent("s", "scripted", steps), actor="test")
    assert script.settings == steps
    wrong: list[tuple[NewAgent, type[Exception]]] = [
        (NewAgent("s", "librarian"), Conflict),
        (NewAgent("o", "openai"), InvalidRequest),
        (NewAgent("l", "librarian", {"model": "x"}), InvalidRequest),
        (NewAgent("t", "scripted"), InvalidRequest),
        (NewAgent("t", "scripted", {"steps": []}), InvalidRequest),
        (NewAgent("t", "scripted", {"steps": ["x"]}), InvalidRequest),
        (NewAgent("t", "scripted", {"steps": [{"think": "a"}] * 1001}), InvalidRequest),
        (NewAgent("t", "scripted", {"steps": [{"dance": "a"}]}), InvalidRequest),
        (NewAgent("w", "worker", {"a\0": 1}), InvalidRequest),
        (NewAgent("w", "worker", {"a": "x" * 300_000}), TooLarge),
        (NewAgent("a\nb", "worker"), InvalidRequest),
    ]
    for new, error in wrong:
        with pytest.raises(error):
            await agents.create(tenant, new, actor="test")

    with pytest.raises(InvalidRequest):
        await agents.update(tenant, script.id, AgentPatch(settings={}), actor="test")
    renamed = await agents.update(tenant, script.id, AgentPatch(name="t"), actor="test")
    assert (renamed.name, renamed.settings) == ("t", steps)
    assert [item.id for item in (await agents.list(tenant, PageRequest())).items] == [script.id]


async def test_no_definer_function_is_open_to_all_and_the_service_owns_no_table(
    access: Access,
) -> None:
    async with superuser(access.given.superuser_url) as connection:
        open_to_all = await connection.fetch(
            "SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace"
            " AND prosecdef AND has_function_privilege('public', oid, 'EXECUTE')"
        )
        owner_is_app = await connection.fetchval(
            "SELECT count(*) FROM pg_class c JOIN pg_roles r ON r.oid = c.relowner"
            " WHERE r.rolname = $1",
            APP,
        )
    assert open_to_all == []
    assert owner_is_app == 0


def test_shapes_refuse_unknown_fields_and_limits_below_zero() -> None:
    for wrong in (
        {"name": "a", "owner": "b"},
        {"name": ""},
        {"name": "a", "tier": "gold"},
        {"name": "a", "limits": {"messages_per_minute": -1}},
        {"name": "a", "limits": {"messages": 1}},
    ):
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert(wrong, NewTenant)
