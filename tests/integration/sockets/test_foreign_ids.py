"""Somebody else's id in a command is answered as one that nobody has: frame and work alike.

The matrix is made from the commands that a socket takes, so that a new one is in it by itself.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import msgspec
import pytest

from tests.integration.http.callers import Caller, Tenant, running_on
from tests.integration.http.statements import Statements, watch
from tests.support.postgres import Database
from threadkeep.web.websocket_commands import NAMES

from .clients import Json, Socket, open_socket

ID_FIELDS = ("thread_id", "run_id")
VALUES: Json = {
    "title": "mine",
    "content": "x",
    "agent": "w",
    "outputs": [{"call_id": "c", "results": 1}],
}
"""For fields that a command must have; one that is missing here is missing a test."""
VARIANTS: dict[str, list[Json]] = {
    "subscribe": [{"after_seq": 0}, {"cursor": f"{'0' * 16}-1"}],
    "user_message": [{"run": "w"}, {"idempotency_key": "k"}],
    "start_agent": [{"message": {"content": "x"}, "if_busy": "enqueue"}],
    "get_thread_history": [{"backward": True, "limit": 1}],
}
"""Further members with which a command takes another way."""


@dataclass
class Scene:
    """A socket of ann's, and ids of another tenant and of another user of her own."""

    socket: Socket
    request: str
    statements: Statements
    foreign: list[dict[str, str]]

    async def ask(self, command: Json) -> tuple[Json, list[str]]:
        """The answer, and what it has cost the database."""
        await self.statements.appends()
        before = len(await self.statements.of(self.request))
        await self.socket.send({"id": 1, **command})
        answer = await self.socket.receive()
        asked = (await self.statements.of(self.request))[before:]
        return answer, asked + await self.statements.appends()


@pytest.fixture
async def scene(database: Database, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Scene]:
    """Everything that an id could name, twice."""
    statements = watch(monkeypatch)
    async with running_on(database) as running:
        mine, other = await running.tenant(), await running.tenant()
        foreign = [await possessions(other, other.user("eve"))]
        foreign.append(await possessions(mine, mine.user("bob")))
        async with open_socket(mine.user("ann")) as socket:
            response = socket.connection.response
            assert response is not None
            yield Scene(socket, response.headers["X-Request-Id"], statements, foreign)


async def possessions(tenant: Tenant, user: Caller) -> dict[str, str]:
    """A thread and a run, by the names of their fields."""
    agent = {"name": "w", "kind": "worker"}
    assert (await tenant.key.post(f"/v1/tenants/{tenant.id}/agents", agent)).status == 201
    thread = (await user.post("/v1/threads", {"title": "private"})).json["id"]
    started = await user.post(f"/v1/threads/{thread}/runs", {"agent": "w"})
    assert started.status == 201, started.body
    return {"thread_id": thread, "run_id": started.json["run"]["id"]}


def cases() -> list[tuple[str, Json]]:
    """Every command that names something, without the id, and the field of the id."""
    found: list[tuple[str, Json]] = []
    for shape, kind in NAMES.items():
        fields = msgspec.structs.fields(shape)
        for field in (each.name for each in fields if each.name in ID_FIELDS):
            needed = {each.name for each in fields if each.required} - {"id", field}
            command: Json = {"type": kind} | {name: VALUES[name] for name in sorted(needed)}
            found += [(field, command | more) for more in [{}, *VARIANTS.get(kind, [])]]
    return found


def test_the_matrix_covers_every_command_with_an_id() -> None:
    covered = {command["type"] for _, command in cases()}

    assert set(NAMES.values()) - covered == {"list_threads", "create_thread", "ping"}
    assert len(cases()) >= 15


async def test_a_foreign_id_is_answered_as_a_random_one(scene: Scene) -> None:
    costs: dict[str, int] = {}
    for field, command in cases():
        for theirs in scene.foreign:
            random = f"{theirs[field][:4]}{secrets.token_hex(16)}"
            foreign_answer, foreign_cost = await scene.ask({**command, field: theirs[field]})
            random_answer, random_cost = await scene.ask({**command, field: random})

            assert without_ids(foreign_answer) == without_ids(random_answer), command
            assert foreign_cost == random_cost, command
            if foreign_answer["type"] == "error":
                assert foreign_answer["error"]["code"] == "not_found", command
            costs[str(command)] = len(foreign_cost)

    # To leave a thread that one does not follow is no error and asks nobody.
    assert [command for command, cost in costs.items() if not cost] == ["{'type': 'unsubscribe'}"]


def without_ids(answer: Any) -> Any:
    """What must be alike."""
    return {**answer, "error": {**answer.get("error", {}), "request_id": ""}}
