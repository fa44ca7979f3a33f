from __future__ import annotations

import asyncio
import json
import secrets
import sys

import pytest

from tests.support.postgres import Database as GivenDatabase
from threadkeep.cli.admin import _all, _show_rows
from threadkeep.domain import ids
from threadkeep.domain.configuration import NewTenant
from threadkeep.web.handlers.tenants import tenant_object

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


async def test_what_was_made_is_listed(access: Access) -> None:
    given = access.given
    name = f"Acme {secrets.token_hex(4)}"
    tenant = await admin(given, "tenant", "create", name)
    keys = [await admin(given, "key", "create", "--tenant", tenant, "--json") for _ in range(2)]
    made = [json.loads(key) for key in keys]
    await admin(given, "key", "revoke", "--tenant", tenant, made[0]["id"])
    await admin(given, "agent", "create", "--tenant", tenant, "--name", "x", "--kind", "librarian")

    tenants = (await admin(given, "tenant", "list")).splitlines()
    listed = await admin(given, "key", "list", "--tenant", tenant, "--json")
    agents = (await admin(given, "agent", "list", "--tenant", tenant)).splitlines()

    assert tenants[0].split() == ["ID", "NAME", "TIER", "DISABLED", "CREATED_AT"]
    assert [line.split()[:-1] for line in tenants if tenant in line] == [
        [tenant, *name.split(), "free", "no"]
    ]
    assert [key["id"] for key in json.loads(listed)] == [key["id"] for key in made]
    assert [key["revoked_at"] is None for key in json.loads(listed)] == [False, True]
    assert all(key["secret"] not in listed for key in made)
    assert [line.split()[1:3] for line in agents[1:]] == [["x", "librarian"]]


async def test_lists_go_on_behind_a_page(access: Access, monkeypatch: pytest.MonkeyPatch) -> None:
    made = [await access.tenants.create(NewTenant(f"n {n}"), actor="test") for n in range(5)]
    monkeypatch.setattr("threadkeep.cli.admin._PAGE", 2)

    rows = await _all(access.tenants.list, tenant_object)

    listed = [row["id"] for row in rows]
    assert len(listed) == len(set(listed)) > 4
    assert {ids.to_public(ids.TENANT, tenant.id) for tenant in made} <= set(listed)


def test_what_a_terminal_would_obey_is_not_printed(capsys: pytest.CaptureFixture[str]) -> None:
    _show_rows([{"name": "a\x1b[2Jb", "tags": ["x", "y"]}], ("name", "tags"), as_json=False)

    assert capsys.readouterr().out == "NAME     TAGS\na\ufffd[2Jb   x,y\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ("key", "create", "--tenant", "nonsense"),
        ("key", "list", "--tenant", "ten_1"),
        ("key", "list", "--tenant", "ten_" + "0" * 32),
        ("agent", "list", "--tenant", "ten_" + "0" * 32),
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
