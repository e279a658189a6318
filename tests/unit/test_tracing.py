"""Traces are off until they are asked for, and what they say is bounded."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest
import structlog

from media_pipeline import tracing
from media_pipeline.telemetry import configure_logging
from media_pipeline.tracing import CannotTrace, carried, following, note_event, span, switched_on, tell
from tests.servers.otlp import OtlpServer, Received

UNTRACED = """
import sys
from media_pipeline.cli import build_parser
from media_pipeline.program import Program
from media_pipeline.tracing import span, switched_on

with switched_on({}), span("work"):
    print([name for name in sys.modules if name.startswith("opentelemetry")])
"""


def test_without_an_endpoint_nothing_of_opentelemetry_is_loaded() -> None:
    """A program that nobody asked for traces does not pay for them."""
    done = subprocess.run([sys.executable, "-c", UNTRACED], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
    with following("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"), span("work") as work:
        work.describe("rest", status=200)
        tell("past", 1.0)
        assert carried() is None
    assert note_event(None, "info", {"event": "job.ended"}) == {"event": "job.ended"}


@pytest.mark.parametrize(
    "off",
    [{"OTEL_SDK_DISABLED": "true"}, {"OTEL_TRACES_EXPORTER": "none"}, {"OTEL_EXPORTER_OTLP_ENDPOINT": ""}],
)
def test_the_standard_variables_switch_traces_off(off: dict[str, str]) -> None:
    """What OpenTelemetry calls off is off here."""
    with switched_on({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", **off}):
        assert tracing._backend is None


def test_a_protocol_that_is_not_spoken_is_refused() -> None:
    """A setting that cannot be followed stops the start with a line that names it."""
    asked = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}
    with pytest.raises(CannotTrace, match="OTEL_EXPORTER_OTLP_PROTOCOL"), switched_on(asked):
        pass


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever asks for traces without the extra is told which one it is."""
    monkeypatch.setitem(sys.modules, "media_pipeline.otlp", None)
    endpoint = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x"}
    with pytest.raises(CannotTrace, match=r"media-pipeline\[otel\]"), switched_on(endpoint):
        pass


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[OtlpServer]:
    with OtlpServer.served() as receiver:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.url)
        yield receiver


def test_a_trace_goes_on_from_what_carries_it(receiver: OtlpServer) -> None:
    """What one process carried, another follows; where a span is open, that one stays the parent."""
    with switched_on():
        with span("first"):
            trace = carried()
        with following(trace), span("second"), following("00-" + "1" * 32 + "-" + "2" * 16 + "-01"):
            tell("third", 0.5, streams=2)
        tell("fourth", 0.5, parent=trace)
        with following("no traceparent at all"), span("alone"):
            pass
    spans = {each.name: each for each in receiver.spans()}
    assert spans["second"].parent == spans["fourth"].parent == spans["first"].id
    assert spans["third"].parent == spans["second"].id
    assert {spans[name].trace for name in ("second", "third", "fourth")} == {spans["first"].trace}
    assert spans["alone"].trace != spans["first"].trace
    assert spans["third"].ended - spans["third"].began == pytest.approx(0.5e9, rel=0.01)


def test_the_log_speaks_in_the_trace(receiver: OtlpServer, capsys: pytest.CaptureFixture[str]) -> None:
    """A measured event is a span, another one an event of the span around it, and both name the trace."""
    configure_logging("json")
    log = structlog.get_logger("traced")
    with switched_on(), span("job.run"):
        log.info("generation.attempt", provider="x", seconds=2.0, cost_usd=None)
        log.warning("job.run_failed", code="internal", exc_info=ValueError("canary"))
        log.debug("request.done", seconds=1.0)
    structlog.reset_defaults()
    attempt, run = sorted(receiver.spans(), key=lambda each: each.name, reverse=True)
    assert (attempt.name, attempt.parent, attempt.facts) == ("provider.attempt", run.id, {"provider": "x"})
    assert run.notes == ["job.run_failed"]
    assert capsys.readouterr().err.count(f'"trace_id": "{run.trace}"') == 2
    assert not any(b"canary" in request.body for request in receiver.requests)


def test_a_span_that_breaks_says_so_and_no_more(receiver: OtlpServer) -> None:
    """An exception's text may hold what a user sent: its kind has to do."""

    def work() -> None:
        with span("job.run"):
            raise ValueError("canary")

    with switched_on(), pytest.raises(ValueError, match="canary"):
        work()
    [run] = receiver.spans()
    assert isinstance(run, Received)
    assert b"ValueError" in receiver.requests[0].body
    assert b"canary" not in receiver.requests[0].body
