"""The suites as Jobs: what their manifests name exists, and what they may do is what is done."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from ..scenarios.catalogue import ROWS
from ..support import resources

ROOT: Final = Path(__file__).parents[2]
SUITES: Final = ("integration", "scaling", "continuity")
_CALL: Final = re.compile(r"\b(list|create|delete|read|patch|replace|watch)_namespaced_(\w+)")
_PLURALS: Final = {"pod": "pods", "config_map": "configmaps"}

Object = dict[str, Any]


@cache
def objects(suite: str) -> list[Object]:
    text = (ROOT / "k8s-jobs" / f"{suite}.yaml").read_text("utf-8")
    return [each for each in yaml.safe_load_all(text) if each]


def one(suite: str, kind: str) -> Object:
    (found,) = [each for each in objects(suite) if each["kind"] == kind]
    return found


def job(suite: str) -> Object:
    spec: Object = one(suite, "CronJob")["spec"]["jobTemplate"]["spec"]
    return spec


def container(suite: str) -> Object:
    (found,) = job(suite)["template"]["spec"]["containers"]
    only: Object = found
    return only


def granted(suite: str) -> set[tuple[str, str]]:
    """(verb, resource) of a suite's Role."""
    return {
        (verb, resource)
        for rule in one(suite, "Role")["rules"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def called() -> set[tuple[str, str]]:
    """(verb, resource) of every call that a scenario may make."""
    sources = [path.read_text("utf-8") for path in (ROOT / "tests" / "scenarios").rglob("*.py")]
    calls = {call for text in sources for call in _CALL.findall(text)}
    return {("get" if verb == "read" else verb, _PLURALS.get(kind, kind)) for verb, kind in calls}


def test_the_folder_holds_these_suites() -> None:
    found = {path.stem for path in (ROOT / "k8s-jobs").glob("*.yaml")}

    assert found == set(SUITES)


@pytest.mark.parametrize("suite", SUITES)
def test_what_is_run_exists(suite: str) -> None:
    args = container(suite)["args"]
    paths = [word for word in args if word.startswith("tests/")]

    assert container(suite)["command"] == ["pytest"]
    assert paths
    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_every_category_belongs_to_one_suite() -> None:
    chosen = [
        category for suite in SUITES for category in container(suite)["args"][2].split(" or ")
    ]

    assert sorted(chosen) == sorted({row.category for row in ROWS})


@pytest.mark.parametrize("suite", SUITES)
def test_the_tests_know_every_variable(suite: str) -> None:
    known = (ROOT / "tests" / "conftest.py").read_text("utf-8").split('"""')[1]
    used = {each["name"] for each in container(suite)["env"]}
    required = next(
        each["value"] for each in container(suite)["env"] if each["name"].endswith("_REQUIRE")
    )

    assert used - set(re.findall(r"\bTHREADKEEP_TEST_\w+", known)) == {"THREADKEEP_COMMIT"}
    assert {"service", "admin_dsn", "faults"} <= set(required.split(",")) <= set(resources.KINDS)


@pytest.mark.parametrize("suite", SUITES)
def test_its_account_exists_and_is_bound_to_its_own_role(suite: str) -> None:
    account = one(suite, "ServiceAccount")["metadata"]["name"]
    binding = one(suite, "RoleBinding")

    assert job(suite)["template"]["spec"]["serviceAccountName"] == account
    assert [each["name"] for each in binding["subjects"]] == [account]
    assert binding["roleRef"]["name"] == one(suite, "Role")["metadata"]["name"]


def test_permissions_are_what_the_tests_call() -> None:
    """All together exactly that; and who harms no pod may not delete one."""
    faults = {
        suite: "faults."
        in "".join(
            path.read_text("utf-8")
            for row in {r.category for r in ROWS}
            if row in container(suite)["args"][2].split(" or ")
            for path in (ROOT / "tests" / "scenarios" / row).glob("*.py")
        )
        for suite in SUITES
    }

    assert set.union(*(granted(suite) for suite in SUITES)) == called()
    for suite in SUITES:
        assert (("delete", "pods") in granted(suite)) == faults[suite], suite


@pytest.mark.parametrize("suite", SUITES)
def test_a_run_ends_once_and_is_never_repeated_by_itself(suite: str) -> None:
    cron = one(suite, "CronJob")["spec"]

    assert cron["suspend"] is True
    assert job(suite)["backoffLimit"] == 0
    assert job(suite)["activeDeadlineSeconds"] > 0
    assert job(suite)["ttlSecondsAfterFinished"] > 0
    assert job(suite)["template"]["spec"]["restartPolicy"] == "Never"
