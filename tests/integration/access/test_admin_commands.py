from __future__ import annotations

import asyncio
import json
import secrets
import sys

import pytest

from tests.support.postgres import Database as GivenDatabase
from threadkeep.domain import ids

from .conftest import PLATFORM_KEY, Access


async def admin(given: GivenDatabase, *arguments: str, fails: bool = False) -> str:
    """What the command prints."""
    environment = given.service_environment() | {"THREADKEEP_PLATFORM_KEY": PLATFORM_KEY}
    program = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "threadkeep",
        "admin",
        *arguments,
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(program.communicate(), 30)
    assert (program.returncode != 0) == fails, err.decode()
    assert b"Traceback" not in err
    return (err if fails else out).decode().strip()


async def test_what_the_commands_make_lets_callers_in(access: Access) -> None:
    given = access.given
    tenant = await admin(given, "tenant", "create", f"Acme {secrets.token_hex(4)}")
    key = json.loads(await admin(given, "key", "create", "--tenant", tenant, "--json"))
    token = await admin(given, "token", "create", "--tenant", tenant, "--user", "ann")
    agent = await admin(
        given, "agent", "create", "--tenant", tenant, "--name", "x", "--kind", "librarian"
    )

    digits = ids.from_public(ids.TENANT, tenant)
    assert (await access.credentials.authenticate(key["secret"], "bob")).tenant == digits
    assert (await access.credentials.authenticate(token, None)).owner == "ann"
    assert (await access.tenants.agents.get(digits, ids.from_public("agt", agent))).name == "x"

    await admin(given, "key", "revoke", "--tenant", tenant, key["id"])
    assert (await access.tenants.get(digits)).tier == "free"


@pytest.mark.parametrize(
    "arguments",
    [
        ("key", "create", "--tenant", "nonsense"),
        ("key", "create", "--tenant", "ten_" + "0" * 32),
        ("tenant", "create", ""),
        ("tenant", "create", "x", "--tier", "gold"),
        ("token", "create", "--tenant", "ten_" + "0" * 32, "--user", "ann"),
        ("agent", "create", "--tenant", "ten_1", "--name", "x", "--kind", "openai"),
    ],
)
async def test_wrong_use_is_a_sentence_and_an_exit_code(
    database: GivenDatabase, arguments: tuple[str, ...]
) -> None:
    assert await admin(database, *arguments, fails=True)
