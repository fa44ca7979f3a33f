"""Alerts and dashboard: real metrics, valid queries, and a page for every alert."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Final

import httpx
import jsonschema_rs
import promql_parser
import pytest
import yaml

from .chart import CHART, ROOT, Helm, Object, only

OF_PROMETHEUS: Final = {"up"}
"""Series that Prometheus itself makes of every scrape."""
ALERTS: Final[list[dict[str, str]]] = yaml.safe_load(
    (CHART / "files" / "alerts.yaml").read_text("utf-8")
)["alerts"]
DASHBOARD: Final = json.loads((CHART / "files" / "dashboard.json").read_text("utf-8"))
PAGE: Final = (ROOT / "docs" / "operations.md").read_text("utf-8")
_GRAFANA: Final = {"$__rate_interval": "5m", "$namespace": "n", "$service": "s"}


@pytest.fixture(scope="session")
def monitored(helm: Helm) -> list[Object]:
    return helm.configured("everything-values")


def selected(query: str) -> set[str]:
    """Names of the series that a query reads; raises where it is no PromQL."""
    names: set[str | None] = set()

    def visit(node: Any) -> bool:
        if isinstance(node, promql_parser.VectorSelector):
            names.add(node.name)
        elif isinstance(node, promql_parser.MatrixSelector):
            names.add(node.vector_selector.name)
        return True

    promql_parser.walk(promql_parser.parse(query), visit)
    return {name for name in names if name is not None}


def dashboard_queries() -> list[str]:
    queries = []
    for panel in DASHBOARD["panels"]:
        for target in panel["targets"]:
            query = target["expr"]
            for variable, value in _GRAFANA.items():
                query = query.replace(variable, value)
            queries.append(query)
    return queries


def rules(objects: list[Object]) -> list[dict[str, Any]]:
    (group,) = only(objects, "PrometheusRule")["spec"]["groups"]
    found: list[dict[str, Any]] = group["rules"]
    return found


async def exported(url: str) -> set[str]:
    """Names of the series that the service shows, of those too that have no sample yet."""
    async with httpx.AsyncClient() as client:
        answer = await client.get(f"{url}/metrics")
    names: set[str] = set()
    for name, kind in re.findall(r"^# TYPE (\S+) (\S+)$", answer.text, re.MULTILINE):
        names.add(name)
        if kind == "histogram":
            names |= {f"{name}_bucket", f"{name}_sum", f"{name}_count"}
    return names


async def test_the_service_has_every_metric_that_is_asked_for(
    monitored: list[Object], service_url: str
) -> None:
    wanted = {name for rule in rules(monitored) for name in selected(rule["expr"])}
    wanted |= {name for query in dashboard_queries() for name in selected(query)}

    assert len(wanted) > 15
    assert wanted - await exported(service_url) - OF_PROMETHEUS == set()


@pytest.mark.parametrize("kind", ["ServiceMonitor", "PrometheusRule"])
def test_the_prometheus_operator_knows_every_field(monitored: list[Object], kind: str) -> None:
    path = Path(__file__).parent / "data" / f"{kind}.json"
    schema = jsonschema_rs.validator_for(json.loads(path.read_text("utf-8")))
    found = only(monitored, kind)

    schema.validate(found)
    with pytest.raises(jsonschema_rs.ValidationError, match="intervall"):
        schema.validate(found | {"spec": found["spec"] | {"intervall": "15s"}})


def test_alerts_are_about_this_installation_alone(monitored: list[Object]) -> None:
    found = rules(monitored)

    assert [rule["alert"] for rule in found] == [alert["alert"] for alert in ALERTS]
    for rule in found:
        selectors = re.findall(r"\{[^}]*\}", rule["expr"])
        assert selectors
        for selector in selectors:
            assert 'namespace="somewhere",service="tk-threadkeep"' in selector


def test_every_alert_has_its_page(monitored: list[Object]) -> None:
    sections = {title.strip().lower() for title in re.findall(r"^#+ (.+)$", PAGE, re.MULTILINE)}

    assert len(ALERTS) > 8
    for rule in rules(monitored):
        link = rule["annotations"]["runbook_url"]
        assert link == f"https://docs.example.com/operations#{rule['alert'].lower()}"
        assert rule["alert"].lower() in sections, "no section of its name in docs/operations.md"
        assert rule["labels"]["severity"] in {"critical", "warning", "info"}


def test_without_an_address_the_page_is_named_by_its_path(helm: Helm) -> None:
    found = rules(helm.objects("--set", "monitoring.rules.enabled=true"))

    assert found[0]["annotations"]["runbook_url"] == "docs/operations.md#threadkeepdown"


def test_no_page_is_about_an_alert_that_is_gone() -> None:
    pages = set(re.findall(r"^#+ (Threadkeep\w+)$", PAGE, re.MULTILINE))

    assert pages == {alert["alert"] for alert in ALERTS}


def test_the_dashboard_reaches_grafana_as_it_is(monitored: list[Object]) -> None:
    config = only(monitored, "ConfigMap", "dashboard")

    assert json.loads(config["data"]["threadkeep.json"]) == DASHBOARD
    assert config["metadata"]["labels"]["grafana_dashboard"] == "1"


def test_panels_have_places_of_their_own() -> None:
    places = [(p["gridPos"]["x"], p["gridPos"]["y"]) for p in DASHBOARD["panels"]]
    numbers = [p["id"] for p in DASHBOARD["panels"]]

    assert len(set(places)) == len(places) > 10
    assert len(set(numbers)) == len(numbers)
