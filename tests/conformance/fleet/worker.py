"""A process of its own that holds slots of one provider and says on stdout when; see `test_fleet.py`."""

from __future__ import annotations

import asyncio
import sys

from media_pipeline.clock import SystemClock
from media_pipeline.db.postgres import PostgresDatabase
from media_pipeline.generation.fleet import DatabaseFleet


async def work(url: str, limit: int, attempts: int) -> None:
    """Hold a slot `attempts` times in all, as many at once as come; say "+" and "-" inside each."""
    database = PostgresDatabase(url)
    await database.open()
    fleet = DatabaseFleet(database, clock=SystemClock(), limits={"acme": limit})

    async def one() -> None:
        async with fleet.slot("acme", patience=0):
            sys.stdout.write("+\n")
            sys.stdout.flush()
            await asyncio.sleep(0.01)  # an attempt takes a while; nothing is waited for
            sys.stdout.write("-\n")
            sys.stdout.flush()

    await asyncio.gather(*(one() for _ in range(attempts)))
    await database.aclose()


if __name__ == "__main__":
    asyncio.run(work(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
