from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from tests.support.postgres import one_value
from tests.support.waiting import until
from threadkeep.domain import ids, scopes
from threadkeep.domain.configuration import TenantPatch
from threadkeep.domain.limits import TIERS
from threadkeep.errors import Forbidden, InvalidRequest, NotAuthenticated, NotFound
from threadkeep.services.windows import PageRequest

from .conftest import PLATFORM_KEY, Access


async def test_a_key_acts_for_the_user_it_names(access: Access) -> None:
    tenant = await access.tenant()
    key, bearer = await access.key(tenant)

    principal = await access.credentials.authenticate(bearer, "ann")

    assert (principal.tenant, principal.owner, principal.actor) == (tenant, "ann", f"key:{key}")
    assert principal.scopes == scopes.SCOPES - {scopes.ADMIN}
    assert principal.limits == TIERS["unlimited"]


async def test_a_key_without_a_user_is_a_tenant_and_no_user(access: Access) -> None:
    tenant = await access.tenant()
    key, bearer = await access.key(tenant)

    found = await access.credentials.authenticate_tenant(bearer)
    assert (found.tenant, found.actor) == (tenant, f"key:{key}")
    with pytest.raises(InvalidRequest) as refusal:
        await access.credentials.authenticate(bearer, None)
    assert refusal.value.field == "Threadkeep-User"


@pytest.mark.parametrize("user", ["", "a" * 256, "a\0b", "a\nb", "\x7f", "\ud800"])
async def test_a_user_that_cannot_be_one_is_refused(access: Access, user: str) -> None:
    _, bearer = await access.key(await access.tenant())

    with pytest.raises(InvalidRequest):
        await access.credentials.authenticate(bearer, user)


async def test_users_may_have_any_printable_name(access: Access) -> None:
    _, bearer = await access.key(await access.tenant())

    for user in ("a", "ü" * 255, "ann@example.org", "a b", "名前", "👩‍💻"):
        assert (await access.credentials.authenticate(bearer, user)).owner == user


async def test_wrong_malformed_and_unknown_keys_are_refused_alike(access: Access) -> None:
    key, bearer = await access.key(await access.tenant())
    secret = bearer.rpartition("_")[2]
    other = "A" if secret[5] != "A" else "B"
    wrong = [
        f"tk_{key}_{'A' * 43}",
        bearer[:-38] + other + bearer[-37:],
        f"tk_{ids.new_id()}_{secret}",
        bearer + "A",
        bearer[:-1],
        bearer.upper(),
        bearer + "\n",
        f"tk_{key}_",
        "tk_",
        "tk_\ud800",
        "",
        "nonsense",
        PLATFORM_KEY,
    ]
    answers = set()
    for each in wrong:
        with pytest.raises(NotAuthenticated) as refusal:
            await access.credentials.authenticate(each, "ann")
        answers.add(str(refusal.value))

    assert len(answers) == 1


async def test_an_expired_key_is_refused_also_while_it_is_remembered(
    lasting_credentials: None, access: Access
) -> None:
    tenant = await access.tenant()
    _, bearer = await access.key(tenant, expires_at=datetime.now(UTC) + timedelta(seconds=3))
    expires = (await access.credentials.authenticate(bearer, "ann")).expires_at
    assert expires is not None
    await asyncio.sleep(max((expires - datetime.now(UTC)).total_seconds(), 0))

    with pytest.raises(NotAuthenticated):
        await access.credentials.authenticate(bearer, "ann")


async def test_a_key_cannot_be_made_to_expire_in_the_past(access: Access) -> None:
    with pytest.raises(InvalidRequest):
        await access.key(await access.tenant(), expires_at=datetime.now(UTC))


@pytest.mark.parametrize("given", [[], ["everything"], ["threads:read", "root"]])
async def test_unknown_scopes_are_refused(access: Access, given: list[str]) -> None:
    with pytest.raises(InvalidRequest):
        await access.key(await access.tenant(), scopes=given)


