"""What the Containerfiles and the locks beside them promise."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from ...cluster.images.recipes import RECIPES, ROOT, Recipe, files, version

CONTAINERFILES = sorted({recipe.containerfile for recipe in RECIPES})
LOCKS = ("build", "service", "suites")
LABELS = ("title", "description", "licenses", "version")

Instruction = tuple[str, str]


def instructions(containerfile: str) -> list[Instruction]:
    """Name and words of each, continued lines joined."""
    text = (ROOT / containerfile).read_text("utf-8")
    lines = re.sub(r"^#.*\n", "", text, flags=re.MULTILINE).replace("\\\n", " ").splitlines()
    return [(line.split()[0], line.partition(" ")[2].strip()) for line in lines if line.strip()]


def stages(containerfile: str) -> list[list[Instruction]]:
    found: list[list[Instruction]] = []
    for name, words in instructions(containerfile):
        if name == "FROM":
            found.append([])
        if found:
            found[-1].append((name, words))
    return found


def final_stages(containerfile: str) -> list[list[Instruction]]:
    """Those that become an image: they begin with nothing, or with such a one."""
    return [
        stage for stage in stages(containerfile) if re.match(r"(scratch|service)\b", stage[0][1])
    ]


def values(stage: list[Instruction], name: str) -> list[str]:
    return [words for instruction, words in stage if instruction == name]


@pytest.mark.parametrize("containerfile", CONTAINERFILES)
def test_nothing_is_fetched_but_packages(containerfile: str) -> None:
    names = {name for name, _ in instructions(containerfile)}
    text = " ".join(words for _, words in instructions(containerfile))

    assert "ADD" not in names
    assert re.findall(r"\w+://\S+|\b(?:curl|wget|git)\b", text) == []


@pytest.mark.parametrize("containerfile", CONTAINERFILES)
def test_every_base_is_an_argument(containerfile: str) -> None:
    bases = {stage[0][1].split()[0] for stage in stages(containerfile)}
    named = {
        words.rpartition(" ")[2] for name, words in instructions(containerfile) if " AS " in words
    }

    assert bases - named == {"${BASE}", "scratch"}
    assert ":latest" not in (ROOT / containerfile).read_text("utf-8")


@pytest.mark.parametrize("containerfile", CONTAINERFILES)
def test_images_run_as_a_number_that_is_not_root(containerfile: str) -> None:
    """Kubernetes cannot tell whether a user with a name is root."""
    first = final_stages(containerfile)[0]

    assert re.fullmatch(r"[1-9]\d+:[1-9]\d+", values(first, "USER")[-1])
    for stage in final_stages(containerfile)[1:]:
        assert values(stage, "USER") == []


@pytest.mark.parametrize("containerfile", CONTAINERFILES)
def test_images_are_labelled(containerfile: str) -> None:
    first, *others = final_stages(containerfile)
    label = values(first, "LABEL")[0]

    for name in LABELS:
        assert re.search(rf"org\.opencontainers\.image\.{name}=\S+", label)
    assert f"VERSION={version()}" in values(first, "ARG")
    for stage in others:
        assert "org.opencontainers.image.title=" in values(stage, "LABEL")[0]


@pytest.mark.parametrize("containerfile", CONTAINERFILES)
def test_final_stages_only_copy(containerfile: str) -> None:
    """What a command leaves behind would stay in a layer."""
    for stage in final_stages(containerfile):
        assert values(stage, "RUN") == []


@pytest.mark.parametrize("containerfile", CONTAINERFILES)
def test_no_setting_of_an_index_stays(containerfile: str) -> None:
    for stage in stages(containerfile):
        for words in (*values(stage, "ENV"), *values(stage, "ARG")):
            assert not re.search(
                r"INDEX|PROXY|FIND_LINKS|TRUSTED|PASSWORD|TOKEN", words, re.IGNORECASE
            )
    for _, words in instructions(containerfile):
        if "pip install" in words and "--require-hashes" in words:
            assert "--mount=type=secret,id=pip" in words


@pytest.mark.parametrize("containerfile", CONTAINERFILES)
def test_packages_are_installed_by_hash(containerfile: str) -> None:
    for _, words in instructions(containerfile):
        for command in re.findall(r"pip\S* (?:--python \S+ )?install[^&]*", words):
            assert "--require-hashes" in command or "--no-index" in command


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.name)
def test_a_recipe_has_what_its_containerfile_copies(recipe: Recipe) -> None:
    ends = {"service": "service", "suites": "suites", None: None}[recipe.target]
    given = [ROOT / name for name in recipe.inputs]
    copied: list[Path] = []
    for stage in stages(recipe.containerfile):
        for words in values(stage, "COPY"):
            if not words.startswith("--from"):
                copied += [ROOT / source for source in words.split()[:-1]]
        if ends is not None and stage[0][1].endswith(f" AS {ends}"):
            break
    additions = ROOT / "requirements-suites.lock"
    missing = [
        path
        for path in copied
        if not any(path.is_relative_to(each) for each in given)
        and not any(each.is_relative_to(path) for each in given)
    ]

    assert copied
    # A stage that only the suites' image uses.
    assert missing == ([additions] if recipe.target == "service" else [])


def test_docker_is_handed_what_recipes_name() -> None:
    """`docker build .` takes what .dockerignore lets through, our own builder the recipes."""
    lines = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    allowed = [line.removeprefix("!") for line in lines if line.startswith("!")]
    denied = [line for line in lines if line and line[0] not in "!#*"]
    named = {name for recipe in RECIPES for name in recipe.inputs}

    assert "*" in lines
    for name in named:
        assert any(Path(name).match(each) or name.startswith(f"{each}/") for each in allowed)
    for path in files(tuple(named)):
        assert not any(path.is_relative_to(ROOT / each) for each in denied)


def locked(name: str) -> dict[str, tuple[str, frozenset[str]]]:
    """Package → version and hashes."""
    text = (ROOT / name).read_text("utf-8")
    found = re.findall(
        r"^([\w.-]+)==(\S+)((?:.*\\\n)(?:    --hash=\S+(?: \\)?\n)+)", text, re.MULTILINE
    )
    return {
        package: (version, frozenset(re.findall(r"--hash=(\S+)", hashes)))
        for package, version, hashes in found
    }


@pytest.mark.parametrize("name", LOCKS)
def test_locks_of_images_agree_with_the_lock(name: str) -> None:
    """What is tested is what is shipped."""
    everything = locked("requirements.lock")
    derived = locked(f"requirements-{name}.lock")

    assert derived
    assert {package: everything.get(package) for package in derived} == derived


@pytest.mark.parametrize("name", LOCKS)
def test_locks_of_images_name_no_place(name: str) -> None:
    lock = (ROOT / f"requirements-{name}.lock").read_text("utf-8")

    assert re.findall(r"\w+://\S+|^-\S+|@ \S+", lock, re.MULTILINE) == []


def requirements(extra: str) -> set[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    return {
        re.split(r"[\[<>=!~ ]", each)[0].lower() for each in project["optional-dependencies"][extra]
    }


def test_the_service_gets_its_own_packages_and_no_others() -> None:
    service = set(locked("requirements-service.lock"))

    assert requirements("service") <= service
    assert service & (requirements("dev") | requirements("demo")) <= requirements("service")


def test_the_suites_add_to_the_service() -> None:
    service, suites = (set(locked(f"requirements-{name}.lock")) for name in ("service", "suites"))

    assert service & suites == set()
    assert requirements("suites") <= suites | service
