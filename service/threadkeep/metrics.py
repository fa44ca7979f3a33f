"""Prometheus metrics of this process: one registry, counters, and gauges read when scraped."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    GCCollector,
    Histogram,
    Info,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from typing_extensions import override

from threadkeep import __version__

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
REGISTRY: Final = CollectorRegistry()

_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 30.0)
_SIZES: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256)

HTTP_SECONDS: Final = Histogram(
    "threadkeep_http_request_seconds",
    "Time from the head of a request to the end of its handler",
    ["method", "route", "status"],
    buckets=_SECONDS,
    registry=REGISTRY,
)
APPENDED: Final = Counter(
    "threadkeep_appended_messages", "Messages that became durable", registry=REGISTRY
)
BATCH_REQUESTS: Final = Histogram(
    "threadkeep_append_batch_requests",
    "Requests to append that one commit carried",
    buckets=_SIZES,
    registry=REGISTRY,
)
REFUSED: Final = Counter(
    "threadkeep_errors", "Errors answered, by code", ["code"], registry=REGISTRY
)

Info("threadkeep_build", "The running version", registry=REGISTRY).info({"version": __version__})
ProcessCollector(registry=REGISTRY)
GCCollector(registry=REGISTRY)


_Family = type[GaugeMetricFamily] | type[CounterMetricFamily]


class _Samples(Collector):
    """What is asked for when it is scraped, so that it costs nothing else."""

    def __init__(self) -> None:
        self._sources: dict[str, tuple[_Family, str, Callable[[], float]]] = {}

    def add(self, name: str, family: _Family, text: str, source: Callable[[], float]) -> None:
        """Add or replace one."""
        self._sources[name] = (family, text, source)

    @override
    def collect(self) -> Iterable[Metric]:
        for name, (family, text, source) in self._sources.items():
            yield family(name, text, value=float(source()))


_samples: Final = _Samples()
REGISTRY.register(_samples)


def sample(name: str, text: str, source: Callable[[], float]) -> None:
    """Show `source()` as the gauge `name`; a second source of that name takes its place."""
    _samples.add(f"threadkeep_{name}", GaugeMetricFamily, text, source)


def tally(name: str, text: str, source: Callable[[], float]) -> None:
    """Show `source()`, which never falls, as the counter `name`."""
    _samples.add(f"threadkeep_{name}", CounterMetricFamily, text, source)


def exposition() -> bytes:
    """All metrics in Prometheus' text format."""
    return generate_latest(REGISTRY)
