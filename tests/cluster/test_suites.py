"""The suites as Jobs of a release: they end as they should, and their results can be read.

With the amounts of the profile `control`, unless `--profile` names another: what is tested here
is that they run, see a broken service, and tell of it.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from click.testing import CliRunner
from kubernetes import client

from threadkeep.cli.report import report

from ..chart import chart
from ..chart.chart import CHART
from ..scenarios.levels import CONTROL
from ..support.postgres import run_now
from ..support.waiting import until
from .access import Cluster
from .namespaces import Namespace
from .releases import FULL_NAME, NAME, Release

pytestmark = pytest.mark.timeout(2400)

SUITES: Final = ("scaling", "integration", "continuity")
SUITES_IMAGE: Final = "threadkeep-suites"
BROKEN: Final = "keys-ignored"
"""A sabotage that a test of the suite `integration` finds."""
_SECONDS: Final = 2100.0
_MESSAGE_BYTES: Final = 4096


@pytest.fixture(scope="module")
def release(
    cluster: Cluster, product_images: dict[str, str], say: Callable[[str], None]
) -> Iterator[Release]:
    """A release with its suites."""
    namespace = Namespace(cluster.api, f"test-suites-{secrets.token_hex(3)}")
    namespace.create()
    release = Release(chart.find(4, say), cluster, namespace, product_images)
    values = [*release.values("threadkeep"), *suites_image(product_images)]
    run_now(release.run("install", NAME, str(CHART), "--wait", "--timeout=300s", *values))
    yield release
    namespace.remove()


@pytest.fixture
def profile(request: pytest.FixtureRequest) -> str:
    """How much they do."""
    return str(request.config.getoption("--profile") or CONTROL)


@pytest.mark.parametrize("suite", SUITES)
async def test_a_suite_is_complete(
    suite: str, release: Release, profile: str, tmp_path: Path
) -> None:
    run = f"{suite}-{secrets.token_hex(3)}"

    message = await ended(release, suite, run, profile, wanted="Complete")

    assert message["run"] == run
    assert (message["exit_code"], message["failed"]) == (0, [])
    assert message["tests"]["passed"] > 0
    page = opened(release, run, tmp_path)
    assert "Threadkeep: the 41 scenarios" in page
    assert f"<b>{profile}</b>" in page


async def test_a_broken_service_makes_a_suite_fail(
    release: Release, profile: str, tmp_path: Path
) -> None:
    """Idempotency keys are not kept any more; the sabotage is in the suites' image alone."""
    run = f"broken-{secrets.token_hex(3)}"
    await sabotage(release)

    message = await ended(release, "integration", run, profile, only="key", wanted="Failed")

    assert message["exit_code"] == 1
    assert any("test_one_key_used_twenty_times" in test for test in message["failed"])
    assert "one key × 20" in opened(release, run, tmp_path)


async def ended(
    release: Release, suite: str, run: str, profile: str, *, wanted: str, only: str = ""
) -> dict[str, Any]:
    """Make a Job of a suite, as `kubectl create job --from` does; its last message.

    With `only`, of the tests that this expression of pytest's selects.
    """
    batch, name = client.BatchV1Api(release.cluster.api), release.namespace.name
    cron: Any = batch.read_namespaced_cron_job(f"{FULL_NAME}-{suite}", name)
    spec = cron.spec.job_template.spec
    for variable in spec.template.spec.containers[0].env:
        if variable.name == "THREADKEEP_TEST_PROFILE":
            variable.value = profile
    spec.template.spec.containers[0].args += ["-k", only] if only else []
    metadata = client.V1ObjectMeta(name=run)
    batch.create_namespaced_job(name, client.V1Job(metadata=metadata, spec=spec))

    def condition() -> str:
        status: Any = batch.read_namespaced_job(run, name).status
        found = [each.type for each in status.conditions or [] if each.status == "True"]
        return next((each for each in found if each in {"Complete", "Failed"}), "")

    how = await until(condition, _SECONDS, what=f"the end of {run}")
    found: Any = release.namespace.core.list_namespaced_pod(name, label_selector=f"job-name={run}")
    (pod,) = found.items
    state: Any = pod.status.container_statuses[0].state.terminated
    assert how == wanted, f"{state.message}\n{release.namespace.log(pod.metadata.name)[-6000:]}"
    assert len(state.message.encode()) <= _MESSAGE_BYTES
    told: dict[str, Any] = json.loads(state.message)
    return told


def opened(release: Release, run: str, folder: Path) -> str:
    """The page of a run, by the command that a person would use."""
    page = folder / "page.html"
    words = [run, "--no-open", "--output", str(page), "--namespace", release.namespace.name]
    access = release.cluster
    given = {"KUBECONFIG": str(access.kubeconfig)} if access.kubeconfig else {}
    context = ["--context", access.context] if access.context else []
    done = CliRunner().invoke(report, [*words, *context], env={**os.environ, **given})
    assert done.exit_code == 0, done.output
    return page.read_text("utf-8")


async def sabotage(release: Release) -> None:
    """Let the pods of the service run the suites' image, with one mechanism broken."""
    apps = client.AppsV1Api(release.cluster.api)
    found: Any = apps.read_namespaced_deployment(FULL_NAME, release.namespace.name)
    container = found.spec.template.spec.containers[0]
    words = ["python", "-m", "tests.sabotage", BROKEN]
    broken = {"name": container.name, "image": release.images[SUITES_IMAGE], "command": words}
    change = {"spec": {"template": {"spec": {"containers": [broken]}}}}
    apps.patch_namespaced_deployment(FULL_NAME, release.namespace.name, change)

    def is_rolled_out() -> bool:
        now: Any = apps.read_namespaced_deployment(FULL_NAME, release.namespace.name)
        status = now.status
        return bool(
            status.observed_generation == now.metadata.generation
            and status.updated_replicas == status.replicas == status.available_replicas
        )

    await until(is_rolled_out, 300, what="the sabotaged pods")


def suites_image(images: dict[str, str]) -> list[str]:
    """Values of the chart that name the suites' image."""
    registry, _, rest = images[SUITES_IMAGE].partition("/")
    repository, _, tag = rest.rpartition(":")
    given = {"registry": registry, "repository": repository, "tag": tag}
    return [f"--set=suites.image.{name}={value}" for name, value in given.items()]
