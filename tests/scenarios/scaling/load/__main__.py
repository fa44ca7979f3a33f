"""The generator as a program: a plan as JSON on standard input, what it saw on standard output."""

from __future__ import annotations

import asyncio
import json
import resource
import sys
import time

import uvloop

from . import burst, people, sockets
from .nothing import Nothing
from .plan import Plan, Seen

_RUN = {"people": people.run, "sockets": sockets.run, "burst": burst.run}
_TICK_SECONDS = 0.02


async def generate(plan: Plan) -> Seen:
    """Carry a plan out; what the generator itself took is part of the answer."""
    seen = Seen()
    late: list[float] = []
    watch = asyncio.create_task(_watch(late))
    before, begun = _cpu(), time.perf_counter()
    await _RUN[plan.kind](plan, seen)
    seen.cpu = (_cpu() - before) / (time.perf_counter() - begun)
    watch.cancel()
    seen.lag = sorted(late)[int(len(late) * 0.99)] if late else 0.0
    return seen


async def _watch(late: list[float]) -> None:
    while True:
        begun = time.perf_counter()
        await asyncio.sleep(_TICK_SECONDS)
        late.append(time.perf_counter() - begun - _TICK_SECONDS)


async def serve_nothing() -> None:
    """Print the port of a server that does nothing, and run until standard input ends."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Nothing, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


def _cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    """Generate load, or do nothing."""
    if sys.argv[1:] == ["nothing"]:
        uvloop.run(serve_nothing())
        return
    plan = Plan(**json.load(sys.stdin))
    print(json.dumps(uvloop.run(generate(plan)).as_dict()))


if __name__ == "__main__":
    main()
