"""Many uploads and reads while a fifth of all requests goes wrong."""

from __future__ import annotations

import asyncio
import random
from collections import Counter

import pytest

from media_pipeline.storage.gcs import GCSStore
from media_pipeline.storage.patience import Patience
from media_pipeline.storage.store import ABSENT, Version
from tests.servers.gcs_faults import KINDS
from tests.servers.gcs_server import gcs_server

SHARE = 0.2


@pytest.mark.parametrize("count", [60, pytest.param(1000, marks=pytest.mark.long)])
@pytest.mark.timeout(600)
async def test_nothing_is_lost_corrupt_or_retried_unsafely(count: int) -> None:
    """Uploads, conditional overwrites, reads and deletes under faults end as they would without any."""
    dice = random.Random(5)
    bodies = [dice.randbytes(dice.randrange(200_000)) for _ in range(count)]
    with gcs_server() as fake:
        bucket = fake.new_bucket()
        store = GCSStore(
            bucket, fake.account, url=fake.url, timeout=2, patience=Patience(tries=10, pause=0.01)
        )
        each = 1 - (1 - SHARE) ** (1 / len(KINDS))
        fake.inject(*({"kind": kind, "share": each, "contains": bucket, "seconds": 0.05} for kind in KINDS))
        turn = asyncio.Semaphore(16)

        async def use(number: int) -> None:
            path, body = f"m/{number}", bodies[number]
            async with turn:
                await store.upload(path, body, "image/png", if_version=ABSENT)
                assert await store.read(path) == body
                seen = (await store.stat(path)).version
                if number % 3 == 0:
                    bodies[number] = body[::-1]
                    await store.upload(path, bodies[number], "image/png", if_version=seen)
                    assert await store.read(path) == bodies[number]
                elif number % 3 == 1:
                    await store.delete(path, if_version=seen)

        await asyncio.gather(*(use(number) for number in range(count)))
        fake.inject()
        kept = [number for number in range(count) if number % 3 != 1]
        assert {item.path for item in await store.list("")} == {f"m/{number}" for number in kept}
        for number in kept:
            assert await store.read(f"m/{number}") == bodies[number]
        log = fake.log(bucket)
        await store.aclose()
    faulted = Counter(entry["fault"] for entry in log if entry["fault"])
    assert set(faulted) == set(KINDS)
    assert sum(faulted.values()) / len(log) > SHARE / 2
    changes = [entry for entry in log if entry["method"] in {"PUT", "POST", "DELETE"}]
    assert [entry for entry in changes if not Version(entry["precondition"])] == []
    done = Counter(
        (entry["target"], entry["precondition"])
        for entry in changes
        if entry["done"] and "corrupt" not in entry["fault"]
    )
    assert set(done.values()) == {1}
