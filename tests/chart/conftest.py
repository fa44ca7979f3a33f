"""Helm 3 and Helm 4, and what they render."""

from __future__ import annotations

import pytest

from . import chart
from .chart import CONFIGURATIONS, Helm, Object


@pytest.fixture(scope="session", params=[3, 4], ids=["helm3", "helm4"])
def each_helm(request: pytest.FixtureRequest) -> Helm:
    """Both, one after the other."""
    return chart.find(request.param)


@pytest.fixture(scope="session")
def helm() -> Helm:
    """The newer one."""
    return chart.find(4)


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
