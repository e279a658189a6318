"""How long from a POST to its answer, and to `generation_started` on the stream, beside an empty route.

Both run on uvicorn in a process of their own, with the same client, in one run. The program keeps its jobs in
a file (WAL, synchronous=FULL). Run it with `python -m bench.latency`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2

FLOOR = """
import socket, uvicorn
from fastapi import FastAPI
app = FastAPI()
@app.post("/", status_code=202)
async def empty() -> dict[str, str]:
    return {}
listening = socket.create_server(("127.0.0.1", 0))
print(f"http://127.0.0.1:{listening.getsockname()[1]}", flush=True)
uvicorn.Server(uvicorn.Config(app, log_level="warning")).run([listening])
"""
BIN = Path(sys.executable).parent


@contextmanager
def running(command: list[str], env: dict[str, str]) -> Iterator[str]:
    process = subprocess.Popen(
        command, env={**os.environ, **env}, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        assert process.stdout is not None
        address = re.search(r"http://\S+", process.stdout.readline())
        assert address is not None
        yield address[0]
    finally:
        process.terminate()
        process.wait()


async def time_posts(client: httpx2.AsyncClient, url: str, count: int) -> list[float]:
    taken = []
    for _ in range(count):
        began = time.perf_counter()
        (await client.post(url, json={"prompt": "fog"})).raise_for_status()
        taken.append(time.perf_counter() - began)
    return taken


async def time_jobs(client: httpx2.AsyncClient, base: str, count: int) -> tuple[list[float], list[float]]:
    """Return the seconds to the answer and to `generation_started`, one job at a time."""
    started: asyncio.Queue[tuple[str, float]] = asyncio.Queue()
    following = asyncio.create_task(follow(client, base, started))
    assert await started.get()
    answers, starts = [], []
    for index in range(count):
        body = {"prompt": "fog", "width": 64, "height": 64, "seed": index}
        began = time.perf_counter()
        answer = await client.post(f"{base}/generate/image", json=body)
        answers.append(time.perf_counter() - began)
        job_id, at = await started.get()
        assert job_id == answer.json()["jobId"]
        starts.append(at - began)
        await asyncio.sleep(0.15)  # the picture is drawn meanwhile: the worker is idle again
    following.cancel()
    return answers, starts


async def follow(client: httpx2.AsyncClient, base: str, started: asyncio.Queue[tuple[str, float]]) -> None:
    name = ""
    async with client.stream("GET", f"{base}/events", timeout=None) as stream:
        async for line in stream.aiter_lines():
            if line.startswith("event: "):
                name = line[7:]
            elif line.startswith("data: ") and name in {"ready", "generation_started"}:
                started.put_nowait((json.loads(line[6:]).get("jobId", "ready"), time.perf_counter()))


def show(what: str, seconds: list[float], floor: list[float]) -> None:
    ordered = sorted(seconds)
    p50, p99 = statistics.median(ordered), ordered[int(len(ordered) * 0.99) - 1]
    print(f"{what:<36} {p50 * 1e3:8.2f} {p99 * 1e3:8.2f} {p50 / statistics.median(floor):8.1f}x")


async def compare(floor_url: str, base: str, token: str, count: int) -> None:
    async with httpx2.AsyncClient(headers={"Authorization": f"Bearer {token}"}) as client:
        await time_posts(client, floor_url, 20)
        await time_jobs(client, base, 5)
        floor = await time_posts(client, floor_url, count)
        answers, starts = await time_jobs(client, base, count)
    print(f"{f'{count} requests, one at a time':<36} {'p50 ms':>8} {'p99 ms':>8} {'vs floor':>9}")
    show("empty FastAPI route (floor)", floor, floor)
    show("POST /generate/image → 202", answers, floor)
    show("POST → generation_started on /events", starts, floor)


def main(count: int) -> None:
    program = str(BIN / "media-pipeline")
    with tempfile.TemporaryDirectory() as folder:
        env = {"PORT": "0", "STORAGE_DIR": f"{folder}/store", "XDG_STATE_HOME": f"{folder}/state"}
        token = subprocess.run(
            [program, "token", "--user", "bench"],
            env={**os.environ, **env},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        with (
            running([sys.executable, "-c", FLOOR], env) as floor_url,
            running([program, "dev"], env) as base,
        ):
            asyncio.run(compare(floor_url, base, token, count))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=100)
    main(parser.parse_args().count)