async def test_a_key_holds_the_scopes_it_was_given_and_no_other(access: Access) -> None:
    _, bearer = await access.key(await access.tenant(), scopes=["threads:read"])
    principal = await access.credentials.authenticate(bearer, "ann")

    scopes.require(principal.scopes, scopes.THREADS_READ)
    with pytest.raises(Forbidden):
        scopes.require(principal.scopes, scopes.THREADS_WRITE)


async def test_a_revoked_key_is_refused_within_five_seconds(access: Access) -> None:
    tenant = await access.tenant()
    key, bearer = await access.key(tenant)
    await access.credentials.authenticate(bearer, "ann")
    await access.tenants.keys.revoke(tenant, key, actor="test")

    await until(lambda: is_refused(access, bearer), 5.0)


async def test_the_keys_of_a_disabled_tenant_are_refused_until_it_is_enabled(
    access: Access,
) -> None:
    tenant = await access.tenant()
    _, bearer = await access.key(tenant)
    await access.credentials.authenticate(bearer, "ann")
    await access.tenants.patch(tenant, TenantPatch(disabled=True), actor="test")
    await until(lambda: is_refused(access, bearer), 5.0)

    await access.tenants.patch(tenant, TenantPatch(disabled=False), actor="test")
    await until(lambda: is_accepted(access, bearer), 5.0)


async def test_a_hot_key_is_looked_up_once(lasting_credentials: None, access: Access) -> None:
    _, bearer = await access.key(await access.tenant())
    await access.credentials.authenticate(bearer, "ann")
    await access.database.aclose()  # any question would fail now

    for _ in range(100):
        await access.credentials.authenticate(bearer, "ann")


async def test_only_the_hash_of_a_secret_is_kept_and_shown_nowhere(access: Access) -> None:
    tenant = await access.tenant()
    key, bearer = await access.key(tenant)
    secret = bearer.split("_", 2)[2]
    listed = await access.tenants.keys.list(tenant, PageRequest())
    stored = await one_value(
        access.given.superuser_url, "SELECT row_to_json(k)::text FROM api_keys k"
    )

    assert [item.id for item in listed.items] == [key]
    principal = await access.credentials.authenticate(bearer, "ann")
    for text in (repr(listed), repr(principal), stored, repr(access.credentials)):
        assert secret not in text


async def test_the_platform_key_configures_and_nothing_else(access: Access) -> None:
    credentials = access.credentials
    credentials.authenticate_platform(PLATFORM_KEY)
    for wrong in ("", PLATFORM_KEY[:-1], PLATFORM_KEY + "x", "\ud800"):
        with pytest.raises(NotAuthenticated):
            credentials.authenticate_platform(wrong)
    with pytest.raises(NotAuthenticated):
        await credentials.authenticate(PLATFORM_KEY, "ann")
    with pytest.raises(NotAuthenticated):
        await credentials.authenticate_tenant(PLATFORM_KEY)
    assert await credentials.authenticate_configurer(PLATFORM_KEY, ids.new_id()) == "platform"


async def test_an_admin_key_configures_its_own_tenant_alone(access: Access) -> None:
    mine, theirs = await access.tenant(), await access.tenant()
    key, bearer = await access.key(mine, scopes=["admin"])
    _, plain = await access.key(mine)

    assert await access.credentials.authenticate_configurer(bearer, mine) == f"key:{key}"
    for other in (theirs, ids.new_id()):
        with pytest.raises(NotFound):
            await access.credentials.authenticate_configurer(bearer, other)
    with pytest.raises(Forbidden):
        await access.credentials.authenticate_configurer(plain, mine)


async def is_refused(access: Access, bearer: str) -> bool:
    try:
        await access.credentials.authenticate(bearer, "ann")
    except NotAuthenticated:
        return True
    return False


async def is_accepted(access: Access, bearer: str) -> bool:
    return not await is_refused(access, bearer)
