"""`make bench`: rounds of every line with its references, then JSON and the documented table."""

from __future__ import annotations

import argparse
import asyncio
import resource
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import baseline, references, report, standing
from .figures import Single
from .image import unpacked
from .image import versions as in_image
from .lines import CASES, measure
from .stack import Stack, stack

_BODY = (
    '{"content":"a message of about one hundred characters, as people write them to each other '
    'every day","metadata":{},"role":"user"}'
)


_CPU_MUST_US, _CPU_AIM_US = 45, 28
_SETTLE_SECONDS = 60


@dataclass(frozen=True)
class _Sizes:
    """How much the figures that are no rates are taken of."""

    sockets: int
    join: int
    search: int
    long: int
    seconds: float


_FULL = _Sizes(sockets=5000, join=10_000, search=1_000_000, long=1_000_000, seconds=10.0)
_QUICK = _Sizes(sockets=500, join=10_000, search=20_000, long=10_000, seconds=3.0)


def main() -> None:
    """Parse the options and run; with --quick exit 1 when a line fell behind the baseline."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one short round, for comparing")
    parser.add_argument("--rounds", type=int, default=3, help="interleaved rounds of each line")
    parser.add_argument("--seconds", type=float, default=4.0, help="measured time of one line")
    parser.add_argument(
        "--image", action="store_true", help="the service from its image, as a pod runs it"
    )
    parser.add_argument("--output", type=Path, default=Path("build/bench.json"))
    parser.add_argument(
        "--document",
        type=Path,
        help="also rewrite the table in this file, and the baseline of --quick",
    )
    options = parser.parse_args()
    if options.quick:
        options.rounds, options.seconds = 1, 2.0
    _allow_files(20_000)
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="tkb-") as folder:
        figures = asyncio.run(_run(Path(folder), options))
    figures["took_seconds"] = time.monotonic() - begun
    report.write(figures, options.output, options.document)
    if options.document is not None:
        baseline.keep(figures["lines"])
    elif options.quick and (fallen := baseline.fallen(figures["lines"])):
        sys.exit("Fell behind the baseline: " + "; ".join(fallen))


async def _run(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    image = await asyncio.to_thread(unpacked, folder) if options.image else None
    async with stack(folder, references.PREPARE, image) as running:
        await running.name_threads_for_reference(await running.threads(64))
        url = running.database.superuser_url
        a = references.plain(url, folder, _BODY)
        b = references.complete(url, folder, _BODY, 64)
        lines = await _rounds(running, a, b, options)
        singles = [_cpu(lines[0]), *await _singles(running, _QUICK if options.quick else _FULL)]
    versions = report.versions() if image is None else in_image(image, folder, report.PACKAGES)
    found = {"lines": lines, "singles": singles, "options": vars(options)}
    return found | {"versions": versions}


def _cpu(line: dict[str, Any]) -> Single:
    each = [r["service_us_per_append"] for r in line["rounds"]]
    beside = f"median of the rounds, {min(each):.1f} to {max(each):.1f}"
    name = f"CPU of the service per append, {line['name']}"
    return Single(name, statistics.median(each), "µs", _CPU_MUST_US, _CPU_AIM_US, beside)


async def _singles(running: Stack, sizes: _Sizes) -> list[Single]:
    await _settle(running)
    found: list[Single] = []
    for taken in (
        standing.idle_sockets(running, sizes.sockets),
        standing.other_process(running, sizes.seconds),
        standing.cold_join(running, sizes.join),
        standing.search(running, sizes.search, sizes.seconds),
        standing.long_thread(running, sizes.long),
    ):
        for single in await taken:
            _say(f"{single.name}: {single.value:.2f} {single.unit} ({single.beside})")
            found.append(single)
    return found


async def _settle(running: Stack) -> None:
    """Search goes on with what one line appended; the next line's figures are not to bear it."""
    if not await running.settled(_SETTLE_SECONDS):
        _say("search is still taking in what was appended before")


async def _rounds(
    running: Stack, a: references.Reference, b: references.Reference, options: argparse.Namespace
) -> list[dict[str, Any]]:
    rounds: dict[str, list[dict[str, float]]] = {case.name: [] for case in CASES}
    for number in range(options.rounds):
        for case in CASES:
            _say(f"round {number + 1} of {options.rounds}: {case.name}")
            await _settle(running)
            rate_a = await a.run(max(1, int(options.seconds / 2)))
            rate_b = await b.run(max(1, int(options.seconds / 2)))
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


def _allow_files(wanted: int) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(wanted, hard), hard))


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
