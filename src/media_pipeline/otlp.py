"""Traces by OpenTelemetry, sent over HTTP as OTLP. Its own variables (`OTEL_*`) are read by the SDK itself.

Guarantees: nothing waits for a receiver, what it does not take is dropped; a span never carries an
exception's text or traceback. A process that is killed takes its last unsent spans with it.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Final

import structlog
from opentelemetry import context, trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from media_pipeline import __version__

Attributes = Mapping[str, str | bool | int | float]
FAREWELL: Final = 1.5
"""Seconds that the last spans have when the process ends."""
_HEADER: Final = "traceparent"
_log = structlog.get_logger(__name__)


class OtlpBackend:
    """Keep the spans of this process, and send them in batches from a thread of its own."""

    def __init__(self) -> None:
        self._propagator = TraceContextTextMapPropagator()
        self._provider = TracerProvider(resource=_describe_process(), shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer("media_pipeline", __version__)
        _take_over_log()

    @contextmanager
    def span(self, name: str, attributes: Attributes) -> Iterator[_Open]:
        with self._tracer.start_as_current_span(
            name, attributes=attributes, record_exception=False, set_status_on_exception=False
        ) as opened:
            try:
                yield _Open(opened)
            except Exception as error:
                opened.set_status(trace.StatusCode.ERROR, type(error).__name__)
                raise

    def tell(self, name: str, seconds: float, attributes: Attributes, *, parent: str | None) -> None:
        end = time.time_ns()
        under = None if parent is None else self._extract(parent)
        began = end - round(seconds * 1e9)
        self._tracer.start_span(name, under, attributes=attributes, start_time=began).end(end)

    def note(self, name: str, attributes: Attributes) -> None:
        opened = trace.get_current_span()
        if opened.is_recording():
            opened.add_event(name, attributes)

    def follow(self, traceparent: str) -> AbstractContextManager[None]:
        if trace.get_current_span().get_span_context().is_valid:
            return nullcontext()
        return _within(self._extract(traceparent))

    def carried(self) -> str | None:
        carrier: dict[str, str] = {}
        self._propagator.inject(carrier)
        return carrier.get(_HEADER)

    def close(self) -> None:
        farewell = threading.Thread(target=self._provider.shutdown, daemon=True)
        farewell.start()
        farewell.join(FAREWELL)

    def _extract(self, traceparent: str) -> context.Context:
        return self._propagator.extract({_HEADER: traceparent}, context.Context())


class _Open:
    """A span while it is open."""

    def __init__(self, opened: trace.Span) -> None:
        self._opened = opened

    def describe(self, name: str, **attributes: str | int) -> None:
        self._opened.update_name(name)
        self._opened.set_attributes(attributes)


class _ToOurs(logging.Handler):
    """What the SDK complains of, as events of our log."""

    def emit(self, record: logging.LogRecord) -> None:
        _log.warning("traces.not_sent", error=record.getMessage()[:200])


def _take_over_log() -> None:
    theirs = logging.getLogger("opentelemetry")
    if not theirs.handlers:
        theirs.addHandler(_ToOurs(logging.WARNING))
        theirs.propagate = False


@contextmanager
def _within(given: context.Context) -> Iterator[None]:
    token = context.attach(given)
    try:
        yield
    finally:
        context.detach(token)


def _describe_process() -> Resource:
    """Name the process as the variables do, else as ours."""
    named: Attributes = {"service.name": "media-pipeline", "service.version": __version__}
    ours = Resource({**named, "process.pid": os.getpid()})
    return Resource.create(ours.merge(OTELResourceDetector().detect()).attributes)
