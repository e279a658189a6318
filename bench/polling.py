"""What 500 video jobs at a provider cost one worker: `python -m bench.polling [jobs] [seconds]`.

The provider is the fake of Replicate in a process of its own; the worker is the whole program, on SQLite.
Printed: the
lag of its event loop, how often the provider was asked in a second, and the memory before and after.
"""

from __future__ import annotations

import asyncio
import json
import resource
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import quantiles
from tempfile import TemporaryDirectory
from urllib.request import urlopen

from tests.servers.media import Shelf
from tests.servers.replicate import ReplicateServer
from tests.servers.web import Answer, Request, as_json

from media_pipeline.environment import read_settings
from media_pipeline.ids import JobId, UserId
from media_pipeline.program import Program
from media_pipeline.queue.job import NewJob

PROBE = 0.01
"""Seconds between two looks at the loop."""


class Counting(ReplicateServer):
    """Keeps every prediction running, and counts."""

    def place(self, request: Request) -> str:
        return "count" if request.path == "/count" else super().place(request)

    def answer(self, request: Request) -> Answer:
        if request.path == "/count":
            return as_json({"polls": self.count("poll"), "billed": self.billed})
        return super().answer(request)


def serve() -> None:
    """Be the provider until stdin ends."""
    with Shelf.served() as shelf, Counting.served(shelf) as server:
        server.hold("running")
        print(server.url, flush=True)
        sys.stdin.read()


@contextmanager
def provider() -> Iterator[str]:
    with subprocess.Popen(
        [sys.executable, "-m", "bench.polling", "serve"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
        process.kill()


def counted(url: str) -> dict[str, int]:
    with urlopen(f"{url}/count") as answer:
        found: dict[str, int] = json.load(answer)
        return found


async def lag_for(seconds: float) -> list[float]:
    """Return by how much each wake-up of the loop came late, in seconds."""
    late, until = [], time.monotonic() + seconds
    while time.monotonic() < until:
        due = time.monotonic() + PROBE
        await asyncio.sleep(PROBE)
        late.append(time.monotonic() - due)
    return late


async def measure(url: str, folder: Path, *, jobs: int, seconds: float) -> None:
    settings = read_settings(
        port=0,
        database_url=f"sqlite:///{folder}/jobs.db",
        storage_dir=folder,
        auth_jwt_secret="x" * 32,
        media_concurrency=jobs,
        media_provider_jobs=jobs,
        media_grace_seconds=0,
        replicate_api_token=ReplicateServer.key,
        replicate_base_url=url,
    )
    program = Program(settings)
    await program.start()
    for _ in range(jobs):
        id_, payload = JobId(str(uuid.uuid4())), {"prompt": "waves", "provider": "replicate"}
        await program.queue.enqueue(
            NewJob(id=id_, user_id=UserId("ann"), kind="generate.video", payload=payload)
        )
    while (await asyncio.to_thread(counted, url))["billed"] < jobs:  # noqa: ASYNC110 - another process counts
        await asyncio.sleep(0.2)
    await asyncio.sleep(10)  # their first questions, which come faster
    first, memory = await asyncio.to_thread(counted, url), rss()
    late = await lag_for(seconds)
    last, grown = await asyncio.to_thread(counted, url), rss()
    cuts = quantiles(late, n=1000)
    print(f"jobs {jobs}, submits {last['billed']}, worker busy with {program.worker.busy}")
    print(f"loop lag ms: p50 {cuts[499] * 1e3:.1f}  p99 {cuts[989] * 1e3:.1f}  p99.9 {cuts[998] * 1e3:.1f}")
    print(f"polls a second: {(last['polls'] - first['polls']) / seconds:.1f}")
    print(f"memory MiB: {memory:.0f} before, {grown:.0f} after {seconds:.0f} s")
    await program.stop()


def rss() -> float:
    """Return the memory of this process now, in MiB."""
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return pages * resource.getpagesize() / 2**20


def main() -> None:
    if sys.argv[1:2] == ["serve"]:
        serve()
        return
    jobs, seconds = int((sys.argv[1:2] or ["500"])[0]), float((sys.argv[2:3] or ["60"])[0])
    with TemporaryDirectory() as folder, provider() as url:
        asyncio.run(measure(url, Path(folder), jobs=jobs, seconds=seconds))


if __name__ == "__main__":
    main()
