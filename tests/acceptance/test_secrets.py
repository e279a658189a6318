"""Canaries in everything that must not be told, and a long look at everything that tells."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.acceptance.process import SECRET, Service, started
from tests.integration.program import Api, picture
from tests.servers.media import Shelf
from tests.servers.otlp import OtlpServer
from tests.servers.replicate import ReplicateServer, problem
from tests.servers.web import Fault

PROMPT, FILE, BYTES, QUERY = "canary-prompt", "canary-file", b"canary-bytes", "canary-query"
KEY = "canary-provider-key"


class Guarded(ReplicateServer):
    """A provider whose key is a canary, and whose complaints repeat what was asked for."""

    key = KEY
    ECHO = Fault(problem(422, "Input validation failed", f"- input.prompt: {PROMPT} with {KEY} is no good"))
    BUSY = Fault(problem(503, "Service unavailable", f"{PROMPT} has to wait"))


@dataclass
class Told:
    """What a run of the program told by each of its ways."""

    log: str
    metrics: str
    traces: bytes
    secrets: Mapping[str, str]


@pytest.fixture(params=["json", pytest.param("text", marks=pytest.mark.long)])
def told(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Told]:
    """Success, failure, retry, upload, import and inner faults, with everything switched on."""
    with OtlpServer.served() as receiver, Shelf.served() as shelf, Guarded.served(shelf) as server:
        settings = {
            "media_log": request.param,
            "media_log_level": "debug",
            "otel_exporter_otlp_endpoint": receiver.url,
            "replicate_api_token": KEY,
            "replicate_base_url": server.url,
            "media_result_origins": shelf.url,
            "media_memory_store_bytes": 1 << 30,
        }
        with started(tmp_path, **settings) as service:
            metrics, secrets = asyncio.run(live_through(service, server, tmp_path))
            service.process.terminate()
            assert service.process.wait(20) == 0
        traces = b"".join(sent.body for sent in receiver.requests)
        yield Told(service.log.read_text(), metrics, traces, secrets)


async def live_through(service: Service, server: Guarded, folder: Path) -> tuple[str, dict[str, str]]:
    """Let everything happen that may tell too much; return the metrics and what is secret."""
    async with service.user("ann") as ann:
        body = {"prompt": PROMPT, "aspectRatio": "1:1"}
        made = await ann.generate(**body)
        assert (await ann.end(made)).name == "generation_complete"
        server.arm("submit", server.ECHO)
        failed = await ann.generate(**body)
        assert (await ann.end(failed)).name == "generation_failed"
        server.arm("submit", server.BUSY)
        again = (await ann.ask("POST", f"/jobs/{failed}/retry")).json()["jobId"]
        assert (await ann.end(again)).name == "generation_complete"
        permission = await ann.upload(picture() + BYTES, filename=f"{FILE}.png")
        bad = await ann.init(filename=f"{FILE}.png", contentType="image/png")
        await ann.put(bad, BYTES)
        assert (await ann.complete(bad)).status_code >= 400
        await fetch_in_vain(ann)
        await ann.ask("GET", f"/media?q={QUERY}")
        await ann.ask("POST", "/generate/image", {"prompt": PROMPT, "nonsense": FILE})
        await break_within(ann, folder, body)
        url, metrics = permission["uploadURL"], (await ann.http.get("/metrics")).text
    secrets = {
        "prompt": PROMPT,
        "file's name": FILE,
        "bytes": BYTES.decode(),
        "query": QUERY,
        "provider's key": KEY,
        "token": ann.headers["Authorization"][7:],
        "signed address": url,
        "its signature": url.rpartition("=")[2],
        "secret": SECRET,
    }
    return metrics, secrets


async def fetch_in_vain(api: Api) -> None:
    """Import from an address that must not be fetched."""
    address = f"https://127.0.0.1:1/{FILE}.png?signature={QUERY}"
    answer = await api.ask("POST", "/media/import", {"url": address, "filename": f"{FILE}.png"})
    if answer.status_code == 202:
        assert (await api.end(answer.json()["jobId"])).name == "upload_failed"


async def break_within(api: Api, folder: Path, body: Mapping[str, str]) -> None:
    """Take a table away, so that a request and a job fail inside, with all they know in their frames."""
    with closing(sqlite3.connect(folder / "jobs.db", timeout=20)) as database:
        database.execute("ALTER TABLE media RENAME TO gone")
    assert (await api.ask("GET", f"/media?q={QUERY}")).status_code == 500
    before = (folder / "log").read_text().count("OperationalError")
    await api.generate(**body)
    async with asyncio.timeout(20):
        while (folder / "log").read_text().count("OperationalError") == before:  # noqa: ASYNC110 - a file
            await asyncio.sleep(0.05)


def test_no_canary_is_in_log_metrics_or_traces(told: Told) -> None:
    """Token, prompt, signed URL, bytes, names and keys are in nothing that the program tells its operator."""
    for way, text in (
        ("log", told.log),
        ("metrics", told.metrics),
        ("traces", told.traces.decode("latin-1")),
    ):
        leaks = [name for name, secret in told.secrets.items() if secret in text]
        assert leaks == [], (way, next(line for line in text.splitlines() if told.secrets[leaks[0]] in line))
    assert "Traceback" in told.log or '"frames"' in told.log, "the inner faults were to show their tracebacks"
    assert b"provider.attempt" in told.traces
    assert 'media_pipeline_job_seconds_count{kind="generate.image",state="succeeded"} 2.0' in told.metrics
    assert 'media_pipeline_job_claims_total{kind="upload"}' in told.metrics
