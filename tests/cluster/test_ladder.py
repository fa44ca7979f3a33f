"""Where the tests look for a cluster, and what they say when there is none."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from . import ladder

_ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", ["kind-threadkeep", "k3d-try", "threadkeep-local"])
def test_contexts_for_tests_are_taken(name: str) -> None:
    assert ladder.allowed(name) == name


def test_a_context_that_may_hold_something_of_value_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("THREADKEEP_TEST_CONTEXT_CONFIRM", raising=False)

    with pytest.raises(ladder.ContextRefused, match="production is none of kind-"):
        ladder.allowed("production")


def test_a_context_that_is_named_twice_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THREADKEEP_TEST_CONTEXT_CONFIRM", "mine")

    assert ladder.allowed("mine") == "mine"
    with pytest.raises(ladder.ContextRefused):
        ladder.allowed("other")


@pytest.mark.parametrize(
    ("promise", "outcome"),
    [
        ({}, "1 skipped"),
        ({"CI": "true"}, "1 error"),
        ({"THREADKEEP_TEST_REQUIRE": "cluster"}, "1 error"),
    ],
)
def test_without_any_cluster_the_run_says_so_or_fails(
    tmp_path: Path, promise: dict[str, str], outcome: str
) -> None:
    """`tmp_path` is the whole PATH: no Go, no containerd, no container engine."""
    done = subprocess.run(
        (sys.executable, "-m", "pytest", "-q", "tests/cluster/test_cluster.py", "-k", "rolls_out"),
        cwd=_ROOT,
        env={"PATH": str(tmp_path), "HOME": os.environ["HOME"], **promise},
        capture_output=True,
        check=False,
        encoding="utf-8",
    )

    assert outcome in done.stdout
    assert "no kind (kind is not installed); no local cluster (" in done.stdout
