"""What bytes in a bucket cost, beside Google's own client in threads and gcloud-aio-storage.

`python -m bench.storage [--rounds 3] [--small 300] [--large-mib 256]`; the peers come with
`uv sync --group bench`. All talk to the tests' fake of Google Cloud Storage in the same run, each in a
process of its own, in turns; figures are medians of the rounds. Lag is by how much a task that sleeps a
millisecond oversleeps: the worst case of a phase. Memory is the most that the process ever had.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from tests.servers.gcs_server import gcs_server

BODY = os.urandom(100_000)
AT_ONCE = 16
MIB = 1024**2
NAMES = ("ours", "google-cloud-storage", "gcloud-aio-storage")


class Peer(Protocol):
    """One client, opened."""

    async def put(self, name: str, data: bytes) -> None: ...

    async def get(self, name: str) -> bytes: ...

    async def put_file(self, name: str, path: Path) -> None: ...

    async def get_file(self, name: str, path: Path) -> None: ...

    async def close(self) -> None: ...


class Ours:
    def __init__(self, url: str, bucket: str, account: str) -> None:
        from media_pipeline.storage.gcs import GCSStore  # noqa: PLC0415 - the import is measured
        from media_pipeline.storage.store import ABSENT  # noqa: PLC0415

        self._store = GCSStore(bucket, account, url=url)
        self._absent = ABSENT

    async def put(self, name: str, data: bytes) -> None:
        await self._store.upload(name, data, "image/png", if_version=self._absent)

    async def get(self, name: str) -> bytes:
        return await self._store.read(name)

    async def put_file(self, name: str, path: Path) -> None:
        await self._store.upload(name, _chunks(path), "video/mp4", if_version=self._absent)

    async def get_file(self, name: str, path: Path) -> None:
        with path.open("wb") as out:
            async for chunk in self._store.stream(name):
                await asyncio.to_thread(out.write, chunk)

    async def close(self) -> None:
        await self._store.aclose()


class Threads:
    """Google's own client, its calls in as many threads as there are at once."""

    def __init__(self, url: str, bucket: str, account: str) -> None:
        from google.cloud import storage  # noqa: PLC0415 - the import is measured
        from google.oauth2 import service_account  # noqa: PLC0415
        from requests.adapters import HTTPAdapter  # noqa: PLC0415

        kind = service_account.Credentials
        kind._is_regional_access_boundary_lookup_required = lambda _: False  # type: ignore[method-assign] # noqa: SLF001 - of Google's hosts, unreachable here
        client = storage.Client(
            "p", kind.from_service_account_info(json.loads(account)), client_options={"api_endpoint": url}
        )
        client._http.mount("http://", HTTPAdapter(pool_maxsize=AT_ONCE))  # noqa: SLF001 - or it drops connections
        self._bucket = client.bucket(bucket)
        self._pool = ThreadPoolExecutor(AT_ONCE)

    async def put(self, name: str, data: bytes) -> None:
        blob = self._bucket.blob(name)
        await self._run(partial(blob.upload_from_string, data, "image/png", if_generation_match=0))

    async def get(self, name: str) -> bytes:
        data = await self._run(self._bucket.blob(name).download_as_bytes)
        assert isinstance(data, bytes)
        return data

    async def put_file(self, name: str, path: Path) -> None:
        blob = self._bucket.blob(name)
        await self._run(partial(blob.upload_from_filename, str(path), "video/mp4", if_generation_match=0))

    async def get_file(self, name: str, path: Path) -> None:
        await self._run(partial(self._bucket.blob(name).download_to_filename, str(path)))

    async def close(self) -> None:
        self._pool.shutdown()

    async def _run(self, call: Callable[[], Any]) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._pool, call)


class Aio:
    def __init__(self, url: str, bucket: str, account: str) -> None:
        import io  # noqa: PLC0415

        from gcloud.aio.storage import Storage  # noqa: PLC0415 - the import is measured

        self._storage = Storage(service_file=io.StringIO(account), api_root=url)
        self._storage._api_is_dev = False  # noqa: SLF001 - else it sends no token to other hosts
        self._bucket = bucket

    async def put(self, name: str, data: bytes) -> None:
        headers = {"x-goog-if-generation-match": "0"}
        await self._storage.upload(self._bucket, name, data, content_type="image/png", headers=headers)

    async def get(self, name: str) -> bytes:
        data = await self._storage.download(self._bucket, name)
        assert isinstance(data, bytes)
        return data

    async def put_file(self, name: str, path: Path) -> None:
        await self._storage.upload_from_filename(self._bucket, name, str(path), timeout=300)

    async def get_file(self, name: str, path: Path) -> None:
        await self._storage.download_to_filename(self._bucket, name, str(path), timeout=300)

    async def close(self) -> None:
        await self._storage.close()


