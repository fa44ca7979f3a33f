"""Where `threadkeep dev` cannot run it says why in one sentence, and changes nothing."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support import resources

from .local import Local, left_in

pytestmark = pytest.mark.timeout(400)

MakeLocal = Callable[..., Local]

SMALL = "size=24m"
"""Less than a data directory needs."""


@pytest.fixture
def full_disk(folder: Path) -> Iterator[Path]:
    """A file system that is too small for a data directory."""
    if os.geteuid() != 0:
        resources.missing("faults", "only root can mount a small file system")
    place = folder / "small"
    place.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", SMALL, "tmpfs", place], check=False, timeout=10
    )
    if made.returncode != 0:
        resources.missing("faults", "a small file system cannot be mounted here")
    yield place
    subprocess.run(["umount", "--lazy", place], check=True, timeout=10)


async def test_a_port_that_is_taken(make_local: MakeLocal) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        local = make_local(port=other.getsockname()[1])
        code, said = await asyncio.to_thread(local.refusal)

    assert code == 1
    assert said == (f"threadkeep: Cannot listen on 127.0.0.1:{local.port}: Address already in use.")
    assert not local.data.exists()


async def test_an_address_that_is_not_ours(make_local: MakeLocal) -> None:
    code, said = await asyncio.to_thread(make_local("--host", "192.0.2.1").refusal)

    assert (code, said.startswith("threadkeep: Cannot listen on 192.0.2.1:")) == (1, True)


async def test_a_second_one_at_the_same_folder(local: Local, make_local: MakeLocal) -> None:
    described = local.described
    code, said = await asyncio.to_thread(make_local().refusal)

    assert code == 1
    assert said == (
        f"threadkeep: {local.data} is in use by another `threadkeep dev`, process {local.pid}."
    )
    assert local.described == described
    beside = make_local("--ephemeral")
    await asyncio.to_thread(beside.start)
    assert local.described == described
    await asyncio.to_thread(beside.stop, 40)
    assert local.described == described
    async with local.client() as alice:
        await alice.threads.create()


async def test_a_disk_that_is_full(make_local: MakeLocal, full_disk: Path) -> None:
    local = make_local(data=full_disk / "data")
    code, said = await asyncio.to_thread(local.refusal)

    assert code == 1
    assert said.startswith(f"threadkeep: {full_disk}/data/postgres could not be initialised")
    assert "the disk is full" in said
    assert "Traceback" not in local.output()
    # Nothing half-made is taken for a whole one where there is room again.
    subprocess.run(["mount", "-o", "remount,size=400m", full_disk], check=True, timeout=10)
    await asyncio.to_thread(local.start)
    await asyncio.to_thread(local.stop, 40)


async def test_a_disk_without_a_byte(make_local: MakeLocal, full_disk: Path) -> None:
    room = shutil.disk_usage(full_disk).free
    (full_disk / "ballast").write_bytes(bytes(room))
    code, said = await asyncio.to_thread(make_local(data=full_disk / "data").refusal)

    assert code == 1
    assert "No space left on device" in said or "the disk is full" in said


def damage_control(data: Path) -> None:
    (data / "postgres" / "global" / "pg_control").write_bytes(b"")


def damage_state(data: Path) -> None:
    (data / "state.json").write_text('{"tenant": 7}')


def lose_state(data: Path) -> None:
    (data / "state.json").unlink()


def change_version(data: Path) -> None:
    (data / "postgres" / "PG_VERSION").write_text("15\n")


def lose_version(data: Path) -> None:
    (data / "postgres" / "PG_VERSION").unlink()


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (damage_control, "the data directory is damaged"),
        (damage_state, "state.json is damaged"),
        (lose_state, "state.json is missing, and with it the passwords"),
        (change_version, "was made by PostgreSQL '15'"),
        (lose_version, "is not a PostgreSQL data directory and not empty"),
    ],
)
async def test_a_broken_data_directory(
    stopped: Local, damage: Callable[[Path], None], sentence: str
) -> None:
    damage(stopped.data)
    before = {*left_in(stopped.data / "postgres"), "postmaster.pid"}
    code, said = await asyncio.to_thread(stopped.refusal)

    assert code == 1
    assert said.startswith("threadkeep: ")
    assert sentence in said
    assert "Traceback" not in stopped.output()
    assert {*left_in(stopped.data / "postgres"), "postmaster.pid"} == before


async def test_a_file_in_place_of_the_folder(make_local: MakeLocal, folder: Path) -> None:
    (folder / "data").write_text("a letter")
    code, said = await asyncio.to_thread(make_local().refusal)

    assert code == 2
    assert "is a file" in said
    assert (folder / "data").read_text() == "a letter"


async def test_a_language_that_nobody_speaks(make_local: MakeLocal) -> None:
    local = make_local(languages="klingon")
    code, said = await asyncio.to_thread(local.refusal)

    assert code == 2
    assert "klingon" in said
    assert "english" in said
    assert not local.data.exists()
