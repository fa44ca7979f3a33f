"""To whom an issuer belongs: its users never become those of another tenant."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.support.postgres import one_value, superuser
from tests.support.waiting import until
from threadkeep.domain import ids
from threadkeep.domain.configuration import TenantPatch
from threadkeep.errors import Conflict
from threadkeep.services.windows import PageRequest

from .conftest import Access
from .test_tokens import RSA, is_refused, pem, register, signed

EXACT: dict[str, Any] = {"algorithm": "RS256", "key_id": "r1", "public_key": pem(RSA)}
ALL_OTHERS = EXACT | {"key_id": ""}
"""The same published key, for every key id that is not registered."""


async def tenant_of(access: Access, token: str) -> str:
    return (await access.credentials.authenticate(token, None)).tenant


@pytest.mark.parametrize(("own", "foreign"), [(ALL_OTHERS, EXACT), (EXACT, ALL_OTHERS)])
async def test_an_issuer_cannot_be_registered_by_a_second_tenant(
    access: Access, own: dict[str, Any], foreign: dict[str, Any]
) -> None:
    mine, theirs = await access.tenant(), await access.tenant()
    await register(access, mine, **own)

    with pytest.raises(Conflict) as refusal:
        await register(access, theirs, **foreign)

    assert mine not in str(refusal.value)
    assert (await access.tenants.issuers.list(theirs, PageRequest())).items == []
    for kid in ("r1", "r2"):
        token = signed(RSA, "RS256", kid)
        if kid == own["key_id"] or not own["key_id"]:
            assert await tenant_of(access, token) == mine
        else:
            assert await is_refused(access, token)


async def test_a_disabled_tenant_keeps_its_issuer(access: Access) -> None:
    mine, theirs = await access.tenant(), await access.tenant()
    await register(access, mine, **EXACT)
    await access.tenants.patch(mine, TenantPatch(disabled=True), actor="test")

    with pytest.raises(Conflict):
        await register(access, theirs, **ALL_OTHERS)


async def test_of_two_tenants_at_one_moment_one_gets_the_issuer(access: Access) -> None:
    tenants = [await access.tenant(), await access.tenant()]
    for number in range(5):
        name = f"issuer {number}"
        outcomes = await asyncio.gather(
            register(access, tenants[0], issuer=name, **EXACT),
            register(access, tenants[1], issuer=name, **ALL_OTHERS),
            return_exceptions=True,
        )
        assert {type(outcome) for outcome in outcomes} == {str, Conflict}


async def test_a_registration_waits_for_one_that_is_not_yet_committed(access: Access) -> None:
    first, second = await access.tenant(), await access.tenant()
    async with superuser(access.given.app_url) as connection:
        async with connection.transaction():
            await connection.execute("SELECT set_principal($1, NULL)", first)
            assert await connection.fetchval("SELECT claim_issuer($1, 'acme')", first)
            late = asyncio.create_task(register(access, second, **ALL_OTHERS))
            await until(lambda: _waits(access))
            await connection.execute(
                "INSERT INTO token_issuers (tenant_id, id, issuer, key_id, algorithm, audience)"
                " VALUES ($1, $2, 'acme', 'r1', 'RS256', 'chat')",
                first,
                ids.new_id(),
            )
        with pytest.raises(Conflict):
            await late


async def _waits(access: Access) -> bool:
    query = (
        "SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
        " AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))"
    )
    found: bool = await one_value(access.given.superuser_url, query)
    return found


async def test_a_tenant_registers_several_keys_of_its_issuer(access: Access) -> None:
    tenant = await access.tenant()
    await register(access, tenant, **EXACT)
    await register(access, tenant, **ALL_OTHERS)
    await register(access, tenant)

    for token in (signed(), signed(RSA, "RS256", "r1"), signed(RSA, "RS256", "r2")):
        assert await tenant_of(access, token) == tenant
    with pytest.raises(Conflict):
        await register(access, tenant, **EXACT)


async def test_an_issuer_is_free_when_its_last_key_is_revoked(access: Access) -> None:
    mine, theirs = await access.tenant(), await access.tenant()
    keys = [await register(access, mine, **given) for given in (EXACT, ALL_OTHERS)]
    await access.tenants.issuers.revoke(mine, keys[0], actor="test")
    with pytest.raises(Conflict):
        await register(access, theirs, **EXACT)

    await access.tenants.issuers.revoke(mine, keys[1], actor="test")
    await register(access, theirs, **EXACT)

    assert await tenant_of(access, signed(RSA, "RS256", "r1")) == theirs


async def test_every_tenant_has_a_key_of_the_service_itself(access: Access) -> None:
    for tenant in (await access.tenant(), await access.tenant()):
        assert await tenant_of(access, await access.token(tenant)) == tenant


@pytest.mark.parametrize("disabled", [False, True])
async def test_a_key_that_two_tenants_had_would_verify_nothing(
    access: Access, disabled: bool
) -> None:
    mine, theirs = await access.tenant(), await access.tenant()
    await register(access, mine, **ALL_OTHERS)
    assert await tenant_of(access, signed(RSA, "RS256", "r2")) == mine
    async with superuser(access.given.superuser_url) as connection:
        await connection.execute(
            "INSERT INTO token_issuers (tenant_id, id, issuer, key_id, algorithm, audience,"
            " public_key) VALUES ($1, $2, 'acme', 'r1', 'RS256', 'chat', $3)",
            theirs,
            ids.new_id(),
            pem(RSA),
        )
    await access.tenants.patch(mine, TenantPatch(disabled=disabled), actor="test")

    assert await is_refused(access, signed(RSA, "RS256", "r1"))
