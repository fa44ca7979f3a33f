"""The shape of the repository: sizes, folders and the lock."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

import threadkeep

ROOT = Path(__file__).parents[2]
MODULE_LINES = 400
FUNCTION_LINES = 50
README_LINES = 150

SOURCES = sorted(
    path
    for folder in ("service", "operator", "tests")
    for path in (ROOT / folder).rglob("*.py")
    if "__pycache__" not in path.parts
)
SCRIPTS = sorted((ROOT / "service").rglob("*.js"))


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def functions(path: Path) -> Iterator[tuple[str, int]]:
    """Names and lengths, without decorators; a long docstring is no long function."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            docstring = ast.get_docstring(node, clean=False)
            yield node.name, lines - (docstring.count("\n") + 1 if docstring else 0)


def test_there_is_something_to_check() -> None:
    assert len(SOURCES) > 30


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_modules_and_functions_stay_readable(path: Path) -> None:
    assert len(path.read_text("utf-8").splitlines()) <= MODULE_LINES
    assert [(name, lines) for name, lines in functions(path) if lines > FUNCTION_LINES] == []


@pytest.mark.parametrize("path", SCRIPTS, ids=name_of)
def test_scripts_of_pages_stay_readable(path: Path) -> None:
    assert len(path.read_text("utf-8").splitlines()) <= MODULE_LINES


@pytest.mark.parametrize("folder", ["service", "operator"])
def test_source_folders_are_no_packages(folder: str) -> None:
    """A package called `operator` in the root would shadow the standard library's."""
    assert not (ROOT / folder / "__init__.py").exists()


def test_every_folder_of_tests_is_a_package() -> None:
    """Two modules of one name collide otherwise."""
    folders = {path.parent for path in SOURCES if path.is_relative_to(ROOT / "tests")}

    assert [name_of(each) for each in sorted(folders) if not (each / "__init__.py").exists()] == []


def test_the_readme_can_be_read_in_one_go() -> None:
    assert len((ROOT / "README.md").read_text("utf-8").splitlines()) <= README_LINES


def test_the_lock_names_no_place() -> None:
    """Whoever installs chooses where packages come from; a hash says which ones."""
    lock = (ROOT / "requirements.lock").read_text("utf-8")

    assert re.findall(r"\w+://\S+|^-\S+|@ \S+", lock, re.MULTILINE) == []
    versions = re.findall(r"^[\w.-]+==", lock, re.MULTILINE)
    assert versions
    assert len(re.findall(r"^[\w.-]+==.*\\\n    --hash=sha256:", lock, re.MULTILINE)) == len(
        versions
    )


def test_the_lock_has_every_dependency() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    lock = (ROOT / "requirements.lock").read_text("utf-8")
    locked = {normal(name) for name in re.findall(r"^([\w.-]+)==", lock, re.MULTILINE)}
    wanted = {
        normal(re.split(r"[\[<>=!~ ]", requirement)[0])
        for extra in project["optional-dependencies"].values()
        for requirement in extra
    }

    assert wanted - locked == set()


def test_there_is_one_version() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]

    assert project["version"] == threadkeep.__version__


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
