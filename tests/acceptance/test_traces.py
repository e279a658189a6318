"""One trace of one job, over three real processes."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from tests.acceptance.fleet import fleet_in, report
from tests.servers.otlp import OtlpServer, Received, draw
from tests.servers.postgres import shared_server
from tests.servers.redis import shared_url

TRACE, CALLER = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


async def test_one_trace_spans_post_to_stream_across_three_processes(tmp_path: Path) -> None:
    """From a caller's own trace over queue, worker, provider and store to another service's stream."""
    with OtlpServer.served() as receiver:
        async with fleet_in(
            tmp_path,
            database=shared_server().create_database("traces"),
            redis=shared_url(),
            otel_exporter_otlp_endpoint=receiver.url,
            otel_bsp_schedule_delay=50,
        ) as fleet:
            await fleet.serve(otel_service_name="serve")
            await fleet.work(otel_service_name="worker")
            async with (
                fleet.user("ann", service=0) as asking,
                fleet.user("ann", service=1) as listening,
                listening.events() as stream,
            ):
                await stream.until("ready")
                answer = await asking.ask(
                    "POST",
                    "/generate/image",
                    {"prompt": "a lighthouse", "width": 64, "height": 64},
                    headers={"traceparent": f"00-{TRACE}-{CALLER}-01"},
                )
                assert answer.status_code == 202
                await stream.until("generation_complete")
            spans = await asyncio.to_thread(receiver.until, is_told)
    one = [span for span in spans if span.trace == TRACE]
    report(draw(one))
    check_tree(one)
    assert not [span for span in spans if span.trace != TRACE and span.name.startswith("job")]


def is_told(spans: Sequence[Received]) -> bool:
    """Tell whether the end of the job was sent to the stream, and who did that is there."""
    ids = {span.id for span in spans}
    ends = [span for span in spans if span.facts.get("event") == "generation_complete"]
    sent = {span.parent for span in spans if span.name == "sse.send"}
    runs = [span for span in spans if span.name == "job.run"]
    return bool(runs) and any(end.id in sent and end.parent in ids for end in ends)


def check_tree(spans: Sequence[Received]) -> None:
    """Assert that each span stands where it belongs, and in order of time."""
    by_id = {span.id: span for span in spans}
    [request] = [span for span in spans if span.name == "POST /generate/image"]
    [run] = [span for span in spans if span.name == "job.run"]
    assert request.parent == CALLER
    assert request.facts["status"] == "202"
    assert run.parent == request.id
    for name, parent in (("queue.wait", request), ("provider.attempt", run), ("store.write", run)):
        found = [span for span in spans if span.name == name]
        assert found, name
        assert {span.parent for span in found} == {parent.id}
    told = {(span.facts["event"], span.parent) for span in spans if span.name == "event.publish"}
    assert {("generation_started", run.id), ("generation_complete", run.id)} <= told
    assert {event for event, _ in told} == {"job_queued", "generation_started", "generation_complete"}
    sends = [span for span in spans if span.name == "sse.send"]
    assert {by_id[span.parent].facts["event"] for span in sends} == {event for event, _ in told}
    assert {span.facts["streams"] for span in sends} == {"1"}
    assert "job.ended" in run.notes
    assert all(span.ended >= span.began for span in spans)
    [streaming] = {span.process for span in sends}
    assert len({request.process, run.process, streaming, *(span.process for span in spans)}) == 3
