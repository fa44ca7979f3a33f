"""The description of the API, tried at random but always in the same way, against the service.

Whatever is sent: no 5xx, only described statuses, and answers of the described shape.
"""

from __future__ import annotations

import asyncio
import secrets
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.support.postgres import Databases, run_now
from threadkeep.web.openapi import document
from threadkeep.web.routes import TABLE

from .callers import PLATFORM_KEY, Running, running_on

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
EXAMPLES_PER_OPERATION = 10
LASTING = r"/(ws|stream)$"
"""Sockets and streams do not end; their own tests speak to them."""


@dataclass
class Served:
    """A running service, a key, and ids that exist."""

    url: str
    key: str
    ids: dict[str, str]


@pytest.fixture(scope="module")
def served(databases: Databases) -> Iterator[Served]:
    """The application in a thread of its own: the requests of these tests block."""
    database = run_now(databases.create())
    ready: Future[Served] = Future()
    stopping: Future[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = Future()

    async def serve() -> None:
        stop = asyncio.Event()
        stopping.set_result((asyncio.get_running_loop(), stop))
        limits = {"THREADKEEP_ADDRESS_ATTEMPTS_PER_MINUTE": "0"}
        async with running_on(database, **limits) as running:
            ready.set_result(await prepared(running))
            await stop.wait()

    thread = threading.Thread(target=lambda: asyncio.run(serve()), daemon=True)
    thread.start()
    yield ready.result(timeout=30)
    loop, stop = stopping.result()
    loop.call_soon_threadsafe(stop.set)
    thread.join(timeout=30)
    run_now(databases.drop(database.name))


async def prepared(running: Running) -> Served:
    """A tenant with one of everything."""
    tenant = await running.tenant()
    ann = tenant.user("ann")
    thread = await ann.post("/v1/threads", {"title": "tides"})
    path = f"/v1/tenants/{tenant.id}/agents"
    agent = await tenant.key.post(path, {"name": "librarian", "kind": "worker"})
    run = await ann.post(f"/v1/threads/{thread.json['id']}/runs", {"agent": "librarian"})
    ids = {
        "tenant_id": tenant.id,
        "thread_id": thread.json["id"],
        "agent_id": agent.json["id"],
        "run_id": run.json["run"]["id"],
        "key_id": f"key_{secrets.token_hex(16)}",
        "issuer_id": f"iss_{secrets.token_hex(16)}",
    }
    return Served(running.nobody.url, tenant.key.headers["Authorization"], ids)


schema = schemathesis.openapi.from_dict(document(TABLE)).exclude(path_regex=LASTING)


def min_wait(seconds: Any) -> Any:
    """What would be waited for is not; what is wrong stays wrong."""
    is_right = isinstance(seconds, int | float) and 0 <= seconds <= 30
    return 0 if is_right else seconds


# The service runs beside the test in this process and draws from `random` as well.
@pytest.mark.filterwarnings("ignore:Do not use the `random` module inside strategies")
@schema.parametrize()
@settings(
    max_examples=EXAMPLES_PER_OPERATION,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
def test_answers_are_as_described(case: schemathesis.Case[Any], served: Served) -> None:
    for name in case.path_parameters or {}:
        # Every second time what exists, so that more is tried than refusals.
        if name in served.ids and len(str(case.body)) % 2 == 0:
            case.path_parameters[name] = served.ids[name]
    is_platform = case.path in ("/v1/tenants", "/v1/tenants/{tenant_id}")
    credential = f"Bearer {PLATFORM_KEY}" if is_platform else served.key
    headers = {"Authorization": credential, "Threadkeep-User": "ann"}
    if case.path == "/v1/worker/claim" and isinstance(case.body, dict):
        case.body["wait_seconds"] = min_wait(case.body.get("wait_seconds", 0))

    response = case.call(base_url=served.url, headers=headers, timeout=40)
    case.validate_response(response, checks=CHECKS)
