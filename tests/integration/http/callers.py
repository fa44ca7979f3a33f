"""The application in this process on a port of its own, and those who call it over sockets."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import msgspec
from aiohttp import web

from tests.support.postgres import Database
from threadkeep.app import create_app
from threadkeep.settings import load
from threadkeep.web.listening import Site, runner_of

PLATFORM_KEY = "platform-key-of-the-tests-0123456789"


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: Any
    body: bytes

    @property
    def json(self) -> Any:
        """The body, decoded."""
        return msgspec.json.decode(self.body)

    @property
    def error(self) -> dict[str, Any]:
        """The error in the body, which must be one."""
        error: dict[str, Any] = self.json["error"]
        assert error["request_id"] == self.headers["X-Request-Id"]
        return error


@dataclass
class Caller:
    """Somebody with one set of credentials."""

    session: aiohttp.ClientSession
    url: str
    headers: dict[str, str] = field(default_factory=dict)

    def with_headers(self, **headers: str) -> Caller:
        """The same caller, who also sends these; underscores become dashes."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return Caller(self.session, self.url, self.headers | named)

    async def send(self, method: str, path: str, **options: Any) -> Answer:
        """One request, whole answer."""
        headers = self.headers | options.pop("headers", {})
        async with self.session.request(
            method, self.url + path, headers=headers, allow_redirects=False, **options
        ) as response:
            return Answer(response.status, response.headers.copy(), await response.read())

    async def get(self, path: str, **options: Any) -> Answer:
        """GET."""
        return await self.send("GET", path, **options)

    async def post(self, path: str, body: Any = None, **options: Any) -> Answer:
        """POST with a JSON body, where there is one."""
        return await self.send("POST", path, **with_body(body), **options)

    async def put(self, path: str, body: Any = None, **options: Any) -> Answer:
        """PUT."""
        return await self.send("PUT", path, **with_body(body), **options)

    async def patch(self, path: str, body: Any, **options: Any) -> Answer:
        """PATCH."""
        return await self.send("PATCH", path, **with_body(body), **options)

    async def delete(self, path: str, **options: Any) -> Answer:
        """DELETE."""
        return await self.send("DELETE", path, **options)


def with_body(body: Any) -> dict[str, Any]:
    """Options for a body: bytes are sent as they are."""
    if body is None:
        return {}
    data = body if isinstance(body, bytes) else msgspec.json.encode(body)
    return {"data": data, "headers": {"Content-Type": "application/json"}}


@dataclass
class Running:
    """A running application."""

    app: web.Application
    nobody: Caller
    """Without any credential."""
    platform: Caller
    server: web.Server

    async def tenant(self, **policy: Any) -> Tenant:
        """A new tenant with an API key that may do everything."""
        made = await self.platform.post(
            "/v1/tenants", {"name": f"tenant {secrets.token_hex(6)}", "tier": "unlimited"} | policy
        )
        assert made.status == 201, made.body
        tenant_id = made.json["id"]
        key = await self.key(tenant_id)
        return Tenant(self, tenant_id, key)

    async def key(self, tenant_id: str, *scopes: str) -> Caller:
        """A caller with a new API key."""
        everything = ("threads:read", "threads:write", "runs:write", "worker", "admin")
        made = await self.platform.post(
            f"/v1/tenants/{tenant_id}/keys", {"name": "test", "scopes": scopes or everything}
        )
        assert made.status == 201, made.body
        return self.nobody.with_headers(Authorization=f"Bearer {made.json['secret']}")


@dataclass
class Tenant:
    """A tenant of the running application."""

    running: Running
    id: str
    key: Caller
    """An API key without a user."""

    def user(self, name: str = "ann") -> Caller:
        """The key acting for a user."""
        return self.key.with_headers(Threadkeep_User=name)


@asynccontextmanager
async def running_on(database: Database, **changes: str) -> AsyncIterator[Running]:
    """An application on this database, until the end of the block."""
    environment = database.service_environment() | {
        "THREADKEEP_PLATFORM_KEY": PLATFORM_KEY,
        "THREADKEEP_WAKEUPS": "process",
    }
    app = create_app(load(environment | changes))
    runner = runner_of(app, shutdown_seconds=2.0)
    try:
        await runner.setup()
        site = Site(runner, "127.0.0.1", 0)
        await site.start()
        async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:
            nobody = Caller(session, site.name)
            platform = nobody.with_headers(Authorization=f"Bearer {PLATFORM_KEY}")
            assert runner.server is not None
            yield Running(app, nobody, platform, runner.server)
    finally:
        await runner.cleanup()
