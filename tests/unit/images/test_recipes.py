"""Tags follow the content, and the next release is this one with one more migration."""

from __future__ import annotations

import io
import json
import os
import re
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from ...cluster.images import archives, recipes, release
from ...cluster.images.recipes import NEXT, POSTGRES, SERVICE, SUITES

BASE = "0123456789ab"


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout with one input."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "program").write_text("one", "utf-8")
    monkeypatch.setattr(recipes, "ROOT", tmp_path)
    return tmp_path


SMALL = replace(POSTGRES, inputs=("folder",))


def test_content_decides_the_tag(root: Path) -> None:
    program = root / "folder" / "program"
    first = SMALL.content(BASE)

    os.utime(program, (0, 0))
    assert SMALL.content(BASE) == first
    (root / "folder" / "__pycache__").mkdir()
    (root / "folder" / "__pycache__" / "program.pyc").touch()
    assert SMALL.content(BASE) == first

    tags = {first, SMALL.content("another base"), replace(SMALL, target="x").content(BASE)}
    program.chmod(0o755)
    tags.add(SMALL.content(BASE))
    program.write_text("two", "utf-8")
    tags.add(SMALL.content(BASE))
    program.rename(root / "folder" / "other")
    tags.add(SMALL.content(BASE))
    assert len(tags) == 6


def test_what_is_staged_is_what_was_counted(root: Path, tmp_path: Path) -> None:
    program = root / "folder" / "program"
    program.chmod(0o700)
    (root / "folder" / "__pycache__").mkdir()
    (root / "folder" / "__pycache__" / "program.pyc").touch()

    SMALL.stage(tmp_path / "context")

    staged = tmp_path / "context" / "folder"
    assert [each.name for each in staged.iterdir()] == ["program"]
    assert (staged / "program").stat().st_mode & 0o777 == 0o755


def test_the_time_of_a_staged_file_is_that_of_its_content(root: Path, tmp_path: Path) -> None:
    """BuildKit takes a file of the same size and time for the one that it was sent before."""
    program = root / "folder" / "program"

    def staged(text: str, folder: str) -> float:
        program.write_text(text, "utf-8")
        SMALL.stage(tmp_path / folder)
        return (tmp_path / folder / "folder" / "program").stat().st_mtime

    times = [staged("0.1.0", "first"), staged("0.1.1", "second"), staged("0.1.0", "third")]

    assert times[0] == times[2] != times[1]
    assert all(1_577_836_800 <= each < 1_720_000_000 for each in times)


def test_images_are_named_by_content_and_by_version() -> None:
    assert SERVICE.references("abc") == (
        "localhost/threadkeep:sha-abc",
        f"localhost/threadkeep:{recipes.version()}",
    )
    assert NEXT.references("abc") == ("localhost/threadkeep:sha-abc", "localhost/threadkeep:next")


def test_the_suites_hold_the_tests_and_not_the_cluster() -> None:
    names = {str(path.relative_to(recipes.ROOT)) for path in recipes.files(SUITES.inputs)}

    assert "tests/conftest.py" in names
    assert "tests/sabotage/__main__.py" in names
    assert not any(name.startswith("tests/cluster/") for name in names)


def test_the_service_holds_no_tests() -> None:
    assert not any("tests" in path.parts for path in recipes.files(SERVICE.inputs))


def test_the_next_release_has_one_more_migration_and_a_higher_version(tmp_path: Path) -> None:
    NEXT.stage(tmp_path)

    storage = tmp_path / "service/threadkeep/storage"
    heads = [
        found for path in storage.glob("*.py") for found in release.HEAD.findall(path.read_text())
    ]
    versions = storage / "migrations" / "versions"
    own = {path.name for path in (recipes.ROOT / versions.relative_to(tmp_path)).glob("r*.py")}
    added = {path.name for path in versions.glob("r*.py")} - own

    assert len(heads) == 1
    assert added == {f"r{heads[0]}_next.py"}
    text = (versions / added.pop()).read_text("utf-8")
    assert f'revision = "{heads[0]}"' in text
    below = re.findall(r'^down_revision = "(\d+)"$', text, re.MULTILINE)
    assert int(below[0]) == int(heads[0]) - 1
    assert any(name.startswith(f"r{below[0]}_") for name in own)
    assert NEXT.version(tmp_path) != recipes.version()
    init = (tmp_path / "service/threadkeep/__init__.py").read_text("utf-8")
    assert f'__version__ = "{NEXT.version(tmp_path)}"' in init


def test_an_archive_gets_all_names(tmp_path: Path) -> None:
    archive, named = tmp_path / "a.tar", tmp_path / "b.tar"
    manifest = [{"Config": "c.json", "RepoTags": ["one"], "Layers": ["layer"]}]
    with tarfile.open(archive, "w") as file:
        for name, content in (
            ("layer", b"bytes"),
            ("manifest.json", json.dumps(manifest).encode()),
        ):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            file.addfile(member, io.BytesIO(content))

    archives.give_names(archive, named, ("x:1", "x:2"))

    with tarfile.open(named) as file:
        layer, listed = file.extractfile("layer"), file.extractfile("manifest.json")
        assert layer is not None
        assert listed is not None
        assert layer.read() == b"bytes"
        assert json.load(listed) == [manifest[0] | {"RepoTags": ["x:1", "x:2"]}]


def test_the_last_used_archives_are_kept(tmp_path: Path) -> None:
    for number in range(7):
        archive = tmp_path / f"image-sha-{number}.tar"
        archive.touch()
        os.utime(archive, (number, number))
    (tmp_path / "image-more-sha-0.tar").touch()

    archives.prune(tmp_path, "image")

    assert {path.name for path in tmp_path.iterdir()} == {
        "image-more-sha-0.tar",
        *(f"image-sha-{number}.tar" for number in range(2, 7)),
    }
