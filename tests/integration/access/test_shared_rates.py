from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import monotonic

import pytest
import redis.asyncio

from tests.support.redis import RedisServer
from tests.support.waiting import until
from threadkeep.domain import ids
from threadkeep.domain.limits import Limits
from threadkeep.domain.principals import Principal
from threadkeep.errors import TooMany
from threadkeep.services.rates import Rates
from threadkeep.settings import load
from threadkeep.storage.shared_rates import SharedRates

SETTINGS = load({"THREADKEEP_DATABASE_URL": "postgresql://unused"})


@asynccontextmanager
async def process(url: str) -> AsyncIterator[tuple[Rates, SharedRates]]:
    rates = Rates(SETTINGS)
    shared = SharedRates(url, rates.charge)
    rates.share(shared.spent)
    shared.start()
    try:
        yield rates, shared
    finally:
        await shared.aclose()


def user() -> Principal:
    limits = Limits(messages_per_minute=60, requests_per_minute=1)
    return Principal(ids.new_id(), "ann", "key:1", limits=limits)


async def missing_in(rates: Rates, principal: Principal) -> None:
    """Wait until the user's messages are gone, which come back in a minute.

    Looked at and not tried: all that are there would be taken in a while.
    """
    limit = principal.limits.messages_per_minute

    def are_gone() -> bool:
        key = (principal.tenant, principal.owner)
        return rates._messages.wait(key, limit, limit // 2, monotonic()) > 0

    await until(are_gone, 15.0)
    with pytest.raises(TooMany):
        rates.take_messages(principal, limit // 2)


async def test_what_is_taken_in_one_process_is_missing_in_the_other(redis_url: str) -> None:
    ann, bob = user(), user()
    async with process(redis_url) as (here, one), process(redis_url) as (there, other):
        await until(lambda: one.is_connected and other.is_connected)
        here.take_messages(ann, 60)
        here.take_request(ann)

        await missing_in(there, ann)
        with pytest.raises(TooMany):
            there.take_request(ann)
        there.take_messages(bob, 10)


async def test_a_process_does_not_charge_itself(redis_url: str) -> None:
    ann, witness = user(), user()
    async with process(redis_url) as (here, one), process(redis_url) as (there, other):
        await until(lambda: one.is_connected and other.is_connected)
        here.take_messages(ann, 30)
        here.take_messages(witness, 60)
        await missing_in(there, witness)

        here.take_messages(ann, 30)


async def test_while_redis_is_away_each_process_counts_for_itself(
    redis_server: RedisServer,
) -> None:
    async with (
        process(redis_server.url) as (here, one),
        process(redis_server.url) as (there, other),
    ):
        await until(lambda: one.is_connected and other.is_connected)
        await asyncio.to_thread(redis_server.stop)
        await until(lambda: not one.is_connected and not other.is_connected)
        ann = user()
        here.take_messages(ann, 60)
        there.take_messages(ann, 60)
        with pytest.raises(TooMany):
            here.take_messages(ann, 30)

        await asyncio.to_thread(redis_server.start)
        await until(lambda: one.is_connected and other.is_connected, 10.0)
        bob = user()
        here.take_messages(bob, 60)
        await missing_in(there, bob)


async def test_what_is_not_a_report_is_passed_over(redis_url: str) -> None:
    ann = user()
    client = redis.asyncio.Redis.from_url(redis_url)
    async with process(redis_url) as (here, one), process(redis_url) as (there, other):
        await until(lambda: one.is_connected and other.is_connected)
        for raw in (b"\xff", b"{}", b'["x", [["tokens", "t", "o", 1, 1]]]', b'["x", [["m"]]]'):
            await client.publish("threadkeep:rates", raw)
        here.take_messages(ann, 60)

        await missing_in(there, ann)
    await client.aclose()
