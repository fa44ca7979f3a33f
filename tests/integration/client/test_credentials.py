"""Tokens that end while nobody looks, and those who give new ones."""

from __future__ import annotations

import time

import pytest

from tests.support.tenants import DemoTenant
from tests.support.waiting import until
from threadkeep.client import NotAuthenticated, RetryPolicy, Thread, Threadkeep

from .readers import seqs, up_to
from .ways import Refusals, Way

_BUSY = b'{"error":{"code":"unavailable","message":"busy","retry_after_ms":10}}'
_EXPIRED = b'{"error":{"code":"not_authenticated","message":"expired"}}'


class Tokens:
    """Gives the next of these tokens; the last one again and again."""

    def __init__(self, *tokens: str | Exception) -> None:
        self._tokens = list(tokens)
        self.given = 0

    def __call__(self) -> str:
        """A token."""
        self.given += 1
        token = self._tokens.pop(0) if len(self._tokens) > 1 else self._tokens[0]
        if isinstance(token, Exception):
            raise token
        return token


async def test_a_token_that_ended_during_an_outage_is_renewed(
    tenant: DemoTenant, way: Way, client: Threadkeep, thread: Thread
) -> None:
    ends = time.time() + 2
    tokens = Tokens(tenant.token("ann", seconds=2), tenant.token("ann"))
    policy = RetryPolicy(longest_pause=0.2)
    async with Threadkeep(way.url, token=tokens, retry=policy) as reader:
        subscription = reader.subscribe(thread)
        await up_to(subscription, 1)
        way.is_shut = True
        way.cut()
        await until(lambda: way.connections > 3 and time.time() > ends + 1, 10)
        await client.append(thread, "while away")
        way.is_shut = False

        assert seqs(await up_to(subscription, 2)) == [2]
    assert tokens.given == 2


async def test_a_token_that_is_refused_again_and_again_ends_the_subscription(
    tenant: DemoTenant, thread: Thread
) -> None:
    tokens = Tokens(tenant.token("ann", seconds=-5))
    async with Threadkeep(tenant.url, token=tokens) as reader:
        with pytest.raises(NotAuthenticated):
            await up_to(reader.subscribe(thread), 1)
        with pytest.raises(NotAuthenticated):
            await reader.threads.get(thread)

    assert tokens.given == 3  # one more each, and then the truth


async def test_who_gives_tokens_may_be_away_for_a_while(tenant: DemoTenant, thread: Thread) -> None:
    away = RuntimeError("the identity provider is away")
    tokens = Tokens(away, away, tenant.token("ann"))
    async with Threadkeep(tenant.url, token=tokens) as reader:
        assert seqs(await up_to(reader.subscribe(thread), 1)) == [1]


async def test_a_token_that_ends_between_two_attempts_is_renewed() -> None:
    refusals = Refusals([(503, {}, _BUSY), (401, {}, _EXPIRED)])
    tokens = Tokens("first", "second")
    async with refusals.serving(), Threadkeep(refusals.url, token=tokens) as client:
        await client.append("thr_0", "patience")

    assert len(refusals.times) == 3
    assert tokens.given == 2
