"""Runs of agents: start, follow, cancel, and answer what they ask for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from threadkeep.client.messages import MessageLike, message_of
from threadkeep.client.models import Page, Run, RunStarted
from threadkeep.client.threads import ThreadRef, id_of
from threadkeep.client.transport import Transport, new_key

IfBusy = Literal["reject", "enqueue", "interrupt", "rollback", "concurrent"]


class Runs:
    """The runs of one user's threads. A lost connection never cancels one."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def start(
        self,
        thread: ThreadRef,
        agent: str,
        *,
        message: MessageLike | None = None,
        input: Mapping[str, Any] | None = None,  # noqa: A002 - the API's own word
        if_busy: IfBusy = "reject",
        key: str | None = None,
    ) -> RunStarted:
        """Start an agent; `message` is appended in the same commit.

        Repeated with one idempotency key until it is answered.
        """
        body: dict[str, Any] = {"agent": agent, "if_busy": if_busy, "input": dict(input or {})}
        if message is not None:
            body["message"] = message_of(message)
        return await self._transport.call(
            "POST",
            f"/v1/threads/{id_of(thread)}/runs",
            RunStarted,
            body=body,
            headers={"Idempotency-Key": key or new_key()},
        )

    async def get(self, run_id: str) -> Run:
        """A run as it is now."""
        return await self._transport.call("GET", f"/v1/runs/{run_id}", Run)

    async def page(self, thread: ThreadRef, *, after: str | None = None) -> Page[Run]:
        """One page of a thread's runs."""
        query = {"after": after} if after is not None else {}
        path = f"/v1/threads/{id_of(thread)}/runs"
        return await self._transport.call("GET", path, Page[Run], query=query)

    async def cancel(self, run_id: str) -> Run:
        """Ask a run to end; it does within seconds, also when its holder is gone."""
        path = f"/v1/runs/{run_id}/cancel"
        return await self._transport.call("POST", path, Run)

    async def tool_outputs(self, run_id: str, outputs: Sequence[Mapping[str, Any]]) -> Run:
        """Answer the tool calls that a run in `requires_action` waits for."""
        path = f"/v1/runs/{run_id}/tool_outputs"
        body = {"outputs": [dict(output) for output in outputs]}
        return await self._transport.call_once("POST", path, Run, body=body)
