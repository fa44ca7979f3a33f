"""Values: each is described, each is known to the schema, and wrong ones are refused in words."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from .chart import CHART, Helm, Refused

OPEN_MAPS = {"strings", "amounts"}
"""Definitions whose keys the user chooses: labels, annotations, selectors, kinds of resources."""
SCHEMA: dict[str, Any] = json.loads((CHART / "values.schema.json").read_text("utf-8"))
VALUES = (CHART / "values.yaml").read_text("utf-8")


def nodes(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every object of the schema that describes keys of the chart's own."""
    if "properties" in schema:
        yield path, schema
        for name, child in schema["properties"].items():
            yield from nodes(child, f"{path}.{name}" if path else name)
    if "items" in schema:
        yield from nodes(schema["items"], f"{path}[]")


def test_every_object_refuses_unknown_keys() -> None:
    open_nodes = [
        path for path, node in nodes(SCHEMA) if node.get("additionalProperties") is not False
    ]
    definitions = [
        name
        for name, node in SCHEMA["definitions"].items()
        if node.get("type") == "object"
        and node.get("additionalProperties") is not False
        and name not in OPEN_MAPS
    ]

    assert len(list(nodes(SCHEMA))) > 20
    assert open_nodes == []
    assert definitions == []


def test_schema_and_values_have_the_same_keys() -> None:
    values = yaml.safe_load(VALUES)
    known = {path for path, _ in leaves(SCHEMA)} - {"global"}

    assert known - set(paths(values)) == set(), "in the schema, without a default"
    assert set(top_paths(values, known)) - known == set(), "a default without a schema"


def leaves(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every key down to where the user's own begin."""
    definition = schema.get("$ref", "").rpartition("/")[2]
    schema = SCHEMA["definitions"][definition] if definition == "image" else schema
    for name, child in schema.get("properties", {}).items():
        here = f"{path}.{name}" if path else name
        yield here, child
        if "limits" not in schema["properties"]:
            yield from leaves(child, here)


def paths(values: Any, path: str = "") -> Iterator[str]:
    if isinstance(values, dict):
        for name, child in values.items():
            here = f"{path}.{name}" if path else name
            yield here
            yield from paths(child, here)


def top_paths(values: Any, known: set[str]) -> Iterator[str]:
    """Paths of values whose parent the schema describes key by key."""
    parents = {path.rpartition(".")[0] for path in known}
    return (path for path in paths(values) if path.rpartition(".")[0] in parents)


def test_every_value_is_described() -> None:
    """By a comment on the line above, or as one of a group that a comment above describes."""
    undescribed = []
    commented = {0: True}
    previous = ""
    for line in VALUES.splitlines():
        match = re.match(r"( *)([a-zA-Z]\w*):", line)
        if match:
            depth = len(match[1])
            has_comment = previous.strip().startswith("#")
            is_next = bool(re.match(rf"{match[1]}[a-zA-Z]", previous))
            commented[depth] = has_comment or (is_next and commented.get(depth, False))
            described = commented[depth] or any(commented.get(d) for d in range(2, depth, 2))
            if not described and match[2] not in PLAIN:
                undescribed.append(line.strip())
        previous = line

    assert undescribed == []


PLAIN = {
    *("enabled", "annotations", "labels", "resources", "nodeSelector", "tolerations", "affinity"),
    *("image", "registry", "repository", "digest", "pullPolicy", "className", "hostnames"),
    *("priorityClassName", "podAnnotations", "podLabels", "requests", "limits", "create"),
    *("type", "port", "minReplicas", "maxReplicas", "maxUnavailable", "interval", "maxMemory"),
    *("bundled", "external", "serviceMonitor"),
}
"""Their meaning is Kubernetes' own."""

REFUSED = [
    (["replica=3"], "replica"),
    (["database.bundled.storage.sice=1Gi"], "sice"),
    (["autoscaling.enabled=true", "autoscaling.minReplicas=9"], "minReplicas 9 is above maxRep"),
    (["rollout.terminationGracePeriodSeconds=30"], "30 is too short for .* = 35"),
    (["settings.drainSeconds=120", "rollout.terminationGracePeriodSeconds=120"], "= 145"),
    (["settings.drainSeconds=900"], "drainSeconds"),
    (["database.external.existingSecret=mine"], "choose one"),
    (["database.mode=external"], "database.external.existingSecret: required"),
    (["database.mode=both"], "mode"),
    (["replicas=20"], "maxConnections: 200 is less than 2 × 20 pods × 12"),
    (["settings.appendLanes=8", "settings.databaseConnections=8"], "above appendLanes"),
    (["redis.mode=bundled"], "redis.bundled.image: required"),
    (["redis.mode=external"], "redis.external.existingSecret: required"),
    (["ingress.enabled=true"], "ingress.hosts: required"),
    (["httpRoute.enabled=true"], "httpRoute.parentRefs: required"),
    (["runAsUser=0"], "runAsUser"),
    (["image.tag=has space"], "tag"),
    (["settings.logLevel=loud"], "logLevel"),
    (["database.bundled.resources.limits.memory=1"], "memory"),
    (["monitoring.rules.runbookUrl=ftp://x"], "runbookUrl"),
]


@pytest.mark.parametrize(("values", "words"), REFUSED, ids=[" ".join(v) for v, _ in REFUSED])
def test_wrong_values_are_refused(each_helm: Helm, values: list[str], words: str) -> None:
    arguments = [part for value in values for part in ("--set", value)]

    with pytest.raises(Refused, match=words):
        each_helm.render(arguments)


def test_all_contradictions_are_told_at_once(helm: Helm) -> None:
    with pytest.raises(Refused, match="do not fit together") as caught:
        helm.render(["--set", "ingress.enabled=true", "--set", "httpRoute.enabled=true"])

    assert "ingress.hosts" in str(caught.value)
    assert "httpRoute.parentRefs" in str(caught.value)
