from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from msgspec.structs import replace

from tests.support.postgres import one_value
from tests.support.waiting import Stopwatch, until
from threadkeep.domain.principals import Principal
from threadkeep.errors import InvalidRequest, NotAuthenticated
from threadkeep.services.access.credentials import Credentials
from threadkeep.services.access.sealing import Sealer
from threadkeep.services.access.watches import Watches
from threadkeep.settings import load
from threadkeep.storage.database import Database

from .conftest import PLATFORM_KEY, Access

ORIGIN = "https://app.example"


async def principal_of(access: Access, user: str = "ann") -> Principal:
    _, bearer = await access.key(await access.tenant(), scopes=["threads:read"])
    return await access.credentials.authenticate(bearer, user)


async def test_a_ticket_stands_for_the_user_who_asked_for_it(access: Access) -> None:
    principal = await principal_of(access)
    ticket, expires_at = await access.credentials.issue_ticket(
        principal, origin=ORIGIN, seconds=300
    )

    assert timedelta(seconds=290) < expires_at - datetime.now(UTC) < timedelta(seconds=310)
    assert await access.credentials.use_ticket(ticket, origin=ORIGIN) == principal


async def test_a_ticket_opens_once(access: Access) -> None:
    principal = await principal_of(access)
    ticket, _ = await access.credentials.issue_ticket(principal, origin=ORIGIN, seconds=60)
    await access.credentials.use_ticket(ticket, origin=ORIGIN)

    with pytest.raises(NotAuthenticated):
        await access.credentials.use_ticket(ticket, origin=ORIGIN)


async def test_a_ticket_opens_once_when_two_processes_race(access: Access) -> None:
    settings = load(access.given.service_environment())
    other = Database(settings)
    await other.open()
    elsewhere = Credentials(
        other, settings, sealer=Sealer(""), audit=access.audit, fetch=access.web.fetch
    )
    principal = await principal_of(access)
    for _ in range(10):
        ticket, _ = await access.credentials.issue_ticket(principal, origin=None, seconds=60)
        answers = await asyncio.gather(
            *(
                process.use_ticket(ticket, origin=None)
                for process in (access.credentials, elsewhere) * 4
            ),
            return_exceptions=True,
        )
        assert sum(isinstance(answer, Principal) for answer in answers) == 1
        assert sum(isinstance(answer, NotAuthenticated) for answer in answers) == 7
    await other.aclose()


@pytest.mark.parametrize("given", [None, "https://evil.example", "https://app.example.evil"])
async def test_a_ticket_from_another_origin_is_refused_and_used_up(
    access: Access, given: str | None
) -> None:
    ticket, _ = await access.credentials.issue_ticket(
        await principal_of(access), origin=ORIGIN, seconds=60
    )
    for origin in (given, ORIGIN):
        with pytest.raises(NotAuthenticated):
            await access.credentials.use_ticket(ticket, origin=origin)


async def test_a_ticket_without_an_origin_is_not_for_browsers(access: Access) -> None:
    ticket, _ = await access.credentials.issue_ticket(
        await principal_of(access), origin=None, seconds=60
    )
    with pytest.raises(NotAuthenticated):
        await access.credentials.use_ticket(ticket, origin=ORIGIN)


async def test_an_expired_ticket_is_refused_and_removed_later(access: Access) -> None:
    principal = await principal_of(access)
    ticket, _ = await access.credentials.issue_ticket(principal, origin=None, seconds=60)
    unused, _ = await access.credentials.issue_ticket(principal, origin=None, seconds=60)
    assert ticket != unused
    url = access.given.superuser_url
    await one_value(url, "UPDATE tickets SET expires_at = now() - interval '1 second'")
    with pytest.raises(NotAuthenticated):
        await access.credentials.use_ticket(ticket, origin=None)
    assert await one_value(url, "SELECT count(*) FROM tickets") == 1

    await one_value(url, "UPDATE tickets SET expires_at = now() - interval '1 hour'")
    with pytest.raises(NotAuthenticated):
        await access.credentials.use_ticket(ticket, origin=None)
    assert await one_value(url, "SELECT count(*) FROM tickets") == 0


@pytest.mark.parametrize("seconds", [0, -1, 301])
async def test_a_ticket_lives_at_most_five_minutes(access: Access, seconds: int) -> None:
    with pytest.raises(InvalidRequest):
        await access.credentials.issue_ticket(
            await principal_of(access), origin=None, seconds=seconds
        )


@pytest.mark.parametrize("ticket", ["", "tkt_", "tkt_" + "A" * 43, "tkt_" + "é" * 43, "tk_\0"])
async def test_made_up_tickets_are_refused(access: Access, ticket: str) -> None:
    with pytest.raises(NotAuthenticated):
        await access.credentials.use_ticket(ticket, origin=None)


async def test_a_ticket_does_not_outlive_what_it_came_from(access: Access) -> None:
    tenant = await access.tenant()
    key, bearer = await access.key(tenant)
    by_key = await access.credentials.authenticate(bearer, "ann")
    by_token = await access.credentials.authenticate(await access.token(tenant, "bob"), None)
    over = replace(by_token, expires_at=datetime.now(UTC))
    tickets = [
        (await access.credentials.issue_ticket(principal, origin=None, seconds=60))[0]
        for principal in (by_key, by_token, over)
    ]
    await access.tenants.keys.revoke(tenant, key, actor="test")
    await access.tenants.revoke_user(tenant, "bob", actor="test")

    for ticket in tickets:
        with pytest.raises(NotAuthenticated):
            await access.credentials.use_ticket(ticket, origin=None)


