"""Routes of runs and agents, for users and for workers."""

from __future__ import annotations

from functools import partial
from typing import Final

from threadkeep.domain import scopes
from threadkeep.errors import Conflict, Gone, IdempotencyMismatch, StaleFence, TooLarge
from threadkeep.web.handlers import agents, runs, worker
from threadkeep.web.route import Access, Route
from threadkeep.web.schemas import runs as shapes
from threadkeep.web.schemas.common import PageQuery
from threadkeep.web.schemas.tenants import AgentSummary, AgentSummaryPage

_read = partial(Route, access=Access.USER, scope=scopes.THREADS_READ)
_run = partial(Route, access=Access.USER, scope=scopes.RUNS_WRITE, tag="Runs")
_held = partial(
    Route,
    method="POST",
    access=Access.TENANT,
    scope=scopes.WORKER,
    tag="Workers",
    errors=(StaleFence, Conflict),
)
_HELD: Final = "/v1/worker/runs/{run_id}"

RUNS: Final[tuple[Route, ...]] = (
    _run(
        method="POST",
        path="/v1/threads/{thread_id}/runs",
        handler=runs.start_run,
        summary="Start an agent; a message with it is appended in the same commit.",
        body=shapes.RunCreate,
        headers=("Idempotency-Key",),
        answers={201: shapes.RunStartedAnswer},
        errors=(Gone, Conflict, IdempotencyMismatch),
    ),
    _read(
        method="GET",
        path="/v1/threads/{thread_id}/runs",
        handler=runs.list_runs,
        tag="Runs",
        summary="List the runs of a thread.",
        query=PageQuery,
        answers={200: shapes.RunPage},
        errors=(Gone,),
    ),
    _read(
        method="GET",
        path="/v1/runs/{run_id}",
        handler=runs.get_run,
        tag="Runs",
        summary="Get a run.",
        answers={200: shapes.RunObject},
    ),
    _run(
        method="POST",
        path="/v1/runs/{run_id}/cancel",
        handler=runs.cancel_run,
        summary="Cancel a run; it ends within seconds.",
        answers={202: shapes.RunObject},
        errors=(Conflict, Gone),
    ),
    _run(
        method="POST",
        path="/v1/runs/{run_id}/tool_outputs",
        handler=runs.give_tool_outputs,
        summary="Answer the tool calls that a run waits for.",
        body=shapes.ToolOutputs,
        answers={200: shapes.RunObject},
        errors=(Conflict, Gone),
    ),
    _read(
        method="GET",
        path="/v1/agents",
        handler=agents.list_agents,
        tag="Agents",
        summary="List the agents that can be started.",
        query=PageQuery,
        answers={200: AgentSummaryPage},
    ),
    _read(
        method="GET",
        path="/v1/agents/{agent_id}",
        handler=agents.get_agent,
        tag="Agents",
        summary="Get an agent.",
        answers={200: AgentSummary},
    ),
    Route(
        method="POST",
        path="/v1/worker/claim",
        handler=worker.claim_run,
        access=Access.TENANT,
        scope=scopes.WORKER,
        tag="Workers",
        summary="Wait for a run and take its lease.",
        body=shapes.Claim,
        answers={200: shapes.ClaimAnswer, 204: None},
    ),
    _held(
        path=f"{_HELD}/heartbeat",
        handler=worker.renew_lease,
        summary="Keep the lease.",
        body=shapes.Held,
        answers={200: shapes.LeaseAnswer},
    ),
    _held(
        path=f"{_HELD}/events",
        handler=worker.append_run_events,
        summary="Write events of the run, all or none.",
        body=shapes.WorkerEvents,
        answers={200: shapes.WrittenAnswer},
        errors=(StaleFence, Conflict, TooLarge),
    ),
    _held(
        path=f"{_HELD}/complete",
        handler=worker.complete_run,
        summary="End the run as completed.",
        body=shapes.Complete,
        answers={200: shapes.RunObject},
    ),
    _held(
        path=f"{_HELD}/fail",
        handler=worker.fail_run,
        summary="End the run as failed.",
        body=shapes.Fail,
        answers={200: shapes.RunObject},
    ),
)
