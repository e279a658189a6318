"""A receiver of OpenTelemetry traces: decodes the protobuf that is sent to it, and draws a trace."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue

from tests.servers.web import PATIENCE, Answer, Request, Web

_PROCESS: Final = ("service.name", "process.pid")


@dataclass(frozen=True)
class Received:
    """One span, as it came; times in nanoseconds."""

    process: str
    name: str
    trace: str
    id: str
    parent: str
    began: int
    ended: int
    facts: Mapping[str, str]
    notes: Sequence[str]


class OtlpServer(Web):
    """Takes spans at `/v1/traces`."""

    def answer(self, request: Request) -> Answer:
        assert request.headers["content-type"] == "application/x-protobuf"
        return Answer(200, b"", {"content-type": "application/x-protobuf"})

    def place(self, request: Request) -> str:
        return request.path

    def spans(self) -> list[Received]:
        """Return every span that came, by its beginning."""
        found = [span for request in list(self.requests) for span in _read(request.body)]
        return sorted(found, key=lambda span: span.began)

    def until(self, enough: Callable[[Sequence[Received]], bool]) -> list[Received]:
        """Wait until what came is enough, and return it; blocks."""
        with self._news:
            assert self._news.wait_for(lambda: enough(self.spans()), PATIENCE), draw(self.spans())
        return self.spans()


def draw(spans: Sequence[Received]) -> str:
    """Draw spans as a tree, in milliseconds since the first began."""
    ids = {span.id for span in spans}
    zero = min((span.began for span in spans), default=0)

    def lines(parent: str | None, depth: int) -> list[str]:
        drawn = []
        for span in spans:
            if span.parent == parent or (parent is None and span.parent not in ids):
                drawn += [_line(span, depth, zero), *lines(span.id, depth + 1)]
        return drawn

    return "\n".join(lines(None, 0))


def _line(span: Received, depth: int, zero: int) -> str:
    facts = " ".join(f"{name}={value}" for name, value in span.facts.items())
    began, took = (span.began - zero) / 1e6, (span.ended - span.began) / 1e6
    return f"{began:9.1f} ms {took:9.1f} ms  {span.process:<14} {'  ' * depth}{span.name}  {facts}"


def _read(body: bytes) -> list[Received]:
    sent = ExportTraceServiceRequest.FromString(body)
    return [
        Received(
            process=" ".join(_facts(resource.resource.attributes)[name] for name in _PROCESS),
            name=span.name,
            trace=span.trace_id.hex(),
            id=span.span_id.hex(),
            parent=span.parent_span_id.hex(),
            began=span.start_time_unix_nano,
            ended=span.end_time_unix_nano,
            facts=_facts(span.attributes),
            notes=[event.name for event in span.events],
        )
        for resource in sent.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]


def _facts(pairs: Sequence[KeyValue]) -> dict[str, str]:
    return {pair.key: str(getattr(pair.value, pair.value.WhichOneof("value") or "")) for pair in pairs}
