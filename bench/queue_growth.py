"""Does a claim stay as fast when a million finished jobs lie beside those that wait?

.venv/bin/python -m bench.queue_growth [--finished 1000000]
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import time

from tests.servers.postgres import Server, own_server

from media_pipeline.db.migrate import migrate
from media_pipeline.db.postgres import PostgresDatabase
from media_pipeline.db.statements import Statement
from media_pipeline.queue.doorbell import LocalDoorbell
from media_pipeline.queue.job import WorkerId
from media_pipeline.queue.postgres import PostgresQueue

FEW, BATCH, ROUNDS = 1_000, 20, 200
FINISHED = """
INSERT INTO jobs (id, user_id, kind, state, lane, ord, payload, max_failures, attempt, created_at, started_at,
                  finished_at, result, settled)
SELECT 'done-' || n, 'user-' || n % 100, 'noop', 'succeeded', 1, n, '{"prompt": "a harbour"}', 5, 1, n, n, n,
  '{}', true
FROM generate_series(:first::INT8, :last::INT8) AS n
"""
WAITING = """
INSERT INTO jobs (id, user_id, active_user, kind, state, lane, ord, payload, max_failures, created_at)
SELECT 'job-' || n, 'user-' || n % 100, 'user-' || n % 100, 'noop', 'available', 1, 2000000 + n,
  '{"prompt": "a harbour"}', 5, n
FROM generate_series(:first::INT8, :last::INT8) AS n
"""
STEP = 50_000


async def claim_ms(url: str, *, finished: int) -> float:
    """Return the median milliseconds of a claim of `BATCH` jobs beside so many finished ones."""
    database = PostgresDatabase(url)
    await migrate(database)
    for first in range(1, finished + 1, STEP):
        last = min(first + STEP - 1, finished)
        await database.execute(Statement("finished", FINISHED), {"first": first, "last": last})
    await database.execute(Statement("waiting", WAITING), {"first": 1, "last": BATCH * ROUNDS})
    await database.execute(Statement("analyze", "ANALYZE jobs"), {})
    queue = PostgresQueue(database, LocalDoorbell())
    worker = WorkerId("worker")
    await queue.register(worker, lease_seconds=600)
    waits = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        assert len(await queue.claim(worker, {"noop": BATCH}, limit=BATCH)) == BATCH
        waits.append((time.perf_counter() - began) * 1e3)
    await database.aclose()
    return statistics.median(waits)


async def measure(server: Server, *, most: int) -> dict[str, float]:
    """Return the claim's figures; twice each, interleaved, the better one counts."""
    few, many = [], []
    for _ in range(2):
        few.append(await claim_ms(server.create_database("few"), finished=FEW))
        many.append(await claim_ms(server.create_database("many"), finished=most))
    return {
        f"claim at {FEW:,} ms": min(few),
        f"claim at {most:,} ms": min(many),
        f"claim at {most:,} / at {FEW:,}": min(many) / min(few),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--finished", type=int, default=1_000_000)
    options = parser.parse_args()
    for figure, value in asyncio.run(measure(own_server(durable=True), most=options.finished)).items():
        print(f"{figure:<32}{value:>10.3f}")


if __name__ == "__main__":
    main()