PEERS: dict[str, Callable[[str, str, str], Peer]] = dict(zip(NAMES, (Ours, Threads, Aio), strict=True))


async def _chunks(path: Path) -> AsyncIterator[bytes]:
    with path.open("rb") as source:
        while chunk := await asyncio.to_thread(source.read, MIB):
            yield chunk


async def _measure(work: Awaitable[object]) -> tuple[float, float]:
    """Return how long `work` takes and the worst lag of the loop meanwhile, in milliseconds both."""
    worst = 0.0

    async def watch() -> None:
        nonlocal worst
        while True:
            began = time.perf_counter()
            await asyncio.sleep(0.001)
            worst = max(worst, time.perf_counter() - began - 0.001)

    watcher = asyncio.create_task(watch())
    began = time.perf_counter()
    await work
    taken = time.perf_counter() - began
    watcher.cancel()
    return taken * 1000, worst * 1000


async def _many(count: int, call: Callable[[str], Awaitable[object]]) -> None:
    turn = asyncio.Semaphore(AT_ONCE)

    async def one(number: int) -> None:
        async with turn:
            await call(f"small/{number}")

    await asyncio.gather(*(one(number) for number in range(count)))


async def _run_peer(name: str, url: str, bucket: str, options: argparse.Namespace) -> dict[str, float]:
    began = time.perf_counter()
    peer = PEERS[name](url, bucket, os.environ["ACCOUNT"])
    figures = {"import ms": (time.perf_counter() - began) * 1000}

    async def check(path: str) -> None:
        assert await peer.get(path) == BODY

    await peer.put("warm", BODY)
    small = {
        "small up": _many(options.small, lambda path: peer.put(path, BODY)),
        "small down": _many(options.small, check),
    }
    for phase, work in small.items():
        figures[f"{phase} ms"], figures[f"{phase} lag ms"] = await _measure(work)
    figures["small memory MiB"] = _memory()
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "a"), Path(folder, "b")
        await asyncio.to_thread(_fill, source, 20)
        await peer.put_file("warm large", source)
        await asyncio.to_thread(_fill, source, options.large_mib)
        large = {"large up": peer.put_file("large", source), "large down": peer.get_file("large", target)}
        for phase, work in large.items():
            figures[f"{phase} ms"], figures[f"{phase} lag ms"] = await _measure(work)
        assert os.path.getsize(target) == options.large_mib * MIB  # noqa: ASYNC240, PTH202 - measured is over
    figures["memory MiB"] = _memory()
    await peer.close()
    return figures


def _fill(path: Path, count: int) -> None:
    with path.open("wb") as out:
        for _ in range(count):
            out.write(os.urandom(MIB))


def _memory() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _start(name: str, url: str, bucket: str, account: str, options: argparse.Namespace) -> dict[str, float]:
    given = ["--peer", name, "--url", url, "--bucket", bucket]
    sizes = ["--small", str(options.small), "--large-mib", str(options.large_mib)]
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "bench.storage", *given, *sizes],
        env={**os.environ, "ACCOUNT": account},
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    )
    figures: dict[str, float] = json.loads(done.stdout)
    return figures


def _compare(found: dict[str, dict[str, float]]) -> None:
    ours, official = found["ours"], found["google-cloud-storage"]
    for phase in ("small up", "small down"):
        speed = official[f"{phase} ms"] / ours[f"{phase} ms"]
        lag = ours[f"{phase} lag ms"] / official[f"{phase} lag ms"]
        print(f"{phase}: {speed:.1f} x as fast as Google's client (2 is {_reached(speed >= 2)})")
        print(f"{phase}: {lag:.2f} of its loop lag (0.25 is {_reached(lag <= 0.25)})")


def _reached(met: object) -> str:
    return "reached" if met else "not reached"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--small", type=int, default=300)
    parser.add_argument("--large-mib", type=int, default=256)
    for hidden in ("--peer", "--url", "--bucket"):
        parser.add_argument(hidden, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.peer:
        print(json.dumps(asyncio.run(_run_peer(options.peer, options.url, options.bucket, options))))
        return
    rounds: dict[str, list[dict[str, float]]] = {name: [] for name in NAMES}
    with gcs_server() as fake:
        for _ in range(options.rounds):
            for name in NAMES:
                rounds[name].append(_start(name, fake.url, fake.new_bucket(), fake.account, options))
    found = {
        name: {key: statistics.median(each[key] for each in runs) for key in runs[0]}
        for name, runs in rounds.items()
    }
    print(f"{'':20}" + "".join(f"{name:>24}" for name in NAMES))
    for key in found["ours"]:
        print(f"{key:20}" + "".join(f"{found[name][key]:24.1f}" for name in NAMES))
    _compare(found)


if __name__ == "__main__":
    main()
