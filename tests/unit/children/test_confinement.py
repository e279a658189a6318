"""What a child process may not do, tried by a child."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from media_pipeline.children.limits import Limits
from media_pipeline.children.pool import OVERDUE, ChildLost, ChildPool
from tests.servers.sites import Site, site
from tests.unit.children.daring import Dare, Said

MODULE = "tests.unit.children.daring"
LIMITS = Limits(cpu_seconds=1, memory_bytes=400 * 1024**2, file_bytes=1000)
linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux refuses in the kernel")
Pool = ChildPool[Dare, Said]


@pytest.fixture
async def pool(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Pool]:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[3]))
    monkeypatch.setenv("AUTH_JWT_SECRET", "must not be seen")
    children = Pool(MODULE, Said, size=1, limits=LIMITS)
    yield children
    await children.aclose()


async def ask(pool: Pool, what: str, *, port: int = 0, seconds: float | None = None) -> list[str]:
    return [said.what async for said in pool.ask(Dare(what, port), seconds=seconds)]


@pytest.fixture
async def canary() -> AsyncIterator[Site]:
    async with site("127.0.0.1") as server:
        yield server


async def test_a_child_reaches_no_network_from_python(pool: Pool, canary: Site) -> None:
    """A connection by Python's own means is refused."""
    assert await ask(pool, "connect", port=canary.port) == ["PermissionError"]
    assert canary.touched == 0


@linux
async def test_a_child_reaches_no_network_from_c(pool: Pool, canary: Site) -> None:
    """A library that opens sockets by itself is refused by the kernel, also in a thread, also by FFmpeg."""
    assert await ask(pool, "connect-in-c", port=canary.port) == ["refused"]
    assert await ask(pool, "connect-in-ffmpeg", port=canary.port) == ["refused"]
    assert canary.touched == 0


async def test_a_child_starts_no_program(pool: Pool) -> None:
    """Another program is not started."""
    assert await ask(pool, "run") == ["PermissionError"]


async def test_a_child_sees_no_secret(pool: Pool) -> None:
    """Of the service's environment a child has only what it needs to start."""
    (names,) = await ask(pool, "environment")
    assert "AUTH_JWT_SECRET" in os.environ
    assert not {"AUTH_JWT_SECRET", "HOME"} & set(names.split())


@linux
async def test_a_child_gets_no_more_memory_than_its_limit(pool: Pool) -> None:
    """Past the limit there is no memory, and the child says so itself."""
    assert await ask(pool, "grow") == ["MemoryError"]
    assert await ask(pool, "hello") == ["hello"]


async def test_a_child_writes_no_more_than_its_limit(pool: Pool, tmp_path: Path) -> None:
    """A file that grows past the limit is refused."""
    assert await ask(pool, f"write {tmp_path / 'file'}") == ["OSError"]
    assert (tmp_path / "file").stat().st_size == 1000


async def test_a_child_that_computes_for_too_long_is_killed(pool: Pool) -> None:
    """Past its processor time a child is gone, and the next order gets a new one."""
    with pytest.raises(ChildLost) as lost:
        await ask(pool, "compute 60")
    assert lost.value.status == -signal.SIGXCPU
    assert await ask(pool, "hello") == ["hello"]


async def test_processor_time_is_counted_for_each_order(pool: Pool) -> None:
    """What earlier orders took of a child's time is not missing to the next."""
    (first,) = await ask(pool, "allowed")
    await ask(pool, "compute 1.1")
    (second,) = await ask(pool, "allowed")
    assert int(second) > int(first)


async def test_a_child_that_only_waits_is_stopped(pool: Pool) -> None:
    """Time by the clock is limited too."""
    with pytest.raises(ChildLost) as lost:
        await ask(pool, "wait 60", seconds=0.3)
    assert lost.value.status == OVERDUE
    assert pool.working == ()


async def test_waiting_for_a_child_is_not_counted(pool: Pool) -> None:
    """An order that waits for its turn is not late."""
    first = asyncio.create_task(ask(pool, "wait 1"))
    while not pool.working:  # noqa: ASYNC110 - a pool tells nobody when a child begins
        await asyncio.sleep(0)
    assert await ask(pool, "hello", seconds=0.9) == ["hello"]
    assert await first == ["done"]


async def test_a_child_that_died_idle_is_replaced(pool: Pool) -> None:
    """A child that ended between two orders is not asked again."""
    (pid,) = await ask(pool, "pid")
    process = pool._idle[0]
    process.kill()
    await process.wait()
    assert await ask(pool, "pid") != [pid]


def test_limits_are_read_as_they_were_written() -> None:
    """The word on a child's command line says what the service meant."""
    assert Limits.read(LIMITS.write()) == LIMITS
    with pytest.raises(msgspec.ValidationError):
        Limits.read("{}")
