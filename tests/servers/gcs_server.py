"""The fake of Google Cloud Storage in a process of its own, for tests."""

from __future__ import annotations

import atexit
import functools
import itertools
import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).parents[2]


class GcsServer:
    """One fake; `url` is its address, `account` the JSON of its service account."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.servers.gcs"], stdout=subprocess.PIPE, cwd=_ROOT, text=True
        )
        assert self._process.stdout is not None
        self.url = self._process.stdout.readline().strip()
        assert self.url.startswith("http://"), "the fake did not start"
        self.account = json.dumps(self.control()["account"])
        self._names = itertools.count(1)

    @property
    def pid(self) -> int:
        return self._process.pid

    def control(self, **orders: Any) -> dict[str, Any]:
        """Give orders, and return what the fake says of itself."""
        body = json.dumps(orders).encode()
        request = urllib.request.Request(f"{self.url}/_control", body)
        with urllib.request.urlopen(request, timeout=60) as answer:
            told = json.loads(answer.read())
        assert isinstance(told, dict)
        return told

    def new_bucket(self) -> str:
        """Make an empty bucket with a name that nobody had."""
        name = f"bucket-{next(self._names)}"
        self.control(buckets=[name])
        return name

    def inject(self, *rules: dict[str, Any], seed: int = 0) -> None:
        """Replace the faults; none at all ends them."""
        self.control(faults=list(rules), seed=seed)

    def log(self, bucket: str) -> list[dict[str, Any]]:
        """Return the requests that named a bucket, oldest first."""
        return [entry for entry in self.control()["log"] if bucket in entry["target"]]

    def stop(self) -> None:
        self._process.terminate()
        self._process.communicate()


@contextmanager
def gcs_server() -> Iterator[GcsServer]:
    """Run a fake that a test has for itself."""
    server = GcsServer()
    try:
        yield server
    finally:
        server.stop()


@functools.cache
def shared_gcs() -> GcsServer:
    """Return the fake of the whole session; tests keep apart by buckets."""
    server = GcsServer()
    atexit.register(server.stop)
    return server
