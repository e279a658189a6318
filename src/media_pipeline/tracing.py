"""Where a trace follows a job, from the request that made it to the streams that tell its end.

The program opens few spans itself: a request, a run of a job, a write to the store, a telling. What the log
measures anyway becomes a span too (`TIMED`), and what it warns of, an event of the span around it. From one
process to the next a trace travels as a W3C `traceparent`: in a request's header, on the job's record, beside
a change of state on the bus. Switched off, which it is unless `OTEL_EXPORTER_OTLP_ENDPOINT` names a receiver,
every call here is one comparison, and nothing of OpenTelemetry is imported.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import AbstractContextManager, contextmanager
from types import TracebackType
from typing import Any, ClassVar, Final, Protocol, Self

from media_pipeline.errors import MediaPipelineError

Attributes = Mapping[str, str | bool | int | float]

TIMED: Final[Mapping[str, str]] = {"job.claimed": "queue.wait", "generation.attempt": "provider.attempt"}
"""The events of the log whose `seconds` are a span that ends with them, and its name."""

_ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_PROTOCOLS: Final = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_QUIET: Final = frozenset({"event", "exc_info", "seconds"})


class CannotTrace(MediaPipelineError):
    """Traces are asked for and cannot be sent."""

    code: ClassVar[str] = "cannot_trace"


class Span(Protocol):
    """A piece of work while it is done."""

    def describe(self, name: str, **attributes: str | int) -> None:
        """Give the span its name and what is only known at its end."""
        ...


class Backend(Protocol):
    """Who keeps spans and sends them."""

    def span(self, name: str, attributes: Attributes) -> AbstractContextManager[Span]:
        """Open a span within the one that is open here."""
        ...

    def tell(self, name: str, seconds: float, attributes: Attributes, *, parent: str | None) -> None:
        """Send a span that took `seconds` and ends now."""
        ...

    def note(self, name: str, attributes: Attributes) -> None:
        """Note an event of the span that is open here."""
        ...

    def follow(self, traceparent: str) -> AbstractContextManager[None]:
        """Put what happens within under the span that `traceparent` names, where none is open here."""
        ...

    def carried(self) -> str | None:
        """Return the open span as `traceparent`."""
        ...

    def close(self) -> None:
        """Send what waits, within a bounded time."""
        ...


class _Nothing:
    """What stands for a span where there are none."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return

    def describe(self, name: str, **attributes: str | int) -> None:
        """Forget it."""


_NOTHING: Final = _Nothing()
_backend: Backend | None = None


@contextmanager
def switched_on(environ: Mapping[str, str] = os.environ) -> Iterator[None]:
    """Send traces where the standard variables say so, until the end; `CannotTrace` where that cannot be."""
    global _backend  # noqa: PLW0603 - one a process, as its log is
    if not _is_wanted(environ):
        yield
        return
    _backend = backend = _load()
    try:
        yield
    finally:
        _backend = None
        backend.close()


def span(name: str, **attributes: str | int) -> AbstractContextManager[Span]:
    """Open a span for what is done within."""
    return _NOTHING if _backend is None else _backend.span(name, attributes)


def following(trace: str | None) -> AbstractContextManager[object]:
    """Go on with the trace that `trace` (a `traceparent`) names, unless one is open here."""
    return _NOTHING if _backend is None or trace is None else _backend.follow(trace)


def tell(name: str, seconds: float, *, parent: str | None = None, **attributes: str | int) -> None:
    """Tell of something that took `seconds` and is over, under `parent` or the span that is open here."""
    if _backend is not None:
        _backend.tell(name, seconds, attributes, parent=parent)


def carried() -> str | None:
    """Return what carries the open trace to another process; None where there is none."""
    return None if _backend is None else _backend.carried()


def note_event(_: object, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Put an event on its way to the log into the open trace, and the trace on the event."""
    if _backend is None or (trace := _backend.carried()) is None:
        return event
    name = str(event.get("event"))
    if name in TIMED:
        _backend.tell(TIMED[name], event["seconds"], _plain(event), parent=None)
    elif method != "debug":
        _backend.note(name, _plain(event))
    event["trace_id"] = trace.split("-")[1]
    return event


def _plain(event: Mapping[str, Any]) -> Attributes:
    kept = {name: value for name, value in event.items() if name not in _QUIET}
    return {name: value for name, value in kept.items() if isinstance(value, str | bool | int | float)}


def _is_wanted(environ: Mapping[str, str]) -> bool:
    off = environ.get("OTEL_SDK_DISABLED", "").lower() == "true"
    if off or environ.get("OTEL_TRACES_EXPORTER", "otlp") == "none" or not _first(environ, _ENDPOINTS):
        return False
    protocol = _first(environ, _PROTOCOLS) or "http/protobuf"
    if protocol != "http/protobuf":
        raise CannotTrace(f"OTEL_EXPORTER_OTLP_PROTOCOL: {protocol} is not spoken here, http/protobuf is.")
    return True


def _first(environ: Mapping[str, str], names: tuple[str, ...]) -> str | None:
    return next((environ[name] for name in names if environ.get(name)), None)


def _load() -> Backend:
    try:
        from media_pipeline.otlp import OtlpBackend  # noqa: PLC0415 - an extra, and a second of start-up
    except ModuleNotFoundError as error:
        raise CannotTrace(
            "OTEL_EXPORTER_OTLP_ENDPOINT: traces need the extra: pip install 'media-pipeline[otel]'."
        ) from error
    return OtlpBackend()
