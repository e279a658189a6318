"""An S3 for tests: moto's server in a process of its own. It checks no signatures."""

from __future__ import annotations

import atexit
import functools
import itertools
import re
import subprocess
import sys
import urllib.request

_NAMES = itertools.count(1)


@functools.cache
def shared_s3() -> str:
    """Return the address of the server of the whole session; tests keep apart by buckets."""
    process = subprocess.Popen(
        [sys.executable, "-u", "-m", "moto.server", "-p", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    atexit.register(_stop, process)
    assert process.stdout is not None
    while not (found := re.search(r"Running on (http://\S+)", line := process.stdout.readline())):
        assert line, "moto did not start"
    process.stdout.close()
    return found[1]


def new_bucket(url: str) -> str:
    """Make an empty bucket with a name that nobody had."""
    name = f"bucket-{next(_NAMES)}"
    request = urllib.request.Request(f"{url}/{name}", method="PUT")
    with urllib.request.urlopen(request, timeout=60):
        return name


def _stop(process: subprocess.Popen[str]) -> None:
    process.terminate()
    process.wait()
