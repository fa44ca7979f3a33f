"""Every pod satisfies the restricted Pod Security Standard, and no one may do anything."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

import pytest
import yaml

from . import chart
from .chart import Object, containers, pods

RESTRICTED_VOLUMES = {
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "persistentVolumeClaim",
    "projected",
    "secret",
}
OPEN_GROUPS = {"suites"}
"""Components whose pods do talk to the API server: they break and measure their own release."""


def violations(pod: Object) -> Iterator[str]:
    """What the restricted standard of Kubernetes 1.35 has against it."""
    yield from _of_pod(pod)
    for volume in pod.get("volumes", []):
        if not set(volume) - {"name"} <= RESTRICTED_VOLUMES:
            yield f"volume {volume['name']}"
    for container in containers(pod):
        yield from (f"{container['name']}: {each}" for each in _of_container(container))


def _of_pod(pod: Object) -> Iterator[str]:
    security = pod.get("securityContext", {})
    yield from (field for field in ("hostNetwork", "hostPID", "hostIPC") if pod.get(field))
    if security.get("runAsNonRoot") is not True:
        yield "runAsNonRoot"
    if security.get("runAsUser") == 0:
        yield "runAsUser"
    if security.get("seccompProfile", {}).get("type") not in {"RuntimeDefault", "Localhost"}:
        yield "seccompProfile"


def _of_container(container: Object) -> Iterator[str]:
    security = container.get("securityContext", {})
    if security.get("allowPrivilegeEscalation") is not False:
        yield "allowPrivilegeEscalation"
    if security.get("capabilities", {}).get("drop") != ["ALL"]:
        yield "capabilities are not dropped"
    if set(security.get("capabilities", {}).get("add", [])) - {"NET_BIND_SERVICE"}:
        yield "capabilities are added"
    if security.get("privileged") or security.get("runAsUser") == 0:
        yield "privileged"
    if security.get("runAsNonRoot") is False:
        yield "runAsNonRoot"
    if any("hostPort" in port for port in container.get("ports", [])):
        yield "hostPort"


def test_every_pod_is_restricted(objects: list[Object]) -> None:
    found = dict(pods(objects))

    assert len(found) >= 2
    assert [(name, each) for name, pod in found.items() for each in violations(pod)] == []


@pytest.mark.parametrize(
    ("change", "noticed"),
    [
        ({"hostNetwork": True}, "hostNetwork"),
        ({"securityContext": {"runAsNonRoot": True}}, "seccompProfile"),
        ({"volumes": [{"name": "all", "hostPath": {"path": "/"}}]}, "volume all"),
    ],
)
def test_a_pod_that_is_not_would_be_noticed(
    defaults: list[Object], change: Object, noticed: str
) -> None:
    _, pod = next(pods(defaults))

    assert noticed in list(violations(pod | change))


def test_no_container_can_write_where_its_image_is(objects: list[Object]) -> None:
    for name, pod in pods(objects):
        for container in containers(pod):
            assert container["securityContext"]["readOnlyRootFilesystem"] is True, name
            assert container["resources"]["limits"]["memory"], name


def test_secrets_are_files_and_appear_in_no_command(objects: list[Object]) -> None:
    """Arguments and environments are shown to whoever may look at a pod."""
    checked = 0
    for name, pod in pods(objects):
        for container in containers(pod):
            words = yaml.safe_dump([container.get(key) for key in ("command", "args", "env")])
            checked += 1

            assert "secretKeyRef" not in words, name
            assert not re.search(r"(?i)(password|key|url): *\S*://\S*:\S*@", words), name
    assert checked > 2


def test_the_superusers_password_is_for_migrations_and_postgres_alone(
    defaults: list[Object],
) -> None:
    deployment = chart.only(defaults, "Deployment", "threadkeep")
    pod = deployment["spec"]["template"]["spec"]
    service = {mount["name"] for mount in pod["containers"][0]["volumeMounts"]}
    volumes = {each["name"]: each for each in pod["volumes"]}
    keys = [
        item["key"]
        for source in volumes["secrets"]["projected"]["sources"]
        for item in source["secret"]["items"]
    ]

    assert "migrations" not in service
    assert sorted(keys) == ["app-url", "platform-key"]


def test_no_permission_is_given_that_no_code_uses(objects: list[Object]) -> None:
    """The service never calls the API server: it has no role, and its pods get no token."""
    roles = [
        each
        for each in objects
        if each["apiVersion"].startswith("rbac.authorization.k8s.io/")
        and each["metadata"]["labels"]["app.kubernetes.io/component"] not in OPEN_GROUPS
    ]

    assert roles == []
    for each in objects:
        component = each["metadata"]["labels"]["app.kubernetes.io/component"]
        if component in OPEN_GROUPS:
            continue
        if each["kind"] == "ServiceAccount":
            assert each["automountServiceAccountToken"] is False
        for name, pod in pods([each]):
            assert pod["automountServiceAccountToken"] is False, name
            assert not any("serviceAccountToken" in str(v) for v in pod.get("volumes", [])), name


def test_the_service_calls_no_cluster() -> None:
    """If it did, it would need the permissions that it is not given."""
    sources = sorted((chart.ROOT / "service").rglob("*.py"))
    imported = {
        name.split(".")[0]
        for path in sources
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        for name in _names(node)
    }

    assert len(sources) > 100
    assert imported & {"kubernetes", "kubernetes_asyncio", "kr8s", "lightkube", "kopf"} == set()


def _names(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        return [node.module or ""]
    return []
