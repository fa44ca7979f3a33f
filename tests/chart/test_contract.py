"""Chart and service agree: settings, ports, paths, times, versions."""

from __future__ import annotations

import re
import tomllib
from typing import Any

import msgspec
import yaml

from threadkeep import settings as service_settings
from threadkeep.cli.serve import REQUEST_SECONDS
from threadkeep.settings import PREFIX, SECRETS, Settings
from threadkeep.web.live import GOODBYE_SECONDS
from threadkeep.web.routes import TABLE

from . import chart
from .chart import CHART, ROOT, Helm, Object, containers, environment, only, pods

DEFAULTS = Settings(database_url="")
FIELDS = {field.name: field for field in msgspec.structs.fields(Settings)}
VALUES: dict[str, Any] = yaml.safe_load((CHART / "values.yaml").read_text("utf-8"))
SCHEMA = yaml.safe_load((CHART / "values.schema.json").read_text("utf-8"))["properties"]
NOT_VALUES = {
    *("database_url", "database_direct_url", "database_pooled", "app_password"),  # database
    *("redis_url", "wakeups"),  # redis
    "platform_key",  # platformKey
    "log_format",  # always JSON
    "unsafe_durability",  # for tests only
}
CLOSE_POOL_SECONDS = 2.0
"""What `Database.aclose` grants itself."""


def snake(name: str) -> str:
    return re.sub(r"([A-Z])", r"_\1", name).lower()


def known_variables() -> set[str]:
    plain = {PREFIX + name.upper() for name in FIELDS}
    return plain | {f"{PREFIX}{name.upper()}_FILE" for name in SECRETS}


def service_pod(objects: list[Object]) -> Object:
    (pod,) = [
        each["spec"]["template"]["spec"]
        for each in objects
        if each["kind"] == "Deployment"
        and each["metadata"]["labels"]["app.kubernetes.io/component"] == "service"
    ]
    found: Object = pod
    return found


def test_the_service_knows_every_variable(objects: list[Object]) -> None:
    used = {
        name
        for _, pod in pods(objects)
        for container in containers(pod)
        if container.get("command") == ["threadkeep"]
        for name in environment(container)
        if name.startswith(PREFIX)
    }

    assert len(used) > 8
    assert used - known_variables() == set()


def test_every_setting_can_be_set_and_has_the_services_default_and_limits() -> None:
    described = {snake(name): name for name in VALUES["settings"]}

    assert set(described) == set(FIELDS) - NOT_VALUES
    for field, name in described.items():
        kind = msgspec.json.schema(FIELDS[field].type)
        schema = SCHEMA["settings"]["properties"][name]
        assert VALUES["settings"][name] == getattr(DEFAULTS, field), name
        for limit in ("minimum", "maximum", "exclusiveMinimum", "enum"):
            if limit in kind:
                assert sorted_if_list(schema[limit]) == sorted_if_list(kind[limit]), (name, limit)


def sorted_if_list(value: Any) -> Any:
    return sorted(value) if isinstance(value, list) else value


def test_the_environment_is_one_that_the_service_takes(
    objects: list[Object], monkeypatch: Any, tmp_path: Any
) -> None:
    """Loaded as the service would load it, with files in place of mounted Secrets."""
    given = environment(service_pod(objects)["containers"][0])
    for name in given:
        if name.endswith("_FILE") and name.startswith(PREFIX):
            path = tmp_path / name
            path.write_text("postgresql://somebody@somewhere/threadkeep")
            given[name] = str(path)

    loaded = service_settings.load(given)

    assert loaded.drain_seconds >= 10
    assert loaded.platform_key


def test_ports_and_paths_are_the_services(objects: list[Object]) -> None:
    container = service_pod(objects)["containers"][0]
    paths = {route.path for route in TABLE if route.method == "GET"}

    assert container["ports"] == [{"name": "http", "containerPort": 8080, "protocol": "TCP"}]
    assert "--port=8080" in container["args"]
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        assert container[probe]["httpGet"]["port"] == "http"
        assert container[probe]["httpGet"]["path"].partition("?")[0] in paths
    assert container["readinessProbe"]["httpGet"]["path"] == "/readyz?exclude=database"
    for each in objects:
        if each["kind"] == "ServiceMonitor":
            assert [e["path"] for e in each["spec"]["endpoints"]] == ["/metrics"]
            assert "/metrics" in paths


