"""NetworkPolicies: who reaches whom, also while an upgrade is on its way."""

from __future__ import annotations

import pytest

from . import chart
from .chart import Helm, Object, only


def annotations_of(each: Object) -> Object:
    found: Object = each["metadata"]["annotations"]
    return found


def test_policies_let_nobody_but_the_release_reach_the_database(defaults: list[Object]) -> None:
    policy = chart.only(defaults, "NetworkPolicy", "postgres")["spec"]

    assert policy["policyTypes"] == ["Ingress", "Egress"]
    assert policy["egress"] == []
    (rule,) = policy["ingress"]
    assert rule["ports"] == [{"port": 5432, "protocol": "TCP"}]
    assert rule["from"] == [
        {
            "podSelector": {
                "matchLabels": {
                    "app.kubernetes.io/name": "threadkeep",
                    "app.kubernetes.io/instance": chart.RELEASE,
                }
            }
        }
    ]


def test_the_releases_own_pods_reach_the_service_whoever_else_may(helm: Helm) -> None:
    """`helm test` and the suites, in whichever way callers are chosen."""
    edge = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "edge"}}}
    objects = helm.configured("everything-values")
    check = only(objects, "Pod", "check")["metadata"]["labels"]
    suites = [
        each["spec"]["jobTemplate"]["spec"]["template"]["metadata"]["labels"]
        for each in objects
        if each["kind"] == "CronJob"
    ]

    (rule,) = only(objects, "NetworkPolicy", "tk-threadkeep")["spec"]["ingress"]
    own, other = rule["from"]
    assert other == edge
    assert len(suites) == 3
    for labels in (check, *suites):
        assert own["podSelector"]["matchLabels"].items() <= labels.items()


def test_everybody_reaches_the_service_where_nobody_is_chosen(defaults: list[Object]) -> None:
    (rule,) = only(defaults, "NetworkPolicy", "tk-threadkeep")["spec"]["ingress"]

    assert "from" not in rule


def test_the_migration_reaches_the_database_that_the_upgrade_names(helm: Helm) -> None:
    """Its own policy is there before it, because the release's are still those of before."""
    objects = helm.objects(
        *("--set", "database.mode=external", "--set", "database.external.existingSecret=mine"),
        *("--set", "database.external.port=6543", "--set", "networkPolicy.egressPorts={8443}"),
    )
    policy = only(objects, "NetworkPolicy", "migrate")
    job = only(objects, "Job", "migrate")
    service = only(objects, "NetworkPolicy", "tk-threadkeep")

    labels = job["spec"]["template"]["metadata"]["labels"]
    assert policy["spec"]["podSelector"]["matchLabels"].items() <= labels.items()
    assert policy["spec"]["policyTypes"] == ["Egress"]
    assert {"ports": [{"port": 6543, "protocol": "TCP"}]} in policy["spec"]["egress"]
    assert policy["spec"]["egress"] == service["spec"]["egress"]
    for key in ("helm.sh/hook", "helm.sh/hook-delete-policy"):
        assert annotations_of(policy)[key] == annotations_of(job)[key]
    weights = [int(annotations_of(each).get("helm.sh/hook-weight", "0")) for each in (policy, job)]
    assert weights[0] < weights[1]


@pytest.mark.parametrize(
    "value", ["networkPolicy.enabled", "migrations.enabled", "migrations.hook"]
)
def test_there_is_no_policy_without_policies_or_the_hook(helm: Helm, value: str) -> None:
    objects = helm.objects("--set", f"{value}=false")

    names = {each["metadata"]["name"] for each in objects if each["kind"] == "NetworkPolicy"}
    assert "tk-threadkeep-migrate" not in names
