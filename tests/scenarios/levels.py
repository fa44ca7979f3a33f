"""How much the scenarios do: one table, printed in every report, never scaled down in silence.

`control` is for sabotaged deployments, just enough to turn a scenario red, and for ways of delivery
beside the usual one.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, fields
from typing import Final

import pytest


@dataclass(frozen=True, kw_only=True)
class Levels:
    """Amounts of one profile."""

    samples: int
    """Calls behind a latency figure."""
    probes: int
    """Attempts on random and foreign ids."""
    users: int
    """Users at once in the scenarios of isolation."""
    responses: int
    """Answers searched for foreign canaries."""
    sockets: int
    """Open sockets in the scenarios of delivery."""
    frames: int
    """Frames searched for foreign canaries."""
    runs: int
    """Runs whose states are followed."""
    thread_messages: int
    """Messages of the longest thread that is read."""
    user_requests: int
    """Requests of each of twenty users."""
    kills: int
    """Crashes of processes and of the database."""
    active_users: int
    """Most users at once in the mix of the scaling scenarios; they begin with ten."""
    user_operations: int
    """Operations of each of them."""
    connected_users: int
    """Users who are connected by a socket at the same time."""
    socket_operations: int
    """Commands of each of them, one in two seconds."""
    volume_messages: int
    """Messages of the longest of the threads that grow."""
    stored_objects: int
    """Users, threads and messages stored while the service's memory is watched, at most."""
    idle_sockets: int
    """Sockets opened while the service's memory is watched."""
    parallel_operations: int
    """Most operations at the same moment."""
    outage_seconds: int
    """How long the database is away."""


CONTROL: Final = "control"
PROFILES: Final = {
    CONTROL: Levels(
        samples=10,
        probes=100,
        users=10,
        responses=300,
        sockets=12,
        frames=200,
        runs=5,
        thread_messages=100,
        user_requests=4,
        kills=1,
        active_users=50,
        user_operations=5,
        connected_users=40,
        socket_operations=2,
        volume_messages=2_000,
        stored_objects=15_225,
        idle_sockets=300,
        parallel_operations=200,
        outage_seconds=3,
    ),
    "ci": Levels(
        samples=200,
        probes=1000,
        users=40,
        responses=5_000,
        sockets=60,
        frames=2_000,
        runs=50,
        thread_messages=500,
        user_requests=100,
        kills=10,
        active_users=200,
        user_operations=20,
        connected_users=1_000,
        socket_operations=3,
        volume_messages=10_000,
        stored_objects=15_225,
        idle_sockets=1_000,
        parallel_operations=1_000,
        outage_seconds=4,
    ),
    "laptop": Levels(
        samples=400,
        probes=1000,
        users=100,
        responses=20_000,
        sockets=200,
        frames=10_000,
        runs=200,
        thread_messages=1_000,
        user_requests=100,
        kills=10,
        active_users=200,
        user_operations=20,
        connected_users=1_000,
        socket_operations=10,
        volume_messages=10_000,
        stored_objects=181_300,
        idle_sockets=2_000,
        parallel_operations=1_000,
        outage_seconds=30,
    ),
    "cluster": Levels(
        samples=1000,
        probes=1000,
        users=200,
        responses=100_000,
        sockets=200,
        frames=10_000,
        runs=500,
        thread_messages=1_000,
        user_requests=200,
        kills=10,
        active_users=200,
        user_operations=20,
        connected_users=1_000,
        socket_operations=30,
        volume_messages=10_000,
        stored_objects=181_300,
        idle_sockets=2_000,
        parallel_operations=1_000,
        outage_seconds=180,
    ),
}


def profile_of(config: pytest.Config) -> str:
    """`--profile`, else THREADKEEP_TEST_PROFILE, else `ci`."""
    name = config.getoption("--profile") or os.environ.get("THREADKEEP_TEST_PROFILE") or "ci"
    if name not in PROFILES:
        raise pytest.UsageError(f"There is no profile {name}; known are {', '.join(PROFILES)}.")
    return str(name)


def table() -> list[tuple[str, dict[str, int]]]:
    """(amount, profile → value), for the report."""
    return [
        (field.name, {name: getattr(levels, field.name) for name, levels in PROFILES.items()})
        for field in fields(Levels)
    ]
