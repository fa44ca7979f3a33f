"""What is measured: PostgreSQL with fsync, `threadkeep serve`, a tenant without limits."""

from __future__ import annotations

import asyncio
import functools
import secrets
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import psutil

from tests.cluster.containers.runc import Unpacked
from tests.support.postgres import Database, Databases, superuser
from tests.support.service import ServiceProcess
from threadkeep.embedded.postgres import PostgresServer

from .image import ImageService, Serve

USER = "bench"

_POSTGRES = {
    "shared_buffers": "1GB",
    "max_wal_size": "8GB",
    "checkpoint_timeout": "15min",
    "max_connections": "200",
}
"""As the chart tunes it; references and service share the server, so it moves both alike."""


@dataclass
class Stack:
    """The running parts and how to reach them."""

    database: Database
    service: ServiceProcess
    bearer: str
    folder: Path
    session: aiohttp.ClientSession
    serve: Serve
    """Makes another service like the first."""

    @property
    def port(self) -> int:
        """Where the service listens."""
        return self.service.port

    async def threads(self, count: int, as_user: str = USER) -> list[str]:
        """New threads, made through the public API."""
        return list(await asyncio.gather(*(self._thread(as_user) for _ in range(count))))

    async def _thread(self, as_user: str) -> str:
        made = await self.post("/v1/threads", {}, as_user)
        thread: str = made["id"]
        return thread

    async def post(self, path: str, body: object, as_user: str = USER) -> Any:
        """The answer to a POST; anything but success is an error."""
        headers = {"Threadkeep-User": as_user}
        async with self.session.post(path, json=body, headers=headers) as answer:
            answer.raise_for_status()
            return await answer.json()

    async def get(self, path: str, *, as_user: str = USER, **query: str) -> Any:
        """The answer to a GET."""
        headers = {"Threadkeep-User": as_user}
        async with self.session.get(path, params=query, headers=headers) as answer:
            answer.raise_for_status()
            return await answer.json()

    async def fill(self, thread: str, count: int) -> None:
        """Messages written through the public API, a hundred at a time."""
        gate = asyncio.Semaphore(16)

        async def post(messages: Sequence[dict[str, str]]) -> None:
            async with gate:
                await self.post(f"/v1/threads/{thread}/messages", {"messages": messages})

        await asyncio.gather(
            *(
                post([{"content": f"message {n} of the filling"} for n in range(at, at + 100)])
                for at in range(0, count, 100)
            )
        )

    def service_cpu(self) -> float:
        """CPU seconds that the service's processes have used."""
        return sum(sum(p.cpu_times()[:2]) for p in _processes(self.service))

    @staticmethod
    def rss_of(service: ServiceProcess) -> int:
        """Resident bytes of a service's processes."""
        return sum(int(p.memory_info().rss) for p in _processes(service))

    @asynccontextmanager
    async def another(self, name: str) -> AsyncIterator[ServiceProcess]:
        """A second service on the same database."""
        service = self.serve(name, self.folder, self.service.settings)
        await asyncio.to_thread(service.start)
        try:
            yield service
        finally:
            await asyncio.to_thread(service.stop)

    async def settled(self, seconds: float) -> bool:
        """Wait until search has taken in what was appended, so that it is not measured along."""
        ends = time.monotonic() + seconds
        async with superuser(self.database.superuser_url) as connection:
            while await connection.fetchval("SELECT EXISTS (SELECT FROM dirty)"):
                if time.monotonic() > ends:
                    return False
                await asyncio.sleep(0.2)
        return True

    async def name_threads_for_reference(self, threads: Sequence[str]) -> None:
        """Let reference B find the same threads."""
        async with superuser(self.database.superuser_url) as connection:
            await connection.execute("TRUNCATE bench_threads")
            for number, thread in enumerate(threads, 1):
                await connection.execute(
                    "INSERT INTO bench_threads SELECT $1, tenant_id, thread_id, owner"
                    " FROM heads WHERE thread_id = $2",
                    number,
                    thread.removeprefix("thr_"),
                )


def _processes(service: ServiceProcess) -> list[psutil.Process]:
    root = psutil.Process(service.pid)
    return [root, *root.children(recursive=True)]


@asynccontextmanager
async def stack(folder: Path, prepare: str, image: Unpacked | None = None) -> AsyncIterator[Stack]:
    """Start everything, the service from an image if there is one; stop it at the end."""
    server = PostgresServer(folder / "postgres", fsync=True, settings=_POSTGRES)
    await asyncio.to_thread(server.start)
    try:
        databases = Databases(server.url("postgres"), is_crash_safe=True)
        await asyncio.to_thread(databases.prepare)
        database = await databases.create()
        async with superuser(database.superuser_url) as connection:
            await connection.execute(prepare)
        platform_key = secrets.token_urlsafe(24)
        settings = database.service_environment() | {"THREADKEEP_PLATFORM_KEY": platform_key}
        serve: Serve = ServiceProcess
        if image is not None:
            serve = functools.partial(ImageService, image, server.socket_directory)
        service = serve("bench", folder, settings)
        await asyncio.to_thread(service.start)
        try:
            bearer = await _tenant_key(service.url, platform_key)
            headers = {"Authorization": f"Bearer {bearer}"}
            async with aiohttp.ClientSession(service.url, headers=headers) as session:
                yield Stack(database, service, bearer, folder, session, serve)
        finally:
            await asyncio.to_thread(service.stop)
    finally:
        await asyncio.to_thread(server.stop)


async def _tenant_key(url: str, platform_key: str) -> str:
    headers = {"Authorization": f"Bearer {platform_key}"}
    async with aiohttp.ClientSession(url, headers=headers) as session:
        tenant = await _post(session, "/v1/tenants", {"name": "bench", "tier": "unlimited"})
        key = await _post(session, f"/v1/tenants/{tenant['id']}/keys", {"name": "bench"})
        secret: str = key["secret"]
        return secret


async def _post(session: aiohttp.ClientSession, path: str, body: dict[str, Any]) -> dict[str, Any]:
    async with session.post(path, json=body) as answer:
        answer.raise_for_status()
        result: dict[str, Any] = await answer.json()
        return result
