"""While an update rolls out, processes of two versions work on one schema, the newer one's.

The next release is this one with one more migration, which widens the tables.
"""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from threadkeep.client import Entry, Message, Subscription
from threadkeep.storage.revision import HEAD

from ..cluster.images.recipes import NEXT
from ..conftest import Deploy
from ..support.postgres import Database, one_value
from ..support.service import ServiceProcess
from ..support.tenants import DemoTenant, make_tenant

SECONDS = 50.0


@pytest.fixture
def next_release(tmp_path: Path) -> dict[str, str]:
    """The environment in which `python -m threadkeep` is the next release."""
    NEXT.stage(tmp_path / "next")
    return {"PATH": os.environ["PATH"], "PYTHONPATH": str(tmp_path / "next" / "service")}


async def run(environment: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    """A command of a release that ends by itself."""
    return await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "threadkeep", *words],
        env=environment,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )


async def upgrade(database: Database, next_release: dict[str, str]) -> None:
    """The next release's migrations, as a hook before the update runs them."""
    environment = next_release | {"THREADKEEP_DATABASE_URL": database.superuser_url}
    ended = await run(environment, "migrate")
    assert ended.returncode == 0, ended.stderr


async def revision(database: Database) -> str:
    found: str = await one_value(database.superuser_url, "SELECT version_num FROM alembic_version")
    return found


async def use_configuration(url: str, platform_key: str, tenant: DemoTenant, mark: str) -> None:
    """Every kind of statement on tables that are read without a function; no answer is retried."""
    headers = {"Authorization": f"Bearer {platform_key}"}
    path = f"/v1/tenants/{tenant.id}"
    issuer = {
        "issuer": f"https://{mark}.example",
        "audience": "threadkeep",
        "algorithm": "HS256",
        "key_id": mark,
        "secret": "0123456789abcdef0123456789abcdef",
    }
    async with httpx.AsyncClient(base_url=url, headers=headers, timeout=30) as platform:
        for name, body in (
            ("agents", {"name": mark, "kind": "worker"}),
            ("keys", {"name": mark}),
            ("issuers", issuer),
        ):
            made = await platform.post(f"{path}/{name}", json=body)
            assert made.status_code == 201, made.text
            listed = await platform.get(f"{path}/{name}")
            assert made.json()["id"] in {each["id"] for each in listed.json()["data"]}
            one = f"{path}/{name}/{made.json()['id']}"
            if name == "agents":
                assert (await platform.get(one)).is_success
                assert (await platform.patch(one, json={"name": f"{mark}!"})).is_success
            assert (await platform.delete(one)).is_success


async def use_threads(tenant: DemoTenant, mark: str) -> str:
    """Append, run and read; returns the thread."""
    async with tenant.client() as keep:
        thread = await keep.threads.create(title=mark)
        for text in ("one", "two"):
            await keep.append(thread.id, text)
        await keep.threads.update(thread.id, title=f"{mark}!")
        listed = [each.id async for each in keep.threads.list()]
        assert thread.id in listed
        entries = [entry.seq async for entry in keep.entries(thread.id)]
        assert entries == list(range(1, len(entries) + 1))
        return thread.id


async def heard_until(events: Subscription, text: str) -> list[int]:
    """The seq of every entry up to the message with this text."""
    heard: list[int] = []
    async for event in events:
        if isinstance(event, Entry):
            heard.append(event.seq)
        if isinstance(event, Message) and event.payload.text == text:
            break
    return heard


async def test_a_running_service_works_on_while_the_schema_grows(
    deploy: Deploy, database: Database, next_release: dict[str, str]
) -> None:
    """Statements that it has prepared, and connections that it has open, stay good."""
    deployment = await deploy(database, processes=1, THREADKEEP_DATABASE_CONNECTIONS="5")
    url, key = deployment.urls[0], deployment.platform_key
    tenant = await make_tenant(url, key)
    await use_configuration(url, key, tenant, "before")
    await use_threads(tenant, "before")
    async with tenant.client() as reader:
        thread = await reader.threads.create(title="across")
        async with reader.subscribe(thread.id) as events:
            await reader.append(thread.id, "before")
            await upgrade(database, next_release)
            await use_configuration(url, key, tenant, "after")
            await use_threads(tenant, "after")
            await reader.append(thread.id, "after")
            heard = await heard_until(events, "after")

    assert await revision(database) > HEAD
    assert heard == list(range(heard[0], heard[0] + len(heard)))
    log = deployment.processes[0].output()
    assert not re.search(r"cached (statement|plan)|Traceback", log), log


async def test_a_pod_of_the_old_version_starts_on_the_newer_schema(
    deploy: Deploy, database: Database, next_release: dict[str, str]
) -> None:
    """A node may be drained, or the update rolled back, when the schema has grown already."""
    await upgrade(database, next_release)
    deployment = await deploy(database, processes=1)
    tenant = await make_tenant(deployment.urls[0], deployment.platform_key)
    await use_threads(tenant, "old")
    environment = {"PATH": os.environ["PATH"], "THREADKEEP_DATABASE_URL": database.superuser_url}

    ended = await run(environment, "migrate")

    assert ended.returncode == 0, ended.stderr
    assert await revision(database) > HEAD


async def test_a_pod_of_the_new_version_refuses_the_older_schema(
    database: Database, next_release: dict[str, str]
) -> None:
    ended = await run(next_release | database.service_environment(), "serve", "--port", "0")

    assert ended.returncode == 3
    assert "threadkeep migrate" in ended.stderr
    assert await revision(database) == HEAD


async def test_two_versions_serve_the_same_threads(
    deploy: Deploy, database: Database, next_release: dict[str, str], tmp_path: Path
) -> None:
    old = await deploy(database, processes=1)
    tenant = await make_tenant(old.urls[0], old.platform_key)
    await upgrade(database, next_release)
    settings = database.service_environment() | next_release
    new = ServiceProcess("next", tmp_path, settings | {"THREADKEEP_PLATFORM_KEY": old.platform_key})
    new.start()
    try:
        async with tenant.client() as writer, tenant.client(url=new.url) as reader:
            thread = await writer.threads.create(title="both")
            async with reader.subscribe(thread.id) as events:
                for number in range(4):
                    await (writer, reader)[number % 2].append(thread.id, f"text {number}")
                heard = await heard_until(events, "text 3")
        async with httpx.AsyncClient() as client:
            versions = [
                (await client.get(f"{url}/openapi.json")).json()["info"]["version"]
                for url in (old.urls[0], new.url)
            ]
    finally:
        new.stop()

    assert heard == list(range(heard[0], heard[0] + len(heard)))
    assert versions == sorted(set(versions))
    assert len(versions) == 2
