"""The chart's files, and Helm as the programs that render them."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import yaml

from ..cluster.local import build, machine
from ..support import resources

ROOT: Final = Path(__file__).parents[2]
CHART: Final = ROOT / "charts" / "threadkeep"
CONFIGURATIONS: Final = sorted(path.stem for path in (CHART / "ci").glob("*-values.yaml"))
RELEASE: Final = "tk"
NAMESPACE: Final = "somewhere"
KUBERNETES: Final = "1.35"

_NAMES: Final = ("helm", "helm3")

Object = dict[str, Any]


class Refused(Exception):
    """Helm did not render; its text says why."""


@dataclass(frozen=True)
class Helm:
    """One of the two major versions."""

    major: int
    program: str

    def lint(self, configuration: str) -> None:
        """Raise `Refused` with what is wrong."""
        self.run("lint", "--strict", str(CHART), "--values", str(values_file(configuration)))

    def objects(self, *arguments: str) -> list[Object]:
        """All objects that a first install would make, hooks and tests included."""
        return _objects(self, arguments)

    def configured(self, configuration: str) -> list[Object]:
        """The same with the values of a file in ci/."""
        return self.objects("--values", str(values_file(configuration)))

    def render(self, arguments: Sequence[str]) -> str:
        """The text that `helm template` writes."""
        return self.run(
            *("template", RELEASE, str(CHART), "--namespace", NAMESPACE, "--is-upgrade"),
            *("--kube-version", KUBERNETES, *arguments),
        )

    def run(self, *arguments: str) -> str:
        """What a command writes; raise `Refused` where it fails."""
        ended = subprocess.run(
            [self.program, *arguments], capture_output=True, text=True, timeout=60, check=False
        )
        if ended.returncode:
            raise Refused(ended.stdout + ended.stderr)
        return ended.stdout


@cache
def _objects(helm: Helm, arguments: tuple[str, ...]) -> list[Object]:
    found = [each for each in yaml.safe_load_all(helm.render(arguments)) if each]
    assert found, "nothing was rendered"
    return found


def find(major: int, say: Callable[[str], None]) -> Helm:
    """Helm of a major version, built if need be; the test ends where that cannot be."""
    program = build.HELM if major == 4 else build.HELM_3
    candidates = (os.environ.get(f"THREADKEEP_TEST_HELM{major}"), *map(shutil.which, _NAMES))
    lacking = machine.lacks_go()
    if lacking is None:
        build.one(program, say)
        candidates = (str(program.path),)
    found = [each for each in candidates if each and _is_version(each, major)]
    if not found:
        resources.missing("helm", f"there is no Helm {major} on PATH, and {lacking}")
    return Helm(major, found[0])


@cache
def _is_version(program: str, major: int) -> bool:
    try:
        ended = subprocess.run(
            [program, "version", "--short"], capture_output=True, text=True, timeout=30, check=False
        )
    except OSError:
        return False
    return ended.stdout.startswith(f"v{major}.")


def values_file(configuration: str) -> Path:
    """A file of values in ci/."""
    return CHART / "ci" / f"{configuration}.yaml"


def only(objects: Sequence[Object], kind: str, name: str = "") -> Object:
    """The one object of a kind, where there are more with the end of its name."""
    found = [
        each
        for each in objects
        if each["kind"] == kind and each["metadata"]["name"].endswith(name or "")
    ]
    assert len(found) == 1, [each["metadata"]["name"] for each in found]
    return found[0]


def pods(objects: Sequence[Object]) -> Iterator[tuple[str, Object]]:
    """(whose, pod specification) of every pod that the objects make."""
    for each in objects:
        name = f"{each['kind']}/{each['metadata']['name']}"
        match each["kind"]:
            case "Pod":
                yield name, each["spec"]
            case "Deployment" | "StatefulSet" | "Job" | "DaemonSet":
                yield name, each["spec"]["template"]["spec"]
            case "CronJob":
                yield name, each["spec"]["jobTemplate"]["spec"]["template"]["spec"]
            case _:
                pass


def containers(pod: Object) -> list[Object]:
    """Its containers, those that initialise it first."""
    return [*pod.get("initContainers", []), *pod["containers"]]


def environment(container: Object) -> dict[str, str]:
    """Variables with plain values."""
    return {each["name"]: each.get("value", "") for each in container.get("env", [])}
