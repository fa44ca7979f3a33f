from __future__ import annotations

import pytest

from threadkeep.domain.limits import Limits
from threadkeep.domain.principals import Principal
from threadkeep.errors import TooMany
from threadkeep.services.rates import Rates
from threadkeep.settings import load


class Clock:
    """Time that tests move."""

    now = 50.0

    def __call__(self) -> float:
        """The time now."""
        return self.now


def rates(clock: Clock, **settings: str) -> Rates:
    return Rates(load({"THREADKEEP_DATABASE_URL": "postgresql://x"} | settings), clock=clock)


def user(owner: str = "ann", **limits: int) -> Principal:
    return Principal("0" * 32, owner, "key:1", limits=Limits(**limits))


def test_messages_above_the_limit_are_refused_with_the_exact_wait() -> None:
    clock = Clock()
    limited = rates(clock)
    limited.take_messages(user(), 60)

    with pytest.raises(TooMany) as refusal:
        limited.take_messages(user(), 2)

    assert refusal.value.retry_after == pytest.approx(2.0)
    clock.now += refusal.value.retry_after
    limited.take_messages(user(), 2)


def test_messages_and_requests_are_counted_apart_and_per_user() -> None:
    limited = rates(Clock())
    ann, bob = (user(name, messages_per_minute=1, requests_per_minute=1) for name in ("ann", "bob"))
    limited.take_messages(ann, 1)
    limited.take_request(ann)
    limited.take_messages(bob, 1)
    with pytest.raises(TooMany):
        limited.take_messages(ann, 1)
    with pytest.raises(TooMany):
        limited.take_request(ann)


def test_a_limit_of_zero_is_none() -> None:
    limited = rates(Clock())
    free = user(messages_per_minute=0, requests_per_minute=0, sockets_per_user=0)
    for _ in range(5000):
        limited.take_messages(free, 100)
        limited.take_request(free)
        limited.socket(free)


def test_what_another_process_reports_is_counted_here() -> None:
    clock = Clock()
    here, there = rates(clock), rates(clock)
    there.share(here.charge)
    there.take_messages(user(), 60)

    with pytest.raises(TooMany):
        here.take_messages(user(), 1)


def test_sockets_are_counted_until_they_are_released_once() -> None:
    limited = rates(Clock())
    ann = user(sockets_per_user=2)
    first, second = limited.socket(ann), limited.socket(ann)
    with pytest.raises(TooMany):
        limited.socket(ann)
    limited.socket(user("bob", sockets_per_user=1))

    first.release()
    first.release()

    with limited.socket(ann), pytest.raises(TooMany):
        limited.socket(ann)
    second.release()


def test_only_attempts_that_fail_add_up_for_an_address() -> None:
    clock = Clock()
    limited = rates(clock, THREADKEEP_ADDRESS_ATTEMPTS_PER_MINUTE="2")
    for _ in range(10):
        limited.take_address("192.0.2.1")
        limited.authenticated("192.0.2.1")
    limited.take_address("192.0.2.1")
    limited.take_address("192.0.2.1")

    with pytest.raises(TooMany) as refusal:
        limited.take_address("192.0.2.1")

    assert refusal.value.retry_after == pytest.approx(30.0)
    limited.take_address("192.0.2.2")


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        ("2001:db8:0:1::1", "2001:db8:0:1:ffff::2", True),
        ("2001:db8:0:1::1", "2001:db8:0:2::1", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.2", False),
        ("unix socket", "unix socket", True),
    ],
)
def test_an_ipv6_network_counts_as_one_address(one: str, other: str, is_same: bool) -> None:
    limited = rates(Clock(), THREADKEEP_ADDRESS_ATTEMPTS_PER_MINUTE="1")
    limited.take_address(one)
    if is_same:
        with pytest.raises(TooMany):
            limited.take_address(other)
    else:
        limited.take_address(other)
