"""Local services of the test's own, all ended with it."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.postgres import copy_directory

from .local import Local


@pytest.fixture
def folder(short_folder: Path) -> Path:
    """A folder for one test, with a short path as people's projects have."""
    return Path(tempfile.mkdtemp(prefix="dev-", dir=short_folder))


@pytest.fixture
def make_local(folder: Path) -> Iterator[Callable[..., Local]]:
    """Makes local services that are not started yet; options are those of `Local`."""
    made: list[Local] = []

    def make(*options: str, **given: object) -> Local:
        made.append(Local(folder, *options, name=f"dev-{len(made)}", **given))  # type: ignore[arg-type]  # handed on as given
        return made[-1]

    yield make
    for each in made:
        each.stop()


@pytest.fixture(scope="session")
def made_data(short_folder: Path) -> Path:
    """The folder of a service that has run once, to be copied instead of made again."""
    folder = short_folder / "dev-made"
    folder.mkdir()
    made = Local(folder)
    made.start()
    try:
        assert "Preparing PostgreSQL" in made.output()
    finally:
        made.stop(40)
    return made.data


@pytest.fixture
def local(make_local: Callable[..., Local], made_data: Path) -> Local:
    """A started local service without dialogues; it has run before."""
    made = make_local()
    copy_directory(made_data, made.data)
    made.start()
    return made


@pytest.fixture
def stopped(make_local: Callable[..., Local], made_data: Path) -> Local:
    """The same, not started."""
    made = make_local()
    copy_directory(made_data, made.data)
    return made
