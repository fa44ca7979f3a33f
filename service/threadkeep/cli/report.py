"""`threadkeep report`: open what a run of the suites found, from the cluster or from a file."""

from __future__ import annotations

import base64
import gzip
import json
import os
import re
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import click

from threadkeep.errors import DependencyError

PAGE: Final = "report.html"
_SECONDS: Final = 60
_POLL_SECONDS: Final = 2.0
_PART: Final = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_NAME: Final = re.compile(rf"{_PART}(\.{_PART})*")
_NAME_LENGTH: Final = 253
"""What Kubernetes takes as the name of an object."""


@dataclass(frozen=True)
class Cluster:
    """Where kubectl asks."""

    namespace: str | None
    context: str | None

    def get(self, kind: str, name: str) -> bytes:
        """One object as JSON."""
        program = shutil.which("kubectl")
        if program is None:
            raise DependencyError("kubectl is not installed, and there is no such file.")
        where = [f"--namespace={self.namespace}"] if self.namespace else []
        where += [f"--context={self.context}"] if self.context else []
        try:
            ended = subprocess.run(
                [program, "get", kind, "--output=json", *where, "--", name],
                capture_output=True,
                timeout=_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired as exc:
            raise click.ClickException(f"kubectl did not answer within {_SECONDS} s.") from exc
        if ended.returncode:
            said = ended.stderr.decode("utf-8", "replace").strip().splitlines() or ["nothing"]
            raise click.ClickException(
                f"There is no file {name}, and kubectl has no {kind} of that name: {said[-1]}"
            )
        return ended.stdout


@click.command()
@click.argument("run")
@click.option("--namespace", "-n", help="Where the Job ran; else kubectl's own namespace.")
@click.option("--context", help="A context of kubectl; else the current one.")
@click.option(
    "--wait",
    "seconds",
    type=click.IntRange(min=1),
    metavar="SECONDS",
    help="Wait so long for the Job to end, and exit with 1 unless it completed.",
)
@click.option(
    "--output", "-o", type=click.Path(path_type=Path), help="Where the page goes; else RUN.html."
)
@click.option(
    "--open/--no-open",
    "is_shown",
    default=None,
    help="Show it in a browser; else where there is a screen.",
)
def report(
    run: str,
    namespace: str | None,
    context: str | None,
    seconds: int | None,
    output: Path | None,
    *,
    is_shown: bool | None,
) -> None:
    """Show the report of RUN: a Job of the suites, a folder with report.html, or one of its files.

    A Job's results are in a ConfigMap of its name, which kubectl fetches.
    """
    place = on_disk(run) if seconds is None else None
    completed = True
    if place:
        page, summary = from_file(place)
    elif _NAME.fullmatch(run) and len(run) <= _NAME_LENGTH:
        cluster = Cluster(namespace, context)
        completed = seconds is None or ends_well(cluster, run, seconds)
        page, summary = from_config_map(cluster.get("configmap", run))
    else:
        raise click.UsageError(f"{run!r} is no file, and cannot be the name of a Job.")
    target = output or Path(f"{stem(place) if place else run}.html")
    if not (place and target.resolve() == place.resolve()):
        target.write_bytes(page)
    for line in told(summary):
        click.echo(line)
    click.echo(f"{target}")
    if has_screen() if is_shown is None else is_shown:
        click.launch(str(target))
    if not completed:
        raise SystemExit(1)


def ends_well(cluster: Cluster, run: str, seconds: float) -> bool:
    """Wait until a Job has ended; whether it completed."""
    click.echo(f"Waiting for job/{run} to end; kubectl logs --follow job/{run} shows what it does.")
    until = time.monotonic() + seconds
    while True:
        status = json.loads(cluster.get("job", run)).get("status", {})
        ended = {c["type"] for c in status.get("conditions", []) if c["status"] == "True"}
        if ended & {"Complete", "Failed"}:
            return "Complete" in ended
        if time.monotonic() > until:
            raise click.ClickException(f"job/{run} has not ended within {seconds} s.")
        time.sleep(_POLL_SECONDS)


def has_screen() -> bool:
    """Whether a browser could show something: over SSH to a Linux machine it usually cannot."""
    screens = ("DISPLAY", "WAYLAND_DISPLAY")
    return not sys.platform.startswith("linux") or any(map(os.environ.get, screens))


def on_disk(run: str) -> Path | None:
    """The file or folder of this name, if there is one."""
    try:
        return Path(run) if run and Path(run).exists() else None
    except OSError:
        return None


def stem(place: Path) -> str:
    """What the page of a file or folder is called, also of `.` and of hidden ones."""
    name = place.name.strip(".") or place.resolve().name.strip(".")
    return name.split(".")[0] or "report"


def from_file(place: Path) -> tuple[bytes, dict[str, Any]]:
    """Page and summary of a folder, a page, a compressed page, or a ConfigMap saved as JSON."""
    if place.is_dir():
        place = next((p for p in (place / PAGE, place / f"{PAGE}.gz") if p.exists()), place / PAGE)
    if not place.exists():
        raise click.ClickException(f"There is no {PAGE} in {place.parent}.")
    content = place.read_bytes()
    if place.suffix == ".json":
        return from_config_map(content)
    return (gzip.decompress(content) if place.suffix == ".gz" else content), {}


def from_config_map(text: bytes) -> tuple[bytes, dict[str, Any]]:
    """Page and summary of a ConfigMap as kubectl prints it."""
    try:
        found = json.loads(text)
        page = gzip.decompress(base64.b64decode(found["binaryData"][f"{PAGE}.gz"]))
        summary: dict[str, Any] = json.loads(found["data"]["summary.json"])
    except (ValueError, KeyError, TypeError, OSError, EOFError) as exc:
        raise click.ClickException("This is no ConfigMap with the results of a run.") from exc
    return page, summary


def told(summary: dict[str, Any]) -> list[str]:
    """A summary in a few lines."""
    if not summary:
        return []
    tests = ", ".join(f"{count} {how}" for how, count in summary.get("tests", {}).items())
    lines = [f"{summary.get('run')}: exit code {summary.get('exit_code')}; {tests}"]
    lines += [f"failed: {test}" for test in summary.get("failed", [])]
    lines += [f"could not run: {why}" for why in summary.get("could_not_run", [])]
    lines += [f"left out for its size: {name}" for name in summary.get("left_out", [])]
    return lines
