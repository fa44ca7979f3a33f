"""Both Helms take the chart, Kubernetes takes what they render, and it is the same."""

from __future__ import annotations

import json
from typing import Any

import kubernetes_validate
import pytest

from . import chart
from .chart import KUBERNETES, Helm, Object

OTHERS = {
    "monitoring.coreos.com/v1": "the Prometheus operator's",
    "gateway.networking.k8s.io/v1": "the Gateway API's",
}
"""API groups whose schemas Kubernetes does not have; checked in tests of their own."""


def test_lint_has_nothing_to_say(each_helm: Helm, configuration: str) -> None:
    each_helm.lint(configuration)


def test_both_helms_render_the_same(helms: dict[int, Helm], configuration: str) -> None:
    rendered = [sorted_objects(helm.configured(configuration)) for helm in helms.values()]

    assert rendered[0] == rendered[1]


def sorted_objects(objects: list[Object]) -> list[str]:
    """Comparable, without what is made by chance."""
    return sorted(
        json.dumps(each | {"data": None, "stringData": None} if each["kind"] == "Secret" else each)
        for each in objects
    )


def test_kubernetes_knows_every_field(objects: list[Object]) -> None:
    checked = 0
    for each in objects:
        if each["apiVersion"] not in OTHERS:
            kubernetes_validate.validate(each, KUBERNETES, strict=True)
            checked += 1

    assert checked > 5


def test_a_field_that_kubernetes_does_not_know_would_be_noticed(defaults: list[Object]) -> None:
    deployment: dict[str, Any] = json.loads(
        json.dumps(chart.only(defaults, "Deployment", "threadkeep"))
    )
    deployment["spec"]["template"]["spec"]["containers"][0]["readynessProbe"] = {}

    with pytest.raises(kubernetes_validate.ValidationError, match="readynessProbe"):
        kubernetes_validate.validate(deployment, KUBERNETES, strict=True)


def test_every_object_says_where_it_belongs(objects: list[Object]) -> None:
    for each in objects:
        metadata = each["metadata"]
        labels = metadata["labels"]

        assert metadata["namespace"] == chart.NAMESPACE
        assert labels["app.kubernetes.io/instance"] == chart.RELEASE
        assert labels["app.kubernetes.io/managed-by"] == "Helm"
        assert labels["app.kubernetes.io/component"]
        assert len(metadata["name"]) <= 52, "Jobs and pods add to it"


def test_selectors_find_their_pods_and_no_others(objects: list[Object]) -> None:
    """Of Services, budgets and policies: each label set selects exactly one component's pods."""
    templates = {
        f"{each['kind']}/{each['metadata']['name']}": each["spec"]["template"]["metadata"]["labels"]
        for each in objects
        if each["kind"] in {"Deployment", "StatefulSet"}
    }
    for each in objects:
        spec = each.get("spec", {})
        if each["kind"] == "Service":
            wanted = spec["selector"]
        elif each["kind"] == "PodDisruptionBudget":
            wanted = spec["selector"]["matchLabels"]
        else:
            continue
        found = [name for name, labels in templates.items() if wanted.items() <= labels.items()]

        assert len(found) == 1, (each["metadata"]["name"], found)


def test_an_install_without_a_cluster_renders(helm: Helm) -> None:
    """What `lookup` would find must not be needed, or GitOps tools could not render."""
    assert chart.only(helm.objects(), "Secret", "database")["data"]["postgres-password"]
