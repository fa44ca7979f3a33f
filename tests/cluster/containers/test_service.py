"""The service's images run with no right but their own user's."""

from __future__ import annotations

import asyncio
import secrets
from pathlib import Path

import httpx
import pytest

from threadkeep.storage import roles

from ...support.postgres import one_value
from ...support.programs import free_port
from ...support.waiting import until
from ..images.build import NAMES
from .runc import Container, Unpacked
from .site import SECONDS, SECRETS, Find, Site


@pytest.mark.parametrize("name", NAMES)
def test_an_image_runs_without_rights_on_a_file_system_that_it_cannot_change(
    unpacked: Find, folder: Path, name: str
) -> None:
    image = unpacked(name)
    script = "exec 2>&1; id -u; grep CapEff /proc/self/status; touch /etc/x /opt/x; echo > /bin/sh"
    plain = Unpacked(root=image.root, settings=dict(image.settings) | {"Entrypoint": []})
    with Container(plain, folder, arguments=["sh", "-c", script]) as container:
        code = container.wait()

    assert code != 0
    assert {str(image.ids[0]), "CapEff:\t0000000000000000"} <= set(container.log().splitlines())
    assert container.log().count("Read-only file system") == 3


@pytest.mark.parametrize("name", ["threadkeep", "threadkeep-next"])
def test_the_entry_point_of_the_service_is_its_command(
    unpacked: Find, folder: Path, name: str
) -> None:
    with Container(unpacked(name), folder, arguments=["--version"]) as container:
        assert container.wait() == 0

    version = unpacked(name).settings["Labels"]["org.opencontainers.image.version"]
    assert container.log() == f"{version}\n"


def test_the_suites_find_their_tests_and_sabotages(unpacked: Find, folder: Path) -> None:
    image = unpacked("threadkeep-suites")
    command = ["pytest", "-p", "no:cacheprovider", "--collect-only", "-q", "tests/scenarios"]
    with Container(image, folder, arguments=command) as container:
        assert container.wait() == 0, container.log()
    assert container.log().count("::test_") > 20

    with Container(
        image, folder, arguments=["python", "-m", "tests.sabotage", "no-such-thing"]
    ) as container:
        assert container.wait() != 0
    assert "known are" in container.log()


async def test_the_service_works_over_the_database(
    site: Site, unpacked: Find, folder: Path
) -> None:
    """Migrated and served by containers, with every secret from a file."""
    image = unpacked("threadkeep")
    app_password, key = secrets.token_urlsafe(24), secrets.token_urlsafe(24)
    files = folder / "service"
    files.mkdir()
    for name, content in {
        "migrate-url": site.url("threadkeep"),
        "app-url": site.url("threadkeep", roles.APP, app_password),
        "app-password": app_password,
        "platform-key": key,
    }.items():
        (files / name).write_text(content, "utf-8")

    def service(arguments: list[str], **variables: str) -> Container:
        environment = {
            f"THREADKEEP_{name}_FILE": f"{SECRETS}/{file}" for name, file in variables.items()
        }
        return Container(
            image, folder, arguments=arguments, environment=environment, volumes={SECRETS: files}
        )

    port = free_port()
    with site.container() as postgres:
        await site.ready(postgres)
        with service(
            ["migrate"], DATABASE_URL="migrate-url", APP_PASSWORD="app-password"
        ) as migration:
            assert await asyncio.to_thread(migration.wait) == 0, migration.log()
        serve = ["serve", "--host", "127.0.0.1", "--port", str(port)]
        with service(serve, DATABASE_URL="app-url", PLATFORM_KEY="platform-key") as served:
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
                await until(lambda: answers(client, served), SECONDS)
                made = await client.post(
                    "/v1/tenants",
                    json={"name": "Containers"},
                    headers={"Authorization": f"Bearer {key}"},
                )
                assert made.status_code == 201, made.text
            assert await asyncio.to_thread(served.stop) == 0
        count = await one_value(site.url("threadkeep"), "SELECT count(*) FROM tenants")
    assert count == 1
    assert key not in served.log()
    assert app_password not in served.log()


async def answers(client: httpx.AsyncClient, served: Container) -> bool:
    """Whether the service is ready."""
    assert served.is_running, served.log()
    try:
        return (await client.get("/readyz")).status_code == 200
    except httpx.TransportError:
        return False
