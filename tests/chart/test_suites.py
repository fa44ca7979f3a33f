"""The suites' manifests in k8s-jobs/ are the chart's."""

from __future__ import annotations

import pytest

from .chart import CHART, RELEASE, ROOT, Helm, Object

SUITES = ("integration", "scaling", "continuity")
COMMAND = "make jobs"


@pytest.mark.parametrize("suite", SUITES)
def test_manifests_are_those_of_the_chart(helm: Helm, suite: str) -> None:
    written = (ROOT / "k8s-jobs" / f"{suite}.yaml").read_text("utf-8")

    rendered = helm.run(
        *("template", RELEASE, str(CHART), "--namespace", "default"),
        *("--show-only", f"templates/suites/{suite}.yaml"),
    )

    assert written == rendered, f"k8s-jobs/{suite}.yaml is not the chart's: {COMMAND}"


def test_suites_can_be_left_out(helm: Helm) -> None:
    without = helm.objects("--set", "suites.enabled=false")

    assert [each["kind"] for each in without if each["kind"] in {"CronJob", "Role"}] == []


def test_without_a_database_of_its_own_a_suite_does_not_ask_for_one(helm: Helm) -> None:
    def required(objects: list[Object]) -> set[str]:
        return {
            each["value"]
            for found in objects
            if found["kind"] == "CronJob"
            for container in pod_of(found)["containers"]
            for each in container["env"]
            if each["name"] == "THREADKEEP_TEST_REQUIRE"
        }

    external = ["--set", "database.mode=external", "--set", "database.external.existingSecret=mine"]

    assert required(helm.objects()) == {"service,admin_dsn,faults,database"}
    assert required(helm.objects(*external)) == {"service,admin_dsn,faults"}


def pod_of(cron_job: Object) -> Object:
    found: Object = cron_job["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    return found
