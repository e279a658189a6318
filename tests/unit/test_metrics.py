"""Metrics follow the log."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from media_pipeline import metrics
from media_pipeline.metrics import MEASURES, REGISTRY, Reading, count_event, render

SOURCE = Path(metrics.__file__).parent


def value(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(f"media_pipeline_{name}", labels) or 0.0


def test_every_measured_event_is_logged_somewhere() -> None:
    """A metric whose event nobody logs would stand at nothing for ever."""
    logged = {
        name
        for file in SOURCE.rglob("*.py")
        if file.name != "metrics.py"
        for name in re.findall(r"""_log\.\w+\(\s*"([\w.]+)\"""", file.read_text("utf-8"))
    }
    assert MEASURES.keys() <= logged


def test_events_are_counted_by_their_labels() -> None:
    """An event raises its counter by one or by its amount; a label that is missing is `none`."""
    before = value("jobs_ended_total", kind="x", state="none")
    count_event(None, "info", {"event": "job.ended", "kind": "x", "job_id": "secret"})
    assert value("jobs_ended_total", kind="x", state="none") == before + 1
    swept = value("swept_objects_total")
    count_event(None, "info", {"event": "sweeper.swept", "objects": 3})
    assert value("swept_objects_total") == swept + 3


def test_warnings_are_alarms() -> None:
    """Whatever the log warns of is counted by its name, and passes on unchanged."""
    before = value("alarms_total", event="redis.lost", level="warning")
    event = {"event": "redis.lost", "error": "gone"}
    assert count_event(None, "warning", event) is event
    assert value("alarms_total", event="redis.lost", level="warning") == before + 1
    count_event(None, "info", {"event": "redis.lost"})
    assert value("alarms_total", event="redis.lost", level="info") == 0


@pytest.mark.asyncio
async def test_gauges_are_read_when_asked() -> None:
    """Each asking shows how things stand then, and only then."""

    async def read() -> list[Reading]:
        return [Reading("queue_jobs", 7, {"kind": "a", "state": "running"}), Reading("streams_open", 2, {})]

    text = (await render([read])).decode()
    assert 'media_pipeline_queue_jobs{kind="a",state="running"} 7.0' in text
    assert "media_pipeline_streams_open 2.0" in text
    assert "streams_open" not in (await render([])).decode()
