"""The local cluster as a program: what it does when it is killed, harmed or in the way."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from ..support import resources
from ..support.waiting import until
from . import manifests, second
from .local import machine
from .second import Second

_SECONDS = 180.0
_SCHEDULER = 10259
"""Its port."""
_AGAIN = "kube-scheduler ended with 1; starting it again."


@pytest.fixture
def other() -> Iterator[Second]:
    """A cluster that is not up yet."""
    if reason := machine.lacks():
        resources.missing("cluster", reason)
    other = Second()
    other.prepare()
    yield other
    other.remove()


async def test_what_a_killed_cluster_left_is_cleaned_before_the_next_starts(
    other: Second, tmp_path: Path
) -> None:
    up = other.command("up")
    assert up.returncode == 0
    assert "ResourceWarning" not in up.stdout, "who started it still holds what outlives it"
    assert other.command("status", HOME=str(tmp_path)).returncode == 0, "it is one per machine"
    other.kubectl("create", "-f", "-", text=json.dumps(manifests.pod("server", "/serve")))
    other.kubectl("wait", "--for=condition=Ready", "pod/server", f"--timeout={_SECONDS:.0f}s")
    before = other.processes()
    bystander = subprocess.Popen(("sleep", "600"))
    # As if a component's number had gone to somebody else's process.
    (other.state / "pids" / "old").write_text(f"{bystander.pid} 1\n", "ascii")
    os.kill(other.supervisor, signal.SIGKILL)

    left = other.command("status")

    assert left.returncode == 1
    for each in ("kubelet-2", "runtime of a pod", "mount", "link", "namespace", "control groups"):
        assert each in left.stdout

    # Two at once: one starts it, the other finds it started.
    starts = [second.finished(each) for each in (other.begin("up"), other.begin("up"))]

    assert [each.returncode for each in starts] == [0, 0]
    assert ["Adopting" in each.stdout for each in starts].count(True) == 1
    assert ["Cleaning up" in each.stdout for each in starts].count(True) == 1
    assert not any(Path(f"/proc/{pid}").exists() for pid in before.values())
    assert other.kubectl("get", "pods", "-o", "name") == ""
    assert bystander.poll() is None
    bystander.kill()
    bystander.wait()

    assert other.command("down").returncode == 0
    assert other.command("status").stdout.splitlines()[1:] == []
    assert f"{other.name}-" not in Path("/proc/self/mountinfo").read_text("utf-8")
    assert not list(Path("/sys/fs/cgroup").rglob(f"{other.name}*"))


async def test_a_component_that_ends_is_started_again(other: Second) -> None:
    with other.taken(_SCHEDULER):
        up = other.begin("up")
        await until(lambda: _AGAIN in other.events(), _SECONDS, what="an accident at the start")
    assert second.finished(up).returncode == 0
    old = other.processes()["kubelet-2"]

    os.kill(old, signal.SIGKILL)

    await until(lambda: other.processes().get("kubelet-2", old) != old, _SECONDS)
    ready = f"--timeout={_SECONDS:.0f}s"
    other.kubectl("wait", "--for=condition=Ready", "nodes", "--all", ready)


def test_a_component_that_cannot_start_is_named_with_the_end_of_its_log(other: Second) -> None:
    with other.taken(_SCHEDULER):
        start = other.command("up")

    assert start.returncode == 1
    assert "kube-scheduler ended with 1 again and again" in start.stdout
    assert "address already in use" in start.stdout
    assert other.processes() == {}
