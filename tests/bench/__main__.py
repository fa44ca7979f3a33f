"""`make bench`: rounds of every line with its references, then JSON and the documented table."""

from __future__ import annotations

import argparse
import asyncio
import resource
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

from . import references, report
from .lines import CASES, idle_sockets, long_thread, measure
from .stack import Stack, stack

_BODY = (
    '{"content":"a message of about one hundred characters, as people write them to each other '
    'every day","metadata":{},"role":"user"}'
)


def main() -> None:
    """Parse the options and run; exit 1 when a must is missed."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one short round, for comparing")
    parser.add_argument("--rounds", type=int, default=3, help="interleaved rounds of each line")
    parser.add_argument("--seconds", type=float, default=4.0, help="measured time of one line")
    parser.add_argument("--output", type=Path, default=Path("build/bench.json"))
    parser.add_argument("--document", type=Path, help="also rewrite the table in this file")
    options = parser.parse_args()
    if options.quick:
        options.rounds, options.seconds = 1, 2.0
    _allow_files(20_000)
    with tempfile.TemporaryDirectory(prefix="tkb-") as folder:
        figures = asyncio.run(_run(Path(folder), options))
    report.write(figures, options.output, options.document)


async def _run(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    async with stack(folder, references.PREPARE) as running:
        await running.name_threads_for_reference(await running.threads(64))
        url = running.database.superuser_url
        a = references.plain(url, folder, _BODY)
        b = references.complete(url, folder, _BODY, 64)
        lines = await _rounds(running, a, b, options)
        _say("idle sockets")
        idle = await idle_sockets(running, 500 if options.quick else 5000)
        lengths = await _lengths(running, 10_000 if options.quick else 1_000_000)
    return {"lines": lines, "idle": idle, "lengths": lengths, "options": vars(options)}


async def _rounds(
    running: Stack, a: references.Reference, b: references.Reference, options: argparse.Namespace
) -> list[dict[str, Any]]:
    rounds: dict[str, list[dict[str, float]]] = {case.name: [] for case in CASES}
    for number in range(options.rounds):
        for case in CASES:
            _say(f"round {number + 1} of {options.rounds}: {case.name}")
            rate_a = await a.run(max(2, int(options.seconds / 2)))
            rate_b = await b.run(max(2, int(options.seconds / 2)))
            figures = await measure(running, case, options.seconds)
            figures |= {"a": rate_a, "b": rate_b}
            figures |= {
                "per_a": figures["per_second"] / rate_a,
                "per_b": figures["per_second"] / rate_b,
            }
            rounds[case.name].append(figures)
            _say(f"  {figures['per_second']:.0f}/s, {figures['per_a']:.2f} A")
    return [_line(case, rounds[case.name]) for case in CASES]


def _line(case: Any, rounds: list[dict[str, float]]) -> dict[str, Any]:
    medians = {key: statistics.median(each[key] for each in rounds) for key in rounds[0]}
    return {
        "name": case.name,
        "must": case.must,
        "aim": case.aim,
        "must_b": case.must_b,
        "aim_b": case.aim_b,
        "median": medians,
        "lowest_per_a": min(each["per_a"] for each in rounds),
        "highest_per_a": max(each["per_a"] for each in rounds),
        "rounds": rounds,
    }


async def _lengths(running: Stack, messages: int) -> dict[str, float]:
    _say(f"a thread of {messages:,} messages")
    small, large = await running.threads(2)
    await running.fill(small, 100)
    await running.fill(large, messages)
    figures = await long_thread(running, small, large, 200)
    return {"messages": messages, **figures}


def _allow_files(wanted: int) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(wanted, hard), hard))


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
