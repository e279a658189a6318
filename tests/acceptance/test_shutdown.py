"""Signals and neighbours: how a process ends, and what it does to a second one."""

from __future__ import annotations

import asyncio
import json
import signal
import sqlite3
import time
from contextlib import AsyncExitStack, closing
from pathlib import Path

import pytest

from media_pipeline.cli import main
from tests.acceptance.process import SECRET, Service, look_into, run, started

GRACE = 0.2
LONG_FILM = {"prompt": "waves", "seconds": 3, "fps": 24, "width": 128, "height": 128}


def waiting_jobs(folder: Path) -> list[tuple[str, int, str]]:
    """Return the state, the spent runs and the crashes of every job that has not ended."""
    with closing(sqlite3.connect(folder / "jobs.db")) as database:
        return database.execute(
            "SELECT state, failures, crashes FROM jobs WHERE finished_at IS NULL"
        ).fetchall()


async def test_a_stop_gives_back_what_it_cannot_finish(tmp_path: Path) -> None:
    """SIGTERM ends twenty streams cleanly, exits 0 within the grace, and the jobs end after a restart."""
    with started(tmp_path, media_grace_seconds=GRACE) as service:
        async with service.user("ann") as ann, service.user("bob") as bob, AsyncExitStack() as stack:
            streams = [
                await stack.enter_async_context(user.events()) for user in (ann, bob) for _ in range(10)
            ]
            films = [await ann.generate("video", **LONG_FILM) for _ in range(2)]
            await streams[0].until("generation_started")
            begin = time.monotonic()
            service.signal(signal.SIGTERM)
            ends = await asyncio.gather(*(stream.rest() for stream in streams))
            assert await service.ended() == 0
            assert time.monotonic() - begin < GRACE + 2
        assert len(ends) == 20
    assert [(failures, crashes) for _, failures, crashes in waiting_jobs(tmp_path)] == [(0, "[]")] * 2
    assert "Traceback" not in service.log.read_text()
    with started(tmp_path) as service:
        async with service.user("ann") as ann:
            for film in films:
                assert (await ann.end(film)).name == "generation_complete"
        service.signal(signal.SIGTERM)
        assert await service.ended() == 0
    (await look_into(tmp_path)).check_whole(dict.fromkeys(films, 1))


async def test_a_second_signal_ends_at_once(tmp_path: Path) -> None:
    """Whoever cannot wait for the grace sends a second signal, and nothing waits."""
    with started(tmp_path, media_grace_seconds=60) as service:
        async with service.user("ann") as ann:
            async with ann.events() as stream:
                await ann.generate("video", **LONG_FILM)
                await stream.until("generation_started")
                service.signal(signal.SIGTERM)
                await stream.rest()
            begin = time.monotonic()
            service.signal(signal.SIGTERM)
            assert await service.ended() == -signal.SIGTERM
            assert time.monotonic() - begin < 1


async def test_a_database_a_folder_and_a_port_have_one_process(tmp_path: Path) -> None:
    """A second process is told in one line what is taken, and ends with exit code 1."""
    with started(tmp_path) as service:
        port = int(service.address.rpartition(":")[2])
        other = tmp_path / "other"
        other.mkdir()
        neighbours: list[tuple[dict[str, object], str]] = [
            ({"port": 0, "database_url": f"sqlite:///{tmp_path}/jobs.db"}, "jobs.db"),
            ({"port": 0, "storage_dir": tmp_path / "store"}, "store"),
            ({"port": port}, "set HOST or PORT to another"),
        ]
        ends = await asyncio.gather(
            *(asyncio.to_thread(run, other, "dev", **given) for given, _ in neighbours)
        )
        for ended, (_, said) in zip(ends, neighbours, strict=True):
            assert (ended.returncode, ended.stdout) == (1, "")
            assert ended.stderr.startswith("media-pipeline: ")
            assert said in ended.stderr
            assert ended.stderr.count("\n") == 1


def test_beside_a_service_the_cli_asks_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`jobs list`, `show`, `retry` and `cancel` work with the very settings of the running service."""
    with started(tmp_path) as service:
        job_id = asyncio.run(_one_job(service))
        for name, value in (
            ("PUBLIC_URL", service.address),
            ("STORAGE_DIR", str(tmp_path / "store")),
            ("DATABASE_URL", f"sqlite:///{tmp_path}/jobs.db"),
            ("AUTH_JWT_SECRET", SECRET),
        ):
            monkeypatch.setenv(name, value)
        assert main(["jobs", "list", "--user", "ann"]) == 0
        assert capsys.readouterr().out.startswith(f"{job_id}  generate.image  succeeded")
        assert main(["jobs", "show", job_id, "--user", "ann"]) == 0
        assert json.loads(capsys.readouterr().out)["jobId"] == job_id
        assert main(["jobs", "retry", job_id, "--user", "ann"]) == 0
        assert capsys.readouterr().out.strip() != job_id
        for name, user in (("cancel", "ann"), ("show", "bob")):
            assert main(["jobs", name, job_id, "--user", user]) == 1
            assert capsys.readouterr().err.count("\n") == 1


async def _one_job(service: Service) -> str:
    async with service.user("ann") as api:
        job_id = await api.generate()
        await api.end(job_id)
    return job_id
