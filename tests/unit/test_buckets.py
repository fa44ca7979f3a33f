from __future__ import annotations

from itertools import accumulate

from hypothesis import given, settings
from hypothesis import strategies as st

from threadkeep.domain.buckets import WINDOW, Buckets

LIMITS = st.integers(1, 5000)
STEPS = st.lists(
    st.tuples(st.floats(0, 90, allow_subnormal=False), st.integers(1, 120)),
    min_size=1,
    max_size=40,
)


@settings(max_examples=150, deadline=None)
@given(limit=LIMITS, steps=STEPS)
def test_no_span_of_time_gives_more_than_its_share_and_one_bucket(
    limit: int, steps: list[tuple[float, int]]
) -> None:
    buckets = Buckets()
    times = list(accumulate(pause for pause, _ in steps))
    taken = [
        (now, min(n, limit))
        for now, (_, n) in zip(times, steps, strict=True)
        if buckets.take("ann", limit, min(n, limit), now) == 0.0
    ]

    for first, (start, _) in enumerate(taken):
        for last in range(first, len(taken)):
            span = taken[last][0] - start
            given_out = sum(n for _, n in taken[first : last + 1])
            assert given_out <= limit + span * limit / WINDOW + 1e-6


@settings(max_examples=150, deadline=None)
@given(limit=LIMITS, steps=STEPS)
def test_a_refusal_names_the_first_moment_that_would_do(
    limit: int, steps: list[tuple[float, int]]
) -> None:
    buckets = Buckets()
    now = 1000.0
    for pause, n in [*steps, *[(0.0, limit)] * 2]:
        now += pause
        wait = buckets.take("ann", limit, n, now)
        if wait:
            assert buckets.take("ann", limit, n, now + wait * 0.999 - 1e-6) > 0.0
            now += wait
            assert buckets.take("ann", limit, n, now) == 0.0


@given(limit=LIMITS)
def test_after_a_minute_of_rest_a_bucket_is_full_again(limit: int) -> None:
    buckets = Buckets()
    assert buckets.take("ann", limit, limit, 0.0) == 0.0
    assert buckets.take("ann", limit, 1, 0.0) > 0.0

    assert buckets.take("ann", limit, limit, WINDOW) == 0.0


def test_more_than_a_bucket_holds_is_given_when_it_is_full_and_paid_afterwards() -> None:
    buckets = Buckets()
    assert buckets.take("ann", 60, 100, 0.0) == 0.0

    assert buckets.take("ann", 60, 1, 0.0) == 41.0
    assert buckets.take("ann", 60, 100, 100.0) == 0.0


def test_one_user_does_not_spend_the_tokens_of_another() -> None:
    buckets = Buckets()
    assert buckets.take("ann", 1, 1, 0.0) == 0.0
    assert buckets.take("ann", 1, 1, 0.0) == 60.0

    assert buckets.take("bob", 1, 1, 0.0) == 0.0


def test_what_is_given_back_can_be_taken_again() -> None:
    buckets = Buckets()
    assert buckets.take("ann", 1, 1, 0.0) == 0.0
    buckets.charge("ann", 1, -1, 0.0)

    assert len(buckets) == 0
    assert buckets.take("ann", 1, 1, 0.0) == 0.0


def test_memory_is_bounded_and_the_emptiest_buckets_are_kept() -> None:
    buckets = Buckets(size=100)
    assert buckets.take("greedy", 10, 10, 0.0) == 0.0
    for number in range(1000):
        assert buckets.take(number, 10, 1, 0.0) == 0.0
        assert len(buckets) <= 100

    assert buckets.take("greedy", 10, 1, 0.0) > 0.0
