"""Runs, as their users see them."""

from __future__ import annotations

from aiohttp import web

from threadkeep.domain import ids
from threadkeep.domain.runs import run_object
from threadkeep.web import bodies
from threadkeep.web.handlers.tenants import page_of
from threadkeep.web.handlers.threads import thread_of
from threadkeep.web.keys import PRINCIPAL, SERVICES
from threadkeep.web.responses import answer, listing
from threadkeep.web.schemas.runs import RunCreate, ToolOutputs


def run_of(request: web.Request) -> str:
    """The digits of the run that the path names."""
    return ids.from_public(ids.RUN, request.match_info["run_id"])


async def start_run(request: web.Request) -> web.Response:
    """Start an agent on a thread."""
    thread = thread_of(request)
    body = await bodies.body(request, RunCreate)
    started = await request.app[SERVICES].runs.start(
        request[PRINCIPAL],
        thread,
        agent=body.agent,
        message=body.message,
        input=body.input,
        if_busy=body.if_busy,
        key=request.headers.get("Idempotency-Key"),
    )
    message = started.message_id
    return answer(
        {
            "run": run_object(started.run),
            "first_seq": started.first_seq,
            "message_id": message and ids.to_public(ids.MESSAGE, message),
        },
        status=201,
    )


async def list_runs(request: web.Request) -> web.Response:
    """Runs of a thread."""
    found = await request.app[SERVICES].runs.list(
        request[PRINCIPAL], thread_of(request), page_of(request)
    )
    return listing(found, run_object)


async def get_run(request: web.Request) -> web.Response:
    """One run."""
    run = await request.app[SERVICES].runs.get(request[PRINCIPAL], run_of(request))
    return answer(run_object(run))


async def cancel_run(request: web.Request) -> web.Response:
    """Ask the holder to stop; the run ends within seconds."""
    run = await request.app[SERVICES].runs.cancel(request[PRINCIPAL], run_of(request))
    return answer(run_object(run), status=202)


async def give_tool_outputs(request: web.Request) -> web.Response:
    """Answer the tool calls that a run waits for."""
    run = run_of(request)
    body = await bodies.body(request, ToolOutputs)
    changed = await request.app[SERVICES].runs.tool_outputs(request[PRINCIPAL], run, body.outputs)
    return answer(run_object(changed))
