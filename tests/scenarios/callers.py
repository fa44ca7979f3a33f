"""Tenants and their users, as any third party would call the service: httpx and JSON."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

import httpx

from .wire import Socket, open_socket, sse_entries

Json = dict[str, Any]
_SECONDS = 20.0


class Refused(AssertionError):
    """An answer other than the one a test counted on."""


class Caller:
    """One user of one tenant at one address; every call checks its status."""

    def __init__(self, client: httpx.AsyncClient, url: str, headers: dict[str, str]) -> None:
        self._client = client
        self.url = url
        self.headers = headers

    async def send(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Any request, whatever its answer."""
        headers = self.headers | options.pop("headers", {})
        return await self._client.request(method, self.url + path, headers=headers, **options)

    async def status(self, method: str, path: str, **options: Any) -> int:
        """Only the status of a request: the answer may be a stream without an end."""
        async with self._client.stream(
            method, self.url + path, headers=self.headers, **options
        ) as answer:
            return answer.status_code

    async def ask(self, method: str, path: str, status: int, **options: Any) -> Json:
        """A request whose answer must have this status; its body."""
        answer = await self.send(method, path, **options)
        if answer.status_code != status:
            raise Refused(f"{method} {path}: {answer.status_code} {answer.text[:2000]}")
        body: Json = answer.json() if answer.content else {}
        return body

    async def timed(self, method: str, path: str, status: int, **options: Any) -> float:
        """Seconds that such a request took."""
        begun = time.perf_counter()
        await self.ask(method, path, status, **options)
        return time.perf_counter() - begun

    async def create(self, **fields: Any) -> Json:
        """A new thread."""
        return await self.ask("POST", "/v1/threads", 201, json=fields)

    async def thread(self, thread: str) -> Json:
        """A thread as it stands."""
        return await self.ask("GET", f"/v1/threads/{thread}", 200)

    async def act(self, thread: str, action: str) -> Json:
        """Move a thread to another state."""
        return await self.ask("POST", f"/v1/threads/{thread}/{action}", 200)

    async def say(
        self, thread: str, *texts: str, role: str = "user", key: str | None = None
    ) -> Json:
        """Append messages."""
        headers = {"Idempotency-Key": key} if key else {}
        body = {"messages": [{"role": role, "content": text} for text in texts]}
        return await self.ask(
            "POST", f"/v1/threads/{thread}/messages", 201, json=body, headers=headers
        )

    async def pages(self, path: str, **params: Any) -> list[Json]:
        """All items of a list, page by page."""
        items: list[Json] = []
        while True:
            page = await self.ask("GET", path, 200, params=params)
            items += page["data"]
            if not page["has_more"]:
                return items
            params["after"] = page["next"]

    async def messages(self, thread: str) -> list[Json]:
        """All messages of a thread."""
        return await self.pages(f"/v1/threads/{thread}/messages", limit=100)

    async def entries(self, thread: str) -> list[Json]:
        """The whole log of a thread."""
        return await self.pages(f"/v1/threads/{thread}/entries", limit=100)

    @asynccontextmanager
    async def socket(self) -> AsyncIterator[Socket]:
        """An open socket of this user."""
        async with open_socket(self.url, self.headers) as socket:
            yield socket

    def stream(self, thread: str, cursor: str | None = None) -> AsyncIterator[tuple[str, Json]]:
        """(id, entry) of server-sent events."""
        path = f"{self.url}/v1/threads/{thread}/stream"
        headers = self.headers | ({"Last-Event-ID": cursor} if cursor else {})
        return sse_entries(self._client, path, headers)


@dataclass(frozen=True)
class Tenant:
    """A tenant of the test's own."""

    id: str
    key: str
    """An API key that acts for any user."""
    urls: Sequence[str]
    client: httpx.AsyncClient

    def user(self, name: str, *, at: int = 0) -> Caller:
        """One of its users, who calls process `at`."""
        headers = {"Authorization": f"Bearer {self.key}", "Threadkeep-User": name}
        return Caller(self.client, self.urls[at % len(self.urls)], headers)

    def worker(self, *, at: int = 0) -> Caller:
        """The tenant without a user, as workers call."""
        headers = {"Authorization": f"Bearer {self.key}"}
        return Caller(self.client, self.urls[at % len(self.urls)], headers)


class Platform:
    """Whoever runs the service: makes tenants."""

    made: ClassVar[list[str]] = []
    """All tenants of this test run, to be removed where the service stays."""

    def __init__(self, urls: Sequence[str], key: str, client: httpx.AsyncClient) -> None:
        self._urls = urls
        self._client = client
        self.caller = Caller(client, urls[0], {"Authorization": f"Bearer {key}"})

    async def tenant(self, *, tier: str = "unlimited") -> Tenant:
        """A new tenant with one API key."""
        name = f"scenario-{secrets.token_hex(8)}"
        made = await self.caller.ask("POST", "/v1/tenants", 201, json={"name": name, "tier": tier})
        self.made.append(made["id"])
        key = await self.key(made["id"])
        return Tenant(made["id"], key["secret"], self._urls, self._client)

    async def key(self, tenant: str, *scopes: str) -> Json:
        """A new API key of a tenant; without scopes one that acts for its users and workers."""
        body = {"name": "scenario"} | ({"scopes": list(scopes)} if scopes else {})
        return await self.caller.ask("POST", f"/v1/tenants/{tenant}/keys", 201, json=body)

    async def issuer(self, tenant: str) -> Json:
        """A new key that signs tokens of a tenant's users."""
        body = {
            "issuer": f"https://{secrets.token_hex(8)}.example",
            "audience": "threadkeep",
            "algorithm": "HS256",
        }
        return await self.caller.ask("POST", f"/v1/tenants/{tenant}/issuers", 201, json=body)

    async def agent(self, tenant: Tenant, name: str, kind: str, **settings: Any) -> Json:
        """A new agent of a tenant."""
        body = {"name": name, "kind": kind, "settings": settings}
        return await self.caller.ask("POST", f"/v1/tenants/{tenant.id}/agents", 201, json=body)


@asynccontextmanager
async def platform(urls: Sequence[str], key: str) -> AsyncIterator[Platform]:
    """A client for one test."""
    limits = httpx.Limits(max_connections=400, max_keepalive_connections=400)
    async with AsyncExitStack() as stack:
        client = httpx.AsyncClient(timeout=_SECONDS, limits=limits, trust_env=False)
        yield Platform(urls, key, await stack.enter_async_context(client))


async def gathered(width: int, calls: Sequence[Any]) -> list[Any]:
    """Results of many coroutines, at most `width` of them at once, in their order."""
    gate = asyncio.Semaphore(width)

    async def one(call: Any) -> Any:
        async with gate:
            return await call

    return await asyncio.gather(*(one(call) for call in calls))
