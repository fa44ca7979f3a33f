"""What external workers call: they hold runs of their tenant by a lease."""

from __future__ import annotations

from aiohttp import web

from threadkeep.domain.entries import timestamp
from threadkeep.domain.runs import claimed_object, run_object
from threadkeep.web import bodies
from threadkeep.web.handlers.runs import run_of
from threadkeep.web.keys import SERVICES, TENANT
from threadkeep.web.responses import answer, empty
from threadkeep.web.schemas.runs import Claim, Complete, Fail, Held, WorkerEvents


async def claim_run(request: web.Request) -> web.Response:
    """Wait for a run; 204 when none came."""
    body = await bodies.body(request, Claim)
    claimed = await request.app[SERVICES].runs.claim(
        request[TENANT].tenant, body.worker, body.agents, body.wait_seconds
    )
    if claimed is None:
        return empty()
    lease = claimed.run.lease_until
    return answer(
        {
            "run": claimed_object(claimed),
            "fence": claimed.fence,
            "lease_until": lease and timestamp(lease),
        }
    )


async def renew_lease(request: web.Request) -> web.Response:
    """A heartbeat."""
    run = run_of(request)
    body = await bodies.body(request, Held)
    lease = await request.app[SERVICES].runs.heartbeat(request[TENANT].tenant, run, body.fence)
    return answer(
        {
            "lease_until": timestamp(lease.lease_until),
            "cancel_requested": lease.cancel_requested,
        }
    )


async def append_run_events(request: web.Request) -> web.Response:
    """Write events of a run atomically."""
    run = run_of(request)
    body = await bodies.body(request, WorkerEvents)
    written = await request.app[SERVICES].runs.append_events(
        request[TENANT].tenant, run, body.fence, body.events
    )
    return answer({"last_seq": written.last_seq, "cancel_requested": written.cancel_requested})


async def complete_run(request: web.Request) -> web.Response:
    """End a run as completed."""
    run = run_of(request)
    body = await bodies.body(request, Complete)
    ended = await request.app[SERVICES].runs.complete(
        request[TENANT].tenant,
        run,
        body.fence,
        response=body.response,
        message=body.message,
        usage=body.usage,
    )
    return answer(run_object(ended))


async def fail_run(request: web.Request) -> web.Response:
    """End a run as failed."""
    run = run_of(request)
    body = await bodies.body(request, Fail)
    ended = await request.app[SERVICES].runs.fail(
        request[TENANT].tenant, run, body.fence, error=body.error, usage=body.usage
    )
    return answer(run_object(ended))
