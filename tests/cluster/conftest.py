"""The cluster, and a namespace for each test."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from kubernetes import client

from ..support import resources
from . import ladder, products
from .access import Cluster
from .images.commands import BuildError
from .local import faults
from .namespaces import Namespace


@pytest.fixture(scope="session")
def cluster(say: Callable[[str], None]) -> Iterator[Cluster]:
    """A cluster to test in; it stays up afterwards, for the next run to adopt."""
    try:
        found = ladder.find(say)
    except ladder.NoCluster as exc:
        resources.missing("cluster", str(exc))
    except ladder.ContextRefused as exc:
        pytest.fail(str(exc), pytrace=False)
    if found.is_local:
        say("The cluster stays up for the next run; `make cluster-down` ends it.")
    client.VersionApi(found.api).get_code()
    yield found
    found.api.close()


@pytest.fixture(scope="session")
def product_images(cluster: Cluster, say: Callable[[str], None]) -> dict[str, str]:
    """The product's images by their names in the chart, as references that the nodes have.

    THREADKEEP_TEST_IMAGES names a file with those that the cluster pulls by itself.
    """
    if path := os.environ.get("THREADKEEP_TEST_IMAGES"):
        given: dict[str, str] = json.loads(Path(path).read_text("utf-8"))
        return given
    try:
        images = products.load(cluster, say)
    except BuildError as exc:
        resources.missing("cluster", str(exc))
    return {each.name: each.references[0] for each in images}


@pytest.fixture
def local_cluster(cluster: Cluster) -> Iterator[Cluster]:
    """A cluster whose nodes can be harmed from outside; no fault outlives the test."""
    if not cluster.is_local:
        resources.missing("cluster", f"nodes cannot be harmed from outside ({cluster.origin})")
    faults.heal()
    yield cluster
    faults.heal()


@pytest.fixture
def namespace(cluster: Cluster) -> Iterator[Namespace]:
    """A namespace for this test alone, under the restricted Pod Security standard."""
    namespace = Namespace(cluster.api, f"test-{secrets.token_hex(4)}")
    namespace.create()
    yield namespace
    namespace.remove()
