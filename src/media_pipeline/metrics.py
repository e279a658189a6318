"""What an operator counts: the log's events as Prometheus metrics, and how the parts stand when asked.

The rooms know nothing of metrics. They log events with fields, and `count_event`, a step of the log, counts
those that `MEASURES` and `ALARMS` name; so log and metrics cannot disagree. Labels take few values: a
user, a job, a prompt or a path never becomes one.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)

PREFIX: Final = "media_pipeline_"
CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
SECONDS: Final = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800)
"""Upper bounds of the histograms of work, from a thumbnail to a film."""
REGISTRY: Final = CollectorRegistry()
"""One a process, as its log is."""
ProcessCollector(registry=REGISTRY)
PlatformCollector(registry=REGISTRY)

Fields = Mapping[str, Any]
Gauges = Callable[[], Awaitable[Sequence["Reading"]]]


@dataclass(frozen=True, slots=True)
class Reading:
    """How something stands now."""

    name: str
    value: float
    labels: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Measure:
    """Which metric an event feeds: one more, or, with `of`, the amount in one of its fields."""

    metric: Counter | Histogram
    labels: Sequence[str]
    of: str | None = None

    def take(self, fields: Fields) -> None:
        """Count one event; one without the amount is not counted."""
        amount = 1 if self.of is None else fields.get(self.of)
        if amount is None:
            return
        metric = self.metric
        if self.labels:
            metric = metric.labels(*(str(fields.get(label) or "none") for label in self.labels))
        if isinstance(metric, Histogram):
            metric.observe(amount)
        else:
            metric.inc(amount)


def _count(name: str, text: str, *labels: str, of: str | None = None) -> Measure:
    return Measure(Counter(PREFIX + name, text, labels, registry=REGISTRY), labels, of)


def _time(name: str, text: str, *labels: str) -> Measure:
    metric = Histogram(PREFIX + name, text, labels, buckets=SECONDS, registry=REGISTRY)
    return Measure(metric, labels, "seconds")


_MODEL: Final = ("provider", "model")
MEASURES: Final[Mapping[str, Sequence[Measure]]] = {
    "job.claimed": (
        _count("job_claims_total", "Jobs that a worker took.", "kind"),
        _time("job_wait_seconds", "How long jobs had been there when a worker took them.", "kind"),
    ),
    "job.to_be_retried": (_count("job_retries_total", "Failed runs that are followed by another.", "kind"),),
    "job.rescued": (_count("job_rescues_total", "Jobs taken from workers that died.", "kind"),),
    "job.ended": (
        _count("jobs_ended_total", "Jobs that a worker ended.", "kind", "state"),
        _time("job_seconds", "How long the last run of a job took.", "kind", "state"),
    ),
    "job.run_failed": (_count("job_failures_total", "Runs that failed.", "kind", "code"),),
    "job.ended_by_rescue": (_count("jobs_given_up_total", "Jobs whose workers kept dying.", "kind"),),
    "job.lease_lost": (_count("leases_lost_total", "Runs whose job was given to another worker.", "kind"),),
    "generation.attempt": (
        _count(
            "provider_attempts_total",
            "Attempts at a provider, by how they came out.",
            *_MODEL,
            "outcome",
        ),
        _time("provider_seconds", "How long attempts at a provider took.", *_MODEL),
        _count("provider_cost_usd_total", "US dollars, as told by providers.", *_MODEL, of="cost_usd"),
    ),
    "stream.closed": (_count("streams_closed_total", "Event streams that ended, by reason.", "reason"),),
    "stream.reset": (_count("stream_resets_total", "Streams told that history before was gone."),),
    "store.tries_again": (_count("storage_retries_total", "Requests to a bucket that were tried again."),),
    "request.done": (
        _count("http_requests_total", "Requests answered.", "method", "route", "status"),
        _time("http_request_seconds", "How long requests took.", "method", "route"),
    ),
    "sweeper.swept": (
        _count("swept_objects_total", "Objects that nothing stood for.", of="objects"),
        _count("swept_rows_total", "Items whose object was gone.", of="rows"),
    ),
}
"""The events that are counted each in its own way."""

ALARMS: Final = Counter(
    PREFIX + "alarms_total",
    "Warnings and errors of the log, by event.",
    ("event", "level"),
    registry=REGISTRY,
)


def count_event(_: object, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Count an event on its way to the log, as a structlog processor."""
    name = str(event.get("event"))
    for measure in MEASURES.get(name, ()):
        measure.take(event)
    if method in {"warning", "error", "critical", "exception"}:
        ALARMS.labels(name, method).inc()
    return event


async def render(gauges: Iterable[Gauges]) -> bytes:
    """Write all metrics in Prometheus' text format; a gauge that cannot be read now is left out."""
    standing = CollectorRegistry()
    made: dict[str, Gauge] = {}
    for read in gauges:
        for reading in await read():
            name = PREFIX + reading.name
            if name not in made:
                made[name] = Gauge(name, "How it stands now.", tuple(reading.labels), registry=standing)
            gauge = made[name].labels(**reading.labels) if reading.labels else made[name]
            gauge.set(reading.value)
    return generate_latest(REGISTRY) + generate_latest(standing)