async def test_the_database_knows_only_hashes_of_tickets(access: Access) -> None:
    ticket, _ = await access.credentials.issue_ticket(
        await principal_of(access), origin=None, seconds=60
    )
    stored = await one_value(
        access.given.superuser_url, "SELECT row_to_json(t)::text FROM tickets t"
    )

    assert ticket not in stored
    assert ticket.removeprefix("tkt_").encode().hex() not in stored


async def test_open_sockets_are_told_of_revocations_within_five_seconds(access: Access) -> None:
    tenant, disabled = await access.tenant(), await access.tenant()
    key, bearer = await access.key(tenant)
    _, kept_bearer = await access.key(tenant)
    _, disabled_bearer = await access.key(disabled)
    told: dict[str, str] = {}
    credentials = access.credentials
    sockets = {
        "key": await credentials.authenticate(bearer, "ann"),
        "user's token": await credentials.authenticate(await access.token(tenant, "bob"), None),
        "user by key": await credentials.authenticate(kept_bearer, "bob"),
        "tenant": await credentials.authenticate(disabled_bearer, "ann"),
        "kept": await credentials.authenticate(kept_bearer, "carl"),
    }
    ticket, _ = await credentials.issue_ticket(sockets["key"], origin=None, seconds=60)
    sockets["ticket of the key"] = await credentials.use_ticket(ticket, origin=None)
    for name, principal in sockets.items():
        credentials.watch(principal, partial(told.__setitem__, name))
    await access.tenants.keys.revoke(tenant, key, actor="test")
    await access.tenants.revoke_user(tenant, "bob", actor="test")
    await one_value(
        access.given.superuser_url, "UPDATE tenants SET disabled_at = now() WHERE id = $1", disabled
    )

    await until(lambda: len(told) == 5, 5.0)
    revoked = dict.fromkeys(sockets.keys() - {"kept"}, "revoked")
    assert told == revoked | {"tenant": "disabled"}


async def test_sockets_of_a_revoked_issuer_are_told(access: Access) -> None:
    tenant = await access.tenant()
    principal = await access.credentials.authenticate(await access.token(tenant), None)
    told: list[str] = []
    access.credentials.watch(principal, told.append)
    assert principal.key_id is not None
    await access.tenants.issuers.revoke(tenant, principal.key_id, actor="test")

    await until(lambda: told == ["revoked"], 5.0)


async def test_a_socket_is_told_at_its_expiry_and_once(access: Access) -> None:
    """No sweep is needed for it."""
    principal = await principal_of(access)
    watches = Watches(access.database)  # never started
    told: asyncio.Queue[tuple[str, datetime]] = asyncio.Queue()
    expires_at = datetime.now(UTC) + timedelta(seconds=0.3)
    with Stopwatch() as watch:
        for at in (expires_at, datetime.now(UTC) - timedelta(seconds=1)):
            watches.add(
                replace(principal, expires_at=at),
                lambda reason: told.put_nowait((reason, datetime.now(UTC))),
            )
        first, second = await told.get(), await told.get()

    assert (first[0], second[0]) == ("expired", "expired")
    assert second[1] >= expires_at
    assert watch.seconds < 2.0
    assert len(watches) == 0
    assert told.empty()


async def test_a_closed_socket_is_told_nothing_and_forgotten(access: Access) -> None:
    principal = await principal_of(access)
    told: list[str] = []
    unwatch = access.credentials.watch(
        replace(principal, expires_at=datetime.now(UTC) + timedelta(seconds=0.05)), told.append
    )
    unwatch()
    unwatch()
    assert len(access.credentials._watches) == 0
    other = asyncio.Event()
    access.credentials.watch(
        replace(principal, expires_at=datetime.now(UTC) + timedelta(seconds=0.1)),
        lambda _: other.set(),
    )
    await asyncio.wait_for(other.wait(), 15.0)

    assert told == []


async def test_one_query_serves_all_sockets(
    access: Access, monkeypatch: pytest.MonkeyPatch
) -> None:
    principal = await principal_of(access)
    told: list[str] = []
    watches = Watches(access.database)  # never started: nobody else sweeps
    for number in range(3000):
        watches.add(replace(principal, owner=f"user {number % 50}"), told.append)
    assert principal.key_id is not None
    calls: list[str] = []
    ask = access.database.call

    async def counted(query: str, *args: object) -> object:
        calls.append(query)
        return await ask(query, *args)

    monkeypatch.setattr(access.database, "call", counted)
    await watches.sweep()
    assert len(calls) == 1
    assert told == []
    await access.tenants.keys.revoke(principal.tenant, principal.key_id, actor="test")
    await watches.sweep()
    assert len(told) == 3000


def test_credentials_do_not_show_the_platform_key(access: Access) -> None:
    assert PLATFORM_KEY not in repr(vars(access.credentials))
