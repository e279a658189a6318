"""How the parts of a program stand at the moment somebody asks for its metrics."""

from __future__ import annotations

from collections.abc import Sequence

from media_pipeline.db.database import DatabaseUnavailable
from media_pipeline.metrics import Gauges, Reading
from media_pipeline.queue.queue import Queue
from media_pipeline.queue.worker import Worker
from media_pipeline.realtime.hub import Hub


def standing(queue: Queue, hub: Hub, worker: Worker, *, slots: int) -> Sequence[Gauges]:
    """Return what reads the queue's depth, the open streams and the `slots` of the worker."""

    async def read_depths() -> list[Reading]:
        try:
            depths = await queue.depth()
        except DatabaseUnavailable:
            return []
        waits = [
            Reading("queue_oldest_wait_seconds", each.oldest_wait, {"kind": each.kind}) for each in depths
        ]
        jobs = [
            Reading("queue_jobs", count, {"kind": each.kind, "state": state})
            for each in depths
            for state, count in each.states.items()
        ]
        return waits + jobs

    async def read_load() -> list[Reading]:
        return [
            Reading("streams_open", hub.streams, {}),
            Reading("worker_busy_slots", worker.busy, {}),
            Reading("worker_slots", slots, {}),
        ]

    return (read_depths, read_load)
