"""PostgreSQL's image: what a volume goes through."""

from __future__ import annotations

import asyncio
import shutil
from typing import Final

import asyncpg
import pytest

from ...support.postgres import one_value
from ...support.waiting import until
from .runc import give
from .site import SECONDS, Site

_TRIES: Final = 5
"""To kill an initialisation before it is over, which takes a second or two."""


async def test_a_killed_server_comes_back_with_everything(site: Site) -> None:
    with site.container() as first:
        await site.ready(first)
        await one_value(site.url("threadkeep"), "CREATE TABLE kept AS SELECT 1 AS number")
        for setting, value in (("fsync", "on"), ("data_checksums", "on"), ("jit", "off")):
            shown = await one_value(site.url("threadkeep"), f"SHOW {setting}")
            assert (setting, shown) == (setting, value)
        locale = "SELECT datlocale FROM pg_database WHERE datname = current_database()"
        assert await one_value(site.url("threadkeep"), locale) == "C.UTF-8"

    with site.container() as second:
        await site.ready(second)
        assert await one_value(site.url("threadkeep"), "SELECT number FROM kept") == 1
    assert "initdb" not in second.log()


async def test_a_wrong_password_is_refused_and_no_password_is_shown(site: Site) -> None:
    with site.container() as container:
        await site.ready(container)
        with pytest.raises(asyncpg.InvalidPasswordError):
            await one_value(site.url("threadkeep", password="wrong"), "SELECT 1")
        shown = container.run("sh", "-c", "cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ").stdout
        kept = container.run("psql", "-p", str(site.port), "-Atc", "SHOW password_encryption")

    assert "postgres" in shown
    assert site.password not in shown
    assert site.password not in container.log()
    assert kept.stdout == "scram-sha-256\n"


async def test_the_images_signal_is_a_clean_shutdown_while_sessions_are_open(site: Site) -> None:
    with site.container() as container:
        await site.ready(container)
        session = await asyncpg.connect(site.url("threadkeep"))
        assert await asyncio.to_thread(container.stop) == 0
        with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, OSError)):
            await session.fetchval("SELECT 1")
        session.terminate()

    with site.container() as again:
        await site.ready(again)
    assert "not properly shut down" not in again.log()


async def test_an_initialisation_that_was_killed_starts_again(site: Site) -> None:
    unfinished, finished = (site.folder / "data" / f"pgdata{end}" for end in (".unfinished", ""))
    for _ in range(_TRIES):
        shutil.rmtree(finished, ignore_errors=True)
        with site.container() as container:
            await until((unfinished / "PG_VERSION").exists, SECONDS)
        if not finished.exists():  # the kill was in time
            break
    assert unfinished.exists()
    assert not finished.exists()

    with site.container() as container:
        await site.ready(container)
        assert await one_value(site.url("threadkeep"), "SELECT 1") == 1
    assert not unfinished.exists()


async def test_a_volume_with_something_else_is_left_alone(site: Site) -> None:
    folder = site.folder / "data" / "pgdata"
    folder.mkdir()
    (folder / "precious").write_text("words", "utf-8")
    give(folder, site.image)

    with site.container() as container:
        assert await asyncio.to_thread(container.wait) != 0

    assert (folder / "precious").read_text("utf-8") == "words"
    assert "left alone" in container.log()


async def test_a_successor_waits_until_its_predecessor_has_gone(site: Site) -> None:
    """Two servers over one directory would destroy it; a lost node makes it possible."""
    with site.container() as first:
        await site.ready(first)
        with site.container("postgres", "-c", f"port={site.port}") as second:
            await until(lambda: "flock" in second.run("ps", "-e").stdout, SECONDS)
            assert "listening" not in second.log()
            await asyncio.to_thread(first.kill)
            await site.ready(second)


async def test_an_orphan_that_fails_does_not_end_sessions(site: Site) -> None:
    """The server as process 1 would take its exit code for the crash of one of its own."""
    with site.container() as container:
        await site.ready(container)
        session = await asyncpg.connect(site.url("threadkeep"))
        waiting = "(until test -e /tmp/go; do sleep 0.1; done; exit 82) > /dev/null 2>&1 &"
        container.run("sh", "-c", waiting)
        container.run("touch", "/tmp/go")  # noqa: S108 - the container's own
        await until(lambda: "sleep" not in container.run("ps", "-e").stdout, SECONDS)

        assert await session.fetchval("SELECT 1") == 1
        await session.close()
    assert "terminating any other active server processes" not in container.log()
