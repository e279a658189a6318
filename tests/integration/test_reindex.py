"""A library that is made again of what the store holds."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.acceptance.process import run
from tests.integration.program import Api, Running, Wire, picture, running

PROMPT = "Häfen <&> at dawn, 日本"
TODAY = {"createdAt", "url", "thumbnailUrl", "thumbnails"}


def compared(items: list[Wire]) -> Mapping[str, Any]:
    """Return items by path without what holds today's address or moment."""
    return {item["path"]: {name: item[name] for name in item if name not in TODAY} for item in items}


async def fill(api: Api) -> None:
    """Generate two pictures and a film, and upload a picture."""
    jobs = [
        await api.generate(n=2, prompt=PROMPT, seed=7),
        await api.generate("video", prompt="waves", seconds=1),
    ]
    await api.upload(picture(), filename="my Café.png")
    for job in jobs:
        assert (await api.end(job)).name == "generation_complete"


async def test_a_lost_library_comes_back(tmp_path: Path) -> None:
    """With the database gone, `reindex` lists and finds the same items, and a second run changes nothing."""
    database = tmp_path / "rows.db"
    named: dict[str, Any] = {"storage_dir": tmp_path / "store", "database_url": f"sqlite:///{database}"}
    async with running(**named) as service:
        await fill(service.user("ann@example.com"))
        before = compared(await service.user("ann@example.com").items())
        objects = await stored(service)
    for end in ("", "-wal", "-shm"):
        database.with_name(database.name + end).unlink(missing_ok=True)
    first = await asyncio.to_thread(run, tmp_path, "reindex", **named)
    assert (first.returncode, first.stderr) == (0, "")
    assert first.stdout == "done: 4 objects: 0 there, 4 added, 0 passed over, 0 unreadable, 0 failed\n"
    again = await asyncio.to_thread(run, tmp_path, "reindex", **named)
    assert again.stdout == "done: 4 objects: 4 there, 0 added, 0 passed over, 0 unreadable, 0 failed\n"
    async with running(**named) as service:
        ann = service.user("ann@example.com")
        assert compared(await ann.items()) == before
        assert await stored(service) == objects
        for words, count in (("hafen dawn", 2), ("cafe", 1), ("waves", 1), ("zebra", 0)):
            assert len(await ann.items(f"?q={words}")) == count
        assert await service.user("bob").items() == []
        for item in await ann.items():
            for url in (item["url"], item["thumbnailUrl"]):
                assert (await ann.http.get(url)).status_code == 200


async def stored(service: Running) -> Mapping[str, str]:
    """Return the version of every object but partial pictures, which go when their job is settled."""
    objects = await service.program.store.list("")
    return {each.path: str(each.version) for each in objects if "/preview_" not in each.path}


async def test_a_job_at_work_keeps_its_object_to_itself(tmp_path: Path) -> None:
    """The bytes of an upload that is not complete, and of one that was refused, get no row."""
    async with running() as service:
        ann = service.user("ann")
        waiting, refused = [await ann.init(filename=f"{name}.png", contentType="") for name in ("a", "b")]
        await ann.put(waiting, picture())
        await ann.ask("POST", f"/jobs/{refused['jobId']}/cancel")
        await ann.end(refused["jobId"])
        await service.program.store.upload(refused["objectPath"], picture(), "image/png")
        looked = [each async for each in service.program.reindexer.run()]
        assert {each.path: each.verdict for each in looked} == {
            waiting["objectPath"]: "passed over",
            refused["objectPath"]: "passed over",
        }
        assert await ann.items() == []
        assert (await ann.complete(waiting)).status_code == 200
        assert (await ann.end(waiting["jobId"])).name == "upload_complete"
