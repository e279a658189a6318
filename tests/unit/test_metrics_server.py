"""Metrics of a process that serves nothing else."""

from __future__ import annotations

import asyncio

import httpx2
import pytest

from media_pipeline.metrics import CONTENT_TYPE, Reading
from media_pipeline.metrics_server import metrics_served


async def read_slots() -> list[Reading]:
    return [Reading("worker_slots", 7, {})]


async def test_metrics_are_answered_while_it_lasts() -> None:
    """Counters and gauges come as from a service; there is nothing else, and nothing when it is over."""
    async with (
        metrics_served("127.0.0.1", 0, [read_slots]) as port,
        httpx2.AsyncClient(trust_env=False) as http,
    ):
        answer = await http.get(f"http://127.0.0.1:{port}/metrics")
        assert (answer.status_code, answer.headers["content-type"]) == (200, CONTENT_TYPE)
        assert "media_pipeline_worker_slots 7.0" in answer.text
        assert "media_pipeline_jobs_ended_total" in answer.text
        assert (await http.get(f"http://127.0.0.1:{port}/jobs")).status_code == 404
    async with httpx2.AsyncClient(trust_env=False) as http:
        with pytest.raises(httpx2.ConnectError):
            await http.get(f"http://127.0.0.1:{port}/metrics")


async def test_an_answer_under_way_does_not_hold_up_the_end() -> None:
    """Whoever asks as the process stops is answered, for the loop goes on until the server is gone."""
    asked, go = asyncio.Event(), asyncio.Event()

    async def read() -> list[Reading]:
        asked.set()
        await go.wait()
        return await read_slots()

    async with httpx2.AsyncClient(trust_env=False) as http:
        async with metrics_served("127.0.0.1", 0, [read]) as port:
            answer = asyncio.create_task(http.get(f"http://127.0.0.1:{port}/metrics"))
            await asked.wait()
            asyncio.get_running_loop().call_soon(go.set)
        assert (await answer).status_code == 200
