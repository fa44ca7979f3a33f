"""`threadkeep report`: open what a run of the suites found, from the cluster or from a file."""

from __future__ import annotations

import base64
import gzip
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any, Final

import click

from threadkeep.errors import DependencyError

PAGE: Final = "report.html"
_SECONDS: Final = 60


@click.command()
@click.argument("run")
@click.option("--namespace", "-n", help="Where the Job ran; else kubectl's own namespace.")
@click.option("--context", help="A context of kubectl; else the current one.")
@click.option(
    "--output", "-o", type=click.Path(path_type=Path), help="Where the page goes; else RUN.html."
)
@click.option("--open/--no-open", "is_shown", default=True, help="Show it in a browser.")
def report(
    run: str, namespace: str | None, context: str | None, output: Path | None, *, is_shown: bool
) -> None:
    """Show the report of RUN: a Job of the suites, a folder with report.html, or one of its files.

    A Job's results are in a ConfigMap of its name, which kubectl fetches.
    """
    place = Path(run)
    if place.exists():
        page, summary = from_file(place)
    else:
        page, summary = from_config_map(fetched(run, namespace, context))
    target = output or Path(f"{place.name if place.exists() else run}".split(".")[0] + ".html")
    if not (place.exists() and target.resolve() == place.resolve()):
        target.write_bytes(page)
    for line in told(summary):
        click.echo(line)
    click.echo(f"{target}")
    if is_shown:
        click.launch(str(target))


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


def fetched(run: str, namespace: str | None, context: str | None) -> bytes:
    """The ConfigMap of a run."""
    program = shutil.which("kubectl")
    if program is None:
        raise DependencyError("kubectl is not installed, and there is no such file.")
    where = [f"--namespace={namespace}"] if namespace else []
    where += [f"--context={context}"] if context else []
    ended = subprocess.run(
        [program, "get", "configmap", "--output=json", *where, "--", run],
        capture_output=True,
        timeout=_SECONDS,
        check=False,
    )
    if ended.returncode:
        raise click.ClickException(ended.stderr.decode("utf-8", "replace").strip())
    return ended.stdout


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
