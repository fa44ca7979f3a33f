"""However `threadkeep dev` ends, nothing of it runs on and nothing blocks the next start."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import aiohttp
import psutil
import pytest

from tests.support.programs import free_port
from tests.support.waiting import until

from .local import Local, survivors, texts_of

pytestmark = pytest.mark.timeout(400)

MakeLocal = Callable[..., Local]
ROOT = Path(__file__).parents[3]


def part_of(local: Local, word: str) -> psutil.Process:
    """The process of the service or of PostgreSQL."""
    parts = [p for p in local.family()[1:] if word in " ".join(p.cmdline())]
    assert parts
    return parts[0]


async def test_ctrl_c_drains_and_stops_everything(local: Local) -> None:
    family = local.family()
    token = local.described["users"]["alice"]
    headers = {"Authorization": f"Bearer {token}"}
    async with (
        aiohttp.ClientSession(local.url, headers=headers) as session,
        session.ws_connect("/v1/ws") as socket,
    ):
        local.interrupt()
        told = (await socket.receive_json(timeout=10))["type"]
        await socket.receive(timeout=10)
        code = socket.close_code

    assert (told, code) == ("drain", 1012)
    assert await asyncio.to_thread(local.wait, 40) == 0
    assert await asyncio.to_thread(survivors, family) == []
    assert local.output().splitlines()[-1] == "Stopping …"


async def test_sigterm_does_the_same(local: Local) -> None:
    family = local.family()
    local.terminate()

    assert await asyncio.to_thread(local.wait, 40) == 0
    assert await asyncio.to_thread(survivors, family) == []


async def test_a_second_ctrl_c_ends_at_once_and_leaves_nothing(local: Local) -> None:
    family = local.family()
    part_of(local, "serve").suspend()  # it would not end by itself
    local.interrupt()
    await until(lambda: "Stopping" in local.output(), 10)
    local.interrupt()

    assert await asyncio.to_thread(local.wait, 10) == 1
    assert await asyncio.to_thread(survivors, family) == []


async def test_killed_it_takes_everything_along_and_the_next_start_has_the_data(
    local: Local,
) -> None:
    async with local.client() as alice:
        thread = await alice.threads.create()
        await alice.append(thread, "acknowledged")
    family = local.family()
    os.kill(local.pid, signal.SIGKILL)
    await asyncio.to_thread(local.wait, 10)

    assert await asyncio.to_thread(survivors, family, 30) == []
    await asyncio.to_thread(local.start)
    async with local.client() as alice:
        assert await texts_of(alice, thread.id) == ["acknowledged"]


async def test_killed_all_at_once_the_next_start_has_the_data(local: Local) -> None:
    async with local.client() as alice:
        thread = await alice.threads.create()
        await alice.append(thread, "acknowledged")
    local.kill()
    await asyncio.to_thread(local.start)

    async with local.client() as alice:
        assert await texts_of(alice, thread.id) == ["acknowledged"]


@pytest.mark.parametrize(
    ("word", "sentence"),
    [
        ("serve", "The service was ended by SIGKILL;"),
        ("postgres", "PostgreSQL has ended by itself"),
    ],
)
async def test_the_end_of_a_part_ends_the_whole_and_is_told(
    local: Local, word: str, sentence: str
) -> None:
    family = local.family()
    part_of(local, word).kill()

    assert await asyncio.to_thread(local.wait, 40) == 1
    assert local.output().splitlines()[-1].startswith(f"threadkeep: {sentence}")
    assert await asyncio.to_thread(survivors, family) == []


async def test_make_run_is_the_same(folder: Path, make_local: MakeLocal) -> None:
    """`make` passes the signal on, and its exit code."""
    port, data = free_port(), folder / "made"
    process = await asyncio.create_subprocess_exec(
        *("make", "run", f"ARGS=--port {port} --data {data} --no-demo"),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    assert process.stdout is not None
    async with asyncio.timeout(100):
        while b"Threadkeep is ready on" not in (line := await process.stdout.readline()):
            assert line, "make ended"
    family = psutil.Process(process.pid).children(recursive=True)
    os.killpg(process.pid, signal.SIGINT)
    async with asyncio.timeout(40):
        rest = await process.stdout.read()
        await process.wait()

    assert "Stopping …" in rest.decode()
    assert await asyncio.to_thread(survivors, family) == []
    again = make_local(data=data)
    await asyncio.to_thread(again.start)
