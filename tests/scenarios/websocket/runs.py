"""The run that all scenarios of sockets follow: five events, four of them written on the way."""

from __future__ import annotations

from typing import Final

from ..callers import Caller, Json, Platform, Tenant

FIVE: Final = [
    "agent_started",
    "agent_thinking",
    "tool_executing",
    "tool_completed",
    "agent_completed",
]
TOOL: Final = "cost_analyzer"
ASKED: Final = {"month": 7}
RESULTS: Final = {
    "potential_savings": 12000,
    "recommendations": ["move idle machines to spot prices", "shrink the database"],
}
THOUGHT: Final = {"thought": "Looking at the bill", "progress_percentage": 30}
_STEPS: Final = [
    {"think": THOUGHT},
    {"tool": {"name": TOOL, "input": ASKED, "results": RESULTS}},
]


async def make_player(operator: Platform, tenant: Tenant, name: str = "player") -> str:
    """An agent of the service that plays the five events by itself."""
    await operator.agent(tenant, name, "scripted", steps=_STEPS)
    return name


class Stepwise:
    """A run whose worker is the test: each of the five events is written when it is asked for."""

    def __init__(self, user: Caller, worker: Caller, agent: str) -> None:
        self._user = user
        self._worker = worker
        self._agent = agent
        self._step = 0
        self._fence = 0
        self.run = ""
        """Its id, once it was started."""

    async def advance(self, thread: str) -> None:
        """Have the next event written; returns when it is acknowledged."""
        step, self._step = self._step, self._step + 1
        match step:
            case 0:
                body = {"agent": self._agent}
                path = f"/v1/threads/{thread}/runs"
                self.run = (await self._user.ask("POST", path, 201, json=body))["run"]["id"]
            case 1:
                await self._claim()
                await self._write("agent_thinking", THOUGHT)
            case 2:
                call = {"tool_name": TOOL, "call_id": "c1", "tool_input": ASKED}
                await self._write("tool_executing", call)
            case 3:
                await self._write("tool_completed", {"call_id": "c1", "results": RESULTS})
            case 4:
                await self.held("complete", 200, response=RESULTS)
            case _:
                raise AssertionError("the run has ended")

    async def held(self, path: str, status: int, **fields: object) -> Json:
        """A call of the run's holder."""
        body = {"fence": self._fence, **fields}
        return await self._worker.ask(
            "POST", f"/v1/worker/runs/{self.run}/{path}", status, json=body
        )

    async def _claim(self) -> None:
        body = {"worker": "the-test", "agents": [self._agent], "wait_seconds": 10}
        claimed = await self._worker.ask("POST", "/v1/worker/claim", 200, json=body)
        assert claimed["run"]["id"] == self.run
        self._fence = claimed["fence"]

    async def _write(self, kind: str, payload: Json) -> None:
        await self.held("events", 200, events=[{"type": kind, "payload": payload}])


def kinds(frames: list[Json]) -> list[str]:
    """Types of frames in their order."""
    return [frame["type"] for frame in frames]


def is_end(frame: Json) -> bool:
    """Whether a frame is a run's last event."""
    return bool(frame["type"] == "agent_completed")
