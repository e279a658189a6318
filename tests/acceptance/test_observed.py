"""What a running service shows of itself, and what it never does."""

from __future__ import annotations

import json
import re
from pathlib import Path

from tests.acceptance.process import started
from tests.integration.program import picture

CANARIES = ("canary-prompt", "canary-file")


async def test_metrics_tell_and_nothing_tells_too_much(tmp_path: Path) -> None:
    """Jobs, requests and streams are counted; no prompt, name, token or signed URL is in log or metrics."""
    with started(tmp_path, media_log="json") as service:
        async with service.user("ann") as ann:
            assert (await ann.end(await ann.generate(prompt=CANARIES[0], n=2))).name == "generation_complete"
            permission = await ann.upload(picture(), filename=f"{CANARIES[1]}.png")
            await ann.ask("GET", f"/jobs/{CANARIES[1]}")
            await ann.ask("POST", "/generate/image", {"prompt": CANARIES[0], "nonsense": CANARIES[1]})
            metrics = (await ann.http.get("/metrics")).text
    log = service.log.read_text()
    for said in (metrics, log):
        for secret in (*CANARIES, ann.headers["Authorization"][7:], permission["uploadURL"], "eyJ"):
            assert secret not in said
    samples = dict(re.findall(r"^media_pipeline_(\S+) (\S+)$", metrics, re.MULTILINE))
    assert samples['jobs_ended_total{kind="generate.image",state="succeeded"}'] == "1.0"
    assert samples['jobs_ended_total{kind="upload",state="succeeded"}'] == "1.0"
    assert samples['http_requests_total{method="GET",route="/jobs/{job_id}",status="404"}'] == "1.0"
    assert float(samples["worker_slots"]) > 0
    assert samples["streams_open"] == "0.0"
    events = [json.loads(line) for line in log.splitlines()]
    assert {"job.ended"} <= {event["event"] for event in events}
    assert not [event for event in events if event["level"] == "debug"]
