"""Who may open a socket, from where and how many; how a credential's end closes it."""

from __future__ import annotations

import time
from typing import Any

import aiohttp
import jwt
import pytest
from websockets.exceptions import InvalidStatus

from tests.integration.http.callers import Caller, Running, Tenant, running_on
from tests.support.postgres import Database
from tests.support.waiting import Stopwatch, until
from threadkeep.web.keys import LIFECYCLE
from threadkeep.web.live import LIVE

from .clients import open_socket

UPGRADE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}


async def refusal(caller: Caller, path: str = "/v1/ws", **headers: str) -> tuple[int, str]:
    """(status, code) of an upgrade that is refused."""
    answer = await caller.get(path, headers=UPGRADE | headers)
    return answer.status, answer.error["code"]


class Tokens:
    """Signs tokens of users."""

    def __init__(self, tenant: Tenant, issuer: dict[str, Any]) -> None:
        self.tenant = tenant
        self.issuer = issuer

    def make(self, user: str, seconds: float = 60.0, **claims: Any) -> str:
        """A token of a user that is valid for so long."""
        now = time.time()
        body = {
            "iss": f"https://{self.tenant.id}.example",
            "aud": "threadkeep",
            "sub": user,
            "tenant": self.tenant.id,
            "iat": int(now),
            "exp": now + seconds,
        }
        return jwt.encode(body | claims, self.issuer["secret"], algorithm="HS256")


@pytest.fixture
async def tokens(tenant: Tenant) -> Tokens:
    """An issuer of the tenant."""
    made = await tenant.key.post(
        f"/v1/tenants/{tenant.id}/issuers",
        {"issuer": f"https://{tenant.id}.example", "audience": "threadkeep", "algorithm": "HS256"},
    )
    assert made.status == 201, made.body
    return Tokens(tenant, made.json)


async def test_a_token_opens_by_header(running: Running, tokens: Tokens, thread: str) -> None:
    caller = running.nobody.with_headers(Authorization=f"Bearer {tokens.make('ann')}")
    async with open_socket(caller) as socket:
        assert (await socket.ok("list_threads"))["data"][0]["id"] == thread


