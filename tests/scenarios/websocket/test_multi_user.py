"""A socket carries what belongs to its user, whatever happens to others at the same time."""

from __future__ import annotations

import asyncio
import json
import re
import secrets

import pytest

from ..callers import Caller, Json, Platform, Tenant
from ..figures import Figures
from ..levels import Levels
from ..wire import Socket
from .conftest import Way
from .runs import FIVE, is_end, kinds, make_player

pytestmark = pytest.mark.scenario("websocket", "multi-user isolation")

_CANARY = re.compile(r"canary-[0-9a-f]{16}")
_RANDOM = "thr_" + "0123456789abcdef" * 2


async def test_three_users_see_only_their_own_events(operator: Platform, tenant: Tenant) -> None:
    """Their agents work at the same time; each user has one socket, at either process."""
    agent = await make_player(operator, tenant)
    users = [tenant.user(name, at=at) for at, name in enumerate(("ann", "bob", "cid"))]
    threads = [await user.create() for user in users]

    async def follow(user: Caller, thread: Json) -> list[Json]:
        async with user.socket() as socket:
            await socket.command("subscribe", thread_id=thread["id"], after_seq=1)
            answer = await socket.command("start_agent", thread_id=thread["id"], agent=agent)
            assert answer["type"] == "ok", answer
            return await socket.until(is_end)

    seen = await asyncio.gather(*(follow(*each) for each in zip(users, threads, strict=True)))

    for frames, thread in zip(seen, threads, strict=True):
        assert kinds(frames) == FIVE
        assert {frame["thread_id"] for frame in frames} == {thread["id"]}
    assert len({frame["id"] for frames in seen for frame in frames}) == 15
    for user, thread in zip(users, threads, strict=True):
        assert (await user.thread(thread["id"]))["owner"] == user.headers["Threadkeep-User"]


class Listener:
    """A user with one thread, whose every text carries his canary, and a socket per process."""

    def __init__(self, tenant: Tenant, name: str) -> None:
        self.users = [tenant.user(name, at=at) for at in (0, 1)]
        self.canary = f"canary-{secrets.token_hex(8)}"
        self.thread: Json = {}
        self.own = 0
        self.foreign: list[str] = []
        self.refused = 0

    async def prepare(self) -> None:
        """Make the thread."""
        self.thread = await self.users[0].create(title=self.canary)

    async def listen(self, at: int, others: list[Listener], count: int) -> None:
        """Follow the own thread, try to follow others, and read until all own texts came."""
        async with self.users[at].socket() as socket:
            answer = await socket.command("subscribe", thread_id=self.thread["id"], after_seq=0)
            assert answer.get("verdict") == "resumed", answer
            await socket.command("subscribe", feed="user")
            for other in others:
                await self._try(socket, other)
            texts = 0
            while texts < count:
                texts += self._take(await socket.next(20))
            await socket.command("ping")
            for frame in socket.frames:
                texts += self._take(frame)
            assert texts == count

    async def write(self, count: int) -> None:
        """Say something over a socket, many times."""
        async with self.users[0].socket() as socket:
            for n in range(count):
                answer = await socket.command(
                    "user_message", thread_id=self.thread["id"], content=f"{self.canary} {n}"
                )
                assert answer["type"] == "ok", answer

    async def _try(self, socket: Socket, other: Listener) -> None:
        answers = [
            await socket.command(kind, thread_id=thread, **fields)
            for thread in (other.thread["id"], _RANDOM)
            for kind, fields in _ATTEMPTS
        ]
        told = [(answer["type"], answer["error"]["code"]) for answer in answers]
        assert told == [("error", "not_found")] * len(told)
        self.refused += len(told)

    def _take(self, frame: Json) -> bool:
        """Look for canaries in a frame; True when it is an own message."""
        found = set(_CANARY.findall(json.dumps(frame)))
        self.foreign += found - {self.canary}
        self.own += self.canary in found
        return frame["type"] == "message" and found == {self.canary}


_ATTEMPTS: list[tuple[str, Json]] = [
    ("subscribe", {}),
    ("subscribe", {"after_seq": 0}),
    ("switch_thread", {}),
    ("get_thread_history", {}),
    ("user_message", {"content": "let me in"}),
]


async def test_many_sockets_carry_no_foreign_event(
    way: Way, operator: Platform, levels: Levels, figures: Figures
) -> None:
    """Two tenants whose users have the same names; every user follows at both processes."""
    tenants = [await operator.tenant() for _ in range(2)]
    listeners = [Listener(tenants[n % 2], f"user-{n // 2}") for n in range(levels.sockets // 2)]
    await asyncio.gather(*(each.prepare() for each in listeners))
    count = -(-levels.frames // (2 * len(listeners)))

    async with asyncio.TaskGroup() as group:
        for n, each in enumerate(listeners):
            others = [listeners[n - 1], listeners[n - 2]]
            for at in (0, 1):
                group.create_task(each.listen(at, others, count))
            group.create_task(each.write(count))

    received = sum(each.own for each in listeners)
    assert [each.foreign for each in listeners] == [[]] * len(listeners)
    assert min(each.own for each in listeners) >= 2 * count
    assert received >= levels.frames
    refused = sum(each.refused for each in listeners)
    figures.record(f"{way.name}: sockets", 2 * len(listeners), n=received)
    figures.record(f"{way.name}: own events received", received, n=received)
    figures.record(f"{way.name}: foreign events received", 0, n=received)
    figures.record(f"{way.name}: attempts refused", refused, n=refused)
