"""A process that is told to end: its sockets move to another one and miss nothing."""

from __future__ import annotations

import asyncio
import secrets

import aiohttp
import pytest
from websockets.exceptions import InvalidStatus

from tests.conftest import Deploy
from tests.integration.http.callers import Caller, Running, Tenant
from tests.support.postgres import Database
from tests.support.service import Deployment

from .clients import open_socket
from .events import open_stream


async def user_of(deployment: Deployment, session: aiohttp.ClientSession) -> Caller:
    """A user of a new tenant, who calls the first process."""
    url = deployment.urls[0]
    nobody = Caller(session, url)
    platform = nobody.with_headers(Authorization=f"Bearer {deployment.platform_key}")
    made = await platform.post(
        "/v1/tenants", {"name": f"tenant {secrets.token_hex(4)}", "tier": "unlimited"}
    )
    assert made.status == 201, made.body
    key = await platform.post(f"/v1/tenants/{made.json['id']}/keys", {"name": "test"})
    return nobody.with_headers(Authorization=f"Bearer {key.json['secret']}", Threadkeep_User="ann")


async def test_sockets_of_a_process_that_ends_resume_at_another(
    deploy: Deploy, database: Database
) -> None:
    deployment = await deploy(database, processes=2, THREADKEEP_DRAIN_SECONDS="1")
    leaving = deployment.processes[0]
    async with aiohttp.ClientSession() as session:
        ann = await user_of(deployment, session)
        there = Caller(session, deployment.urls[1], ann.headers)
        thread = (await ann.post("/v1/threads", {})).json["id"]
        seen: list[int] = []
        async with (
            open_socket(ann) as socket,
            open_stream(ann, thread) as stream,
            open_socket(there) as writer,
        ):
            joined = await socket.ok("subscribe", thread_id=thread, after_seq=0)
            seen.append((await socket.next())["seq"])
            assert (await stream.next()).name == "snapshot"
            leaving.terminate()
            for n in range(50):
                await writer.ok("user_message", thread_id=thread, content=f"m{n}")
            code, frames = await socket.closed()
            seen += [frame["seq"] for frame in frames if "seq" in frame]
            assert code == 1012
            assert [f["type"] for f in frames if "seq" not in f] == ["drain"]
            names = [event.name for event in await stream.rest()]
            assert names.count("drain") == 1
        assert await asyncio.to_thread(leaving.wait) == 0
        async with open_socket(there) as back:
            await back.ok("subscribe", thread_id=thread, cursor=f"{joined['epoch']}-{seen[-1]}")
            while seen[-1] < 51:
                seen.append((await back.next())["seq"])
    assert seen == list(range(1, 52))


async def test_a_process_that_ends_takes_no_new_sockets(deploy: Deploy, database: Database) -> None:
    deployment = await deploy(database, processes=1, THREADKEEP_DRAIN_SECONDS="6")
    async with aiohttp.ClientSession() as session:
        ann = await user_of(deployment, session)
        async with open_socket(ann) as one, open_socket(ann) as two:
            deployment.processes[0].terminate()
            for socket in (one, two):
                assert (await socket.next())["type"] == "drain"
            with pytest.raises(InvalidStatus) as refused:
                async with open_socket(ann):
                    pass
            assert refused.value.response.status_code == 503
            assert int(refused.value.response.headers["Retry-After"]) >= 1
            assert {(await one.closed())[0], (await two.closed())[0]} == {1012}
        assert await asyncio.to_thread(deployment.processes[0].wait) == 0


async def test_a_disabled_tenant_loses_its_sockets(running: Running, tenant: Tenant) -> None:
    ann = tenant.user("ann")
    thread = (await ann.post("/v1/threads", {})).json["id"]
    async with open_socket(ann) as socket, open_stream(ann, thread) as stream:
        await socket.ok("ping")
        disabled = await running.platform.patch(f"/v1/tenants/{tenant.id}", {"disabled": True})
        assert disabled.status == 200, disabled.body
        code, _ = await socket.closed()
        *_, last = await stream.rest()
    assert code == 4403
    assert (last.name, last.json["error"]["code"]) == ("error", "forbidden")


async def test_a_process_that_ends_lets_go_of_connections_that_are_kept_alive(
    deploy: Deploy, database: Database
) -> None:
    """Or their next request would meet its end."""
    deployment = await deploy(database, processes=1, THREADKEEP_DRAIN_SECONDS="20")
    async with aiohttp.ClientSession() as session:
        ann = await user_of(deployment, session)
        assert "Connection" not in (await ann.post("/v1/threads", {})).headers
        async with open_socket(ann) as one, open_socket(ann) as two:  # one leaves at once
            deployment.processes[0].terminate()
            for socket in (one, two):
                assert (await socket.next())["type"] == "drain"
            answer = await ann.post("/v1/threads", {})

        assert answer.status == 201
        assert answer.headers["Connection"] == "close"
