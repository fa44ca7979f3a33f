"""Helm 3 and Helm 4, and what they render."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from . import chart
from .chart import CONFIGURATIONS, Helm, Object


@pytest.fixture(scope="session")
def helms(say: Callable[[str], None]) -> dict[int, Helm]:
    """Both, by their major version."""
    return {major: chart.find(major, say) for major in (3, 4)}


@pytest.fixture(scope="session", params=[3, 4], ids=["helm3", "helm4"])
def each_helm(helms: dict[int, Helm], request: pytest.FixtureRequest) -> Helm:
    """One after the other."""
    return helms[request.param]


@pytest.fixture(scope="session")
def helm(helms: dict[int, Helm]) -> Helm:
    """The newer one."""
    return helms[4]


@pytest.fixture(scope="session", params=CONFIGURATIONS)
def configuration(request: pytest.FixtureRequest) -> str:
    """The name of each file of values in ci/."""
    name: str = request.param
    return name


@pytest.fixture(scope="session")
def objects(helm: Helm, configuration: str) -> list[Object]:
    """What the chart makes of it."""
    return helm.configured(configuration)


@pytest.fixture(scope="session")
def defaults(helm: Helm) -> list[Object]:
    """What it makes without any value."""
    return helm.objects()
