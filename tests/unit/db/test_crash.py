"""What is acknowledged is on disk: a process that enqueues is killed at random."""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
from pathlib import Path

import pytest

from media_pipeline.db.migrate import migrate
from media_pipeline.db.sqlite import SqliteDatabase
from media_pipeline.ids import JobId
from media_pipeline.queue.doorbell import LocalDoorbell
from media_pipeline.queue.job import JobState
from media_pipeline.queue.sqlite import SqliteQueue

PRODUCE = """
import asyncio, itertools, os, sys
from pathlib import Path
from media_pipeline.db.migrate import migrate
from media_pipeline.db.sqlite import SqliteDatabase
from media_pipeline.queue.doorbell import LocalDoorbell
from media_pipeline.queue.job import NewJob
from media_pipeline.queue.sqlite import SqliteQueue
async def main():
    database = SqliteDatabase(Path(sys.argv[1]))
    await database.open()
    await migrate(database)
    queue = SqliteQueue(database, LocalDoorbell())
    numbers = itertools.count()
    async def produce():
        for number in numbers:
            job_id = f"{os.getpid()}-{number}"
            await queue.enqueue(NewJob(id=job_id, user_id=f"user-{number % 7}", kind="image", payload={}))
            os.write(1, f"{job_id}\\n".encode())
    await asyncio.gather(*(produce() for _ in range(8)))
asyncio.run(main())
"""


@pytest.mark.parametrize("seed", range(3))
async def test_every_acknowledged_job_survives_a_kill(tmp_path: Path, seed: int) -> None:
    """After SIGKILL at a random moment every job whose enqueue had returned is there to be claimed."""
    path = tmp_path / "test.db"
    lines = random.Random(seed).randrange(20, 400)
    with subprocess.Popen(  # noqa: ASYNC220
        [sys.executable, "-c", PRODUCE, str(path)], stdout=subprocess.PIPE
    ) as producer:
        assert producer.stdout is not None
        head = [await asyncio.to_thread(producer.stdout.readline) for _ in range(lines)]
        producer.kill()
        acknowledged = [line.decode().strip() for line in [*head, *producer.stdout] if line.endswith(b"\n")]
    database = SqliteDatabase(path)
    await database.open()
    assert await migrate(database) == []
    queue = SqliteQueue(database, LocalDoorbell())
    jobs = [await queue.get(JobId(job_id)) for job_id in acknowledged]
    assert len(jobs) >= lines
    assert {job.state for job in jobs} <= {JobState.AVAILABLE, JobState.BLOCKED}
    check = await database.read(lambda conn: conn.execute("PRAGMA integrity_check").fetchall())
    assert check == [{"integrity_check": "ok"}]
    await database.aclose()