def test_a_pod_has_time_to_drain(objects: list[Object]) -> None:
    """From the announcement to SIGKILL: the pause, the drain, and everything after it."""
    pod = service_pod(objects)
    container = pod["containers"][0]
    drain = float(environment(container)["THREADKEEP_DRAIN_SECONDS"])
    pause = container["lifecycle"]["preStop"]["sleep"]["seconds"]
    needed = pause + drain + GOODBYE_SECONDS + REQUEST_SECONDS + CLOSE_POOL_SECONDS

    assert pod["terminationGracePeriodSeconds"] >= needed + 5


def test_updates_never_take_a_pod_before_another_is_there(objects: list[Object]) -> None:
    (deployment,) = [
        each["spec"]
        for each in objects
        if each["kind"] == "Deployment" and each["spec"]["template"]["spec"] == service_pod(objects)
    ]

    assert deployment["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}


def test_replicas_belong_to_the_autoscaler_where_there_is_one(helm: Helm) -> None:
    """Of a first install; what an upgrade finds, it repeats (test_upgrades.py)."""
    scaled = helm.objects("--set", "autoscaling.enabled=true")

    assert (
        only(scaled, "HorizontalPodAutoscaler")["spec"]["scaleTargetRef"]["name"]
        == (only(scaled, "Deployment", "threadkeep")["metadata"]["name"])
    )
    assert "replicas" not in only(scaled, "Deployment", "threadkeep")["spec"]


def test_migrations_run_where_they_can(helm: Helm, defaults: list[Object]) -> None:
    """At install in an init container, before an upgrade in a hook, by the same command."""
    hook = only(defaults, "Job", "migrate")
    init = service_pod(defaults)["initContainers"]
    without = helm.objects("--set", "migrations.enabled=false")

    assert hook["metadata"]["annotations"]["helm.sh/hook"] == "pre-upgrade"
    assert hook["spec"]["template"]["spec"]["containers"] == init
    assert [each["name"] for each in init] == ["migrate"]
    assert [each["kind"] for each in without if each["kind"] == "Job"] == []
    assert "initContainers" not in service_pod(without)


def test_what_must_outlive_the_release_is_kept(defaults: list[Object]) -> None:
    kept = {
        each["metadata"]["name"]
        for each in defaults
        if each["metadata"].get("annotations", {}).get("helm.sh/resource-policy") == "keep"
    }
    retention = only(defaults, "StatefulSet")["spec"]["persistentVolumeClaimRetentionPolicy"]

    assert kept == {"tk-threadkeep-database", "tk-threadkeep-platform"}
    assert retention == {"whenDeleted": "Retain", "whenScaled": "Retain"}


def test_names_are_those_that_others_rely_on(defaults: list[Object]) -> None:
    service = only(defaults, "Service", "threadkeep")
    secret = only(defaults, "Secret", "database")["data"]

    assert service["metadata"]["name"] == "tk-threadkeep"
    assert service["spec"]["ports"][0]["port"] == 80
    assert only(defaults, "Service", "postgres")["metadata"]["name"] == "tk-threadkeep-postgres"
    assert {"admin-url", "migrate-url", "app-url", "app-password"} <= set(secret)
    assert "platform-key" in only(defaults, "Secret", "platform")["data"]


def test_an_update_of_the_service_leaves_the_database_alone(helm: Helm) -> None:
    """Its pod template depends on nothing that a new image of the service changes."""
    templates = [
        only(helm.objects(*arguments), "StatefulSet")["spec"]["template"]
        for arguments in ([], ["--set", "image.tag=next", "--set", "settings.drainSeconds=20"])
    ]

    assert templates[0] == templates[1]


def test_there_is_one_version() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    described = yaml.safe_load((CHART / "Chart.yaml").read_text("utf-8"))

    assert described["appVersion"] == described["version"] == project


def test_images_default_to_the_version(defaults: list[Object]) -> None:
    version = yaml.safe_load((CHART / "Chart.yaml").read_text("utf-8"))["appVersion"]
    used = {c["image"] for _, pod in pods(defaults) for c in containers(pod)}

    assert {f"localhost/threadkeep:{version}", f"localhost/threadkeep-postgres:{version}"} <= used
    assert chart.RELEASE
