"""Connections are shared, principals are not: nobody ever gets a byte of somebody else."""

from __future__ import annotations

import asyncio
import random
import re
import secrets
from collections import Counter
from dataclasses import dataclass, field
from functools import partial

import pytest

from ..callers import Caller, Platform, Tenant
from ..figures import Figures
from ..levels import Levels

pytestmark = [
    pytest.mark.scenario("isolation", "concurrent multi-user"),
    pytest.mark.timeout(900),
]

_CANARY = re.compile(r"canary-[0-9a-f]{16}")
_TRIES = 5


async def test_fifteen_operations_at_once_are_kept_apart(tenant: Tenant) -> None:
    async def operate(number: int) -> tuple[str, str, list[str]]:
        name = f"user-{number % 5}"
        user = tenant.user(name, at=number)
        thread = (await user.create(metadata={"isolation_key": name}))["id"]
        said = [await user.say(thread, f"{name} says {part}") for part in range(2)]
        return name, thread, [answer["data"][0]["id"] for answer in said]

    done = await asyncio.gather(*(operate(number) for number in range(15)))
    assert len({thread for _, thread, _ in done}) == 15
    assert len({message for _, _, messages in done for message in messages}) == 30
    assert set(Counter(name for name, _, _ in done).values()) == {3}
    for name in {name for name, _, _ in done}:
        listed = await tenant.user(name).pages("/v1/threads")
        assert {t["metadata"]["isolation_key"] for t in listed} == {name}
        assert {t["id"] for t in listed} == {thread for n, thread, _ in done if n == name}


@dataclass
class Reader:
    """A user whose every text carries his canary, and what he has got."""

    user: Caller
    canary: str
    threads: list[str] = field(default_factory=list)
    responses: int = 0
    own: int = 0

    async def prepare(self) -> None:
        """Two threads with a message each."""
        for _ in range(2):
            thread = await self.user.create(title=self.canary, metadata={"canary": self.canary})
            self.threads.append(thread["id"])
            await self.user.say(thread["id"], self.canary)

    async def act(self, chance: random.Random) -> None:
        """One request, whose answer is searched for canaries."""
        thread = f"/v1/threads/{chance.choice(self.threads)}"
        kind = chance.random()
        if kind < 0.2:
            said = {"messages": [{"content": self.canary}]}
            ask = partial(self.user.send, "POST", f"{thread}/messages", json=said)
        elif kind < 0.3:
            changed = {"metadata": {"turn": chance.random()}}
            ask = partial(self.user.send, "PATCH", thread, json=changed)
        else:
            lists = ("/v1/threads", "/v1/search?q=canary")
            path = chance.choice(
                (thread, f"{thread}/messages", f"{thread}/entries?limit=20", *lists)
            )
            ask = partial(self.user.send, "GET", path)
        for _ in range(_TRIES):
            answer = await ask()
            found = _CANARY.findall(answer.text)
            assert set(found) <= {self.canary}, f"a canary of somebody else at {answer.request.url}"
            if answer.status_code != 503:  # else the few connections were taken for too long
                assert answer.is_success, answer.text
                self.responses += 1
                self.own += len(found)
                return
        raise AssertionError(f"503, {_TRIES} times in a row")


async def test_canaries_stay_with_their_users(
    small_pool: Platform, levels: Levels, figures: Figures
) -> None:
    """Many users of two tenants at once over few connections of two processes."""
    tenants = [await small_pool.tenant() for _ in range(2)]
    readers = [
        Reader(tenants[n % 2].user(f"user-{n // 2}", at=n // 2), f"canary-{secrets.token_hex(8)}")
        for n in range(levels.users)
    ]
    await asyncio.gather(*(reader.prepare() for reader in readers))
    chance = random.Random(41)
    share = -(-levels.responses // len(readers))

    async def read(reader: Reader) -> None:
        for _ in range(share):
            await reader.act(chance)

    await asyncio.gather(*(read(reader) for reader in readers))
    responses = sum(reader.responses for reader in readers)
    assert min(reader.own for reader in readers) > 0
    assert responses >= levels.responses
    figures.record("users at once", len(readers), n=responses)
    figures.record("responses searched", responses, n=responses)
    figures.record("own canaries seen", sum(reader.own for reader in readers), n=responses)
    figures.record("foreign canaries seen", 0, n=responses)