async def test_a_token_opens_by_sub_protocol_and_is_not_echoed(
    running: Running,
    tokens: Tokens,
    thread: str,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    token = tokens.make("ann")
    for offered in ([f"bearer.{token}", "threadkeep.v1"], ["threadkeep.v1", f"bearer.{token}"]):
        async with open_socket(running.nobody, subprotocols=offered) as socket:
            assert socket.connection.subprotocol == "threadkeep.v1"
            assert (await socket.ok("list_threads"))["data"][0]["id"] == thread
    async with open_socket(running.nobody, subprotocols=[f"bearer.{token}"]) as socket:
        assert socket.connection.subprotocol is None
        await socket.ok("ping")
    logged = capsys.readouterr().out + caplog.text
    assert logged.count("socket.opened") == 3
    assert token not in logged


async def test_wrong_credentials_are_refused_before_the_upgrade(
    running: Running, tenant: Tenant, tokens: Tokens
) -> None:
    nobody = running.nobody
    expired, unsigned = tokens.make("ann", -5), tokens.make("ann")[:-2] + "xx"
    assert await refusal(nobody) == (401, "not_authenticated")
    for token in (expired, unsigned, "nonsense", "tk_" + "0" * 32 + "_" + "a" * 43):
        assert await refusal(nobody, Authorization=f"Bearer {token}") == (401, "not_authenticated")
        protocols = {"Sec-WebSocket-Protocol": f"bearer.{token}, threadkeep.v1"}
        assert await refusal(nobody, **protocols) == (401, "not_authenticated")
    assert await refusal(tenant.key) == (422, "invalid_request")
    other = nobody.with_headers(Authorization=f"Bearer {tokens.make('ann')}", Threadkeep_User="bob")
    assert await refusal(other) == (403, "forbidden")


async def test_a_credential_without_the_scope_is_refused(running: Running, tenant: Tenant) -> None:
    writer = await running.key(tenant.id, "threads:write")
    assert await refusal(writer.with_headers(Threadkeep_User="ann")) == (403, "forbidden")


async def test_a_ticket_opens_one_socket_once(running: Running, ann: Caller, thread: str) -> None:
    ticket = (await ann.post("/v1/tickets", {"seconds": 30})).json["ticket"]
    async with open_socket(running.nobody, query=f"?ticket={ticket}") as socket:
        assert (await socket.ok("list_threads"))["data"][0]["id"] == thread
        path = f"/v1/ws?ticket={ticket}"
        assert await refusal(running.nobody, path) == (401, "not_authenticated")
        assert await refusal(ann, path) == (401, "not_authenticated")
    path = f"/v1/ws?ticket=tkt_{'x' * 43}"
    assert await refusal(running.nobody, path) == (401, "not_authenticated")


async def test_a_ticket_is_bound_to_its_origin(database: Database) -> None:
    allowed = "https://app.example"
    async with running_on(database, THREADKEEP_ALLOWED_ORIGINS=allowed) as running:
        ann = (await running.tenant()).user("ann")
        tickets = [
            (await ann.post("/v1/tickets", {"origin": origin})).json["ticket"]
            for origin in (allowed, allowed, None)
        ]
        query = f"?ticket={tickets[0]}"
        async with open_socket(running.nobody, query=query, origin=allowed) as socket:
            await socket.ok("ping")
        path = f"/v1/ws?ticket={tickets[1]}"
        assert await refusal(running.nobody, path) == (401, "not_authenticated")
        path = f"/v1/ws?ticket={tickets[2]}"
        assert await refusal(running.nobody, path, Origin=allowed) == (401, "not_authenticated")


async def test_origins_are_the_own_one_or_allowed(database: Database, ann: Caller) -> None:
    async with open_socket(ann, origin=ann.url) as socket:
        await socket.ok("ping")
    for origin in ("https://evil.example", "null", ann.url + ".evil.example"):
        assert await refusal(ann, Origin=origin) == (403, "forbidden")
    async with running_on(database, THREADKEEP_ALLOWED_ORIGINS="https://a.example") as running:
        cat = (await running.tenant()).user("cat")
        async with open_socket(cat, origin="https://a.example") as socket:
            await socket.ok("ping")
        assert await refusal(cat, Origin="https://b.example") == (403, "forbidden")


async def test_what_is_no_upgrade_is_refused(ann: Caller) -> None:
    plain = await ann.get("/v1/ws")
    assert (plain.status, plain.error["code"]) == (400, "invalid_request")
    for name, value in (("Sec-WebSocket-Version", "12"), ("Sec-WebSocket-Key", "short")):
        assert await refusal(ann, **{name: value}) == (400, "invalid_request")
    assert await refusal(ann, "/v1/ws?tiket=x") == (422, "invalid_request")


async def test_sockets_of_a_user_are_limited(running: Running) -> None:
    tenant = await running.tenant(limits={"sockets_per_user": 2})
    ann, bob = tenant.user("ann"), tenant.user("bob")
    async with open_socket(ann) as one:
        async with open_socket(ann):
            assert await refusal(ann) == (429, "too_many")
            async with open_socket(bob) as others:
                await others.ok("ping")
        await one.ok("ping")

        async def opens() -> bool:
            try:
                async with open_socket(ann):
                    return True
            except InvalidStatus:
                return False

        assert await until(opens)


async def test_nothing_is_opened_while_draining(running: Running, ann: Caller) -> None:
    running.app[LIFECYCLE].draining = running.app[LIVE].is_draining = True
    refused = await ann.get("/v1/ws", headers=UPGRADE)
    assert (refused.status, refused.error["code"]) == (503, "unavailable")
    assert int(refused.headers["Retry-After"]) >= 1


async def test_compression_is_not_negotiated(ann: Caller) -> None:
    async with (
        aiohttp.ClientSession(headers=ann.headers) as session,
        session.ws_connect(ann.url + "/v1/ws", compress=15) as socket,
    ):
        assert socket.compress == 0
        await socket.send_str('{"id":1,"type":"ping"}')
        assert await socket.receive_json() == {"type": "ok", "re": 1}


async def test_a_socket_ends_with_its_token(running: Running, tokens: Tokens) -> None:
    token = tokens.make("ann", 4.0)
    caller = running.nobody.with_headers(Authorization=f"Bearer {token}")
    with Stopwatch() as watch:
        async with open_socket(caller) as socket:
            await socket.ok("ping")
            code, _ = await socket.closed()
    assert code == 4401
    assert watch.seconds + watch.still > 3.0
    assert watch.seconds < 6.5
    assert await refusal(caller) == (401, "not_authenticated")


async def test_a_revoked_key_closes_its_sockets(running: Running, tenant: Tenant) -> None:
    made = await tenant.key.post(f"/v1/tenants/{tenant.id}/keys", {"name": "second"})
    caller = running.nobody.with_headers(
        Authorization=f"Bearer {made.json['secret']}", Threadkeep_User="ann"
    )
    async with open_socket(caller) as socket, open_socket(tenant.user("ann")) as other:
        await socket.ok("ping")
        revoked = await tenant.key.delete(f"/v1/tenants/{tenant.id}/keys/{made.json['id']}")
        assert revoked.status == 200, revoked.body
        with Stopwatch() as watch:
            code, _ = await socket.closed()
        assert code == 4401
        assert watch.seconds < 5.5
        await other.ok("ping")
