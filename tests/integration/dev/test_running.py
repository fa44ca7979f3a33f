"""What `threadkeep dev` gives: a ready service, credentials for programs, data that stay."""

from __future__ import annotations

import asyncio
import stat
from collections.abc import Callable

import aiohttp
import asyncpg
import msgspec
import pytest

from tests.support.waiting import until
from threadkeep.client import Threadkeep
from threadkeep.embedded import corpus

from .local import Local, left_in, texts_of

pytestmark = pytest.mark.timeout(400)

MakeLocal = Callable[..., Local]


async def test_it_says_when_it_is_ready_and_how_to_reach_it(local: Local) -> None:
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{local.url}/readyz") as ready,
        session.get(f"{local.url}/") as console,
    ):
        assert (ready.status, console.status) == (200, 200)
    lines = local.output()

    assert f"Threadkeep is ready on {local.url}" in lines
    for user, token in local.described["users"].items():
        assert f"console as {user}: {local.url}/#token={token}" in lines
    assert str(local.data / "dev.json") in lines


async def test_dev_json_has_everything_and_is_its_owners_alone(local: Local) -> None:
    described = local.described

    assert sorted(described) == [
        *("api_key", "database_url", "state_file", "tenant", "url", "users")
    ]
    assert described["state_file"] == str((local.data / "state.json").resolve())
    assert described["url"] == local.url
    assert sorted(described["users"]) == ["alice", "bob"]
    for name in ("dev.json", "state.json", "service.log", "postgres.log"):
        assert stat.S_IMODE((local.data / name).stat().st_mode) == 0o600, name
    assert stat.S_IMODE(local.data.stat().st_mode) == 0o700
    async with local.client("alice") as alice, local.client("bob") as bob:
        thread = await alice.threads.create(title="by token")
        assert [each.id async for each in bob.threads.list()] == []
    async with Threadkeep(local.url, api_key=described["api_key"], user="alice") as backend:
        found = await backend.threads.get(thread)
        assert (found.owner, found.tenant_id) == ("alice", described["tenant"])


async def test_its_database_url_is_the_services_role_which_sees_nothing_by_itself(
    local: Local,
) -> None:
    async with local.client() as alice:
        await alice.threads.create(title="somebody's")
    connection = await asyncpg.connect(local.described["database_url"])
    try:
        assert await connection.fetchval("SELECT count(*) FROM threads") == 0
        assert await connection.fetchval("SELECT count(*) FROM entries") == 0
        assert await connection.fetchval("SELECT current_user::text") == "threadkeep_app"
    finally:
        await connection.close()


async def test_the_librarian_answers(local: Local) -> None:
    async with local.client() as alice:
        thread = await alice.threads.create()
        await alice.runs.start(thread, "librarian", message="What is 12 * (3 + 4)?")

        async def is_answered() -> bool:
            return any("84" in text for text in await texts_of(alice, thread.id))

        await until(is_answered, 20, what="the answer")


async def test_data_and_credentials_stay_over_restarts(local: Local) -> None:
    before = local.described
    async with local.client() as alice:
        thread = await alice.threads.create(title="kept")
        await alice.append(thread, "before the restart")
    local.interrupt()
    assert await asyncio.to_thread(local.wait, 40) == 0
    await asyncio.to_thread(local.start)

    assert "Preparing PostgreSQL" not in local.output()
    assert [local.described[name] for name in ("tenant", "api_key")] == [
        before["tenant"],
        before["api_key"],
    ]
    async with Threadkeep(local.url, token=before["users"]["alice"]) as alice:
        assert await texts_of(alice, thread.id) == ["before the restart"]


async def test_an_import_that_was_killed_goes_on_and_doubles_nothing(
    make_local: MakeLocal,
) -> None:
    languages = ["telugu", "thai", "urdu", "hinglish", "russian"]
    local = make_local(languages=",".join(languages))
    await asyncio.to_thread(local.start)
    await until(lambda: "Importing dialogues" in local.output(), 30, what="the import's begin")
    local.kill()
    # Where the kill came too late it becomes one between the last append and the note of it.
    state = msgspec.json.decode((local.data / "state.json").read_bytes())
    (local.data / "state.json").write_bytes(msgspec.json.encode({**state, "imported": []}))
    await asyncio.to_thread(local.start)
    await until(lambda: "Imported" in local.output(), 60, what="the import's end")
    await asyncio.to_thread(local.stop, 40)
    await asyncio.to_thread(local.start)
    wanted = {
        topic.external_id: [text for dialogue in topic.dialogues for text in dialogue]
        for language in languages
        for topic in corpus.read(language)
    }
    found = {}
    for user in ("alice", "bob"):
        async with local.client(user) as client:
            async for thread in client.threads.list():
                found[thread.external_id] = await texts_of(client, thread.id)

    assert found == wanted
    assert "Import" not in local.output()


async def test_an_ephemeral_one_leaves_nothing(make_local: MakeLocal) -> None:
    local = make_local("--ephemeral")
    await asyncio.to_thread(local.start)
    async with local.client() as alice:
        await alice.append(await alice.threads.create(), "for a while")

    assert left_in(local.temporary) != []
    local.interrupt()
    assert await asyncio.to_thread(local.wait, 40) == 0
    assert left_in(local.temporary) == []
    assert not local.data.exists()


async def test_what_a_killed_ephemeral_one_has_left_goes_with_the_next(
    make_local: MakeLocal,
) -> None:
    local = make_local("--ephemeral")
    await asyncio.to_thread(local.start)
    local.kill()
    assert left_in(local.temporary) != []
    await asyncio.to_thread(local.start)
    await asyncio.to_thread(local.stop, 40)

    assert left_in(local.temporary) == []
