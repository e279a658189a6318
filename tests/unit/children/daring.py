"""A child that tries what it is dared to."""

from __future__ import annotations

import ctypes
import os
import resource
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Generator, Mapping
from typing import Final

import av
import av.error
import msgspec

from media_pipeline.children.child import serve


class Dare(msgspec.Struct, frozen=True, tag=True):
    """What to try."""

    what: str
    port: int = 0


class Said(msgspec.Struct, frozen=True, tag=True):
    """What came of it."""

    what: str


def work(dare: Dare) -> Generator[Said, None, None]:
    name, _, rest = dare.what.partition(" ")
    try:
        yield Said(DARES[name](rest or str(dare.port)) or "done")
    except (OSError, MemoryError) as error:
        yield Said(type(error).__name__)


def _connect(port: str) -> None:
    socket.create_connection(("127.0.0.1", int(port)))


def _connect_in_c(_: str) -> str:
    libc = ctypes.CDLL(None, use_errno=True)
    found: list[int] = [libc.socket(socket.AF_INET, socket.SOCK_STREAM, 0)]
    thread = threading.Thread(target=lambda: found.append(libc.socket(socket.AF_INET6, socket.SOCK_DGRAM, 0)))
    thread.start()
    thread.join()
    return "refused" if found == [-1, -1] else "opened"


def _connect_in_ffmpeg(port: str) -> str:
    try:
        av.open(f"http://127.0.0.1:{port}/")
    except av.error.PermissionError:
        return "refused"
    return "opened"


def _write(path: str) -> None:
    with open(path, "wb", buffering=0) as file:  # noqa: PTH123 - nothing between us and the limit
        file.write(bytes(900))
        file.write(bytes(100))
        file.write(bytes(1))


def _compute(seconds: str) -> None:
    until = time.process_time() + float(seconds)
    while time.process_time() < until:
        pass


DARES: Final[Mapping[str, Callable[[str], str | None]]] = {
    "connect": _connect,
    "connect-in-c": _connect_in_c,
    "connect-in-ffmpeg": _connect_in_ffmpeg,
    "run": lambda _: subprocess.run(["true"], check=False).args[0],
    "environment": lambda _: " ".join(os.environ),
    "grow": lambda _: str(len(bytearray(500 * 1024**2))),
    "write": _write,
    "compute": _compute,
    "allowed": lambda _: str(resource.getrlimit(resource.RLIMIT_CPU)[0]),
    "wait": lambda seconds: time.sleep(float(seconds)),
    "pid": lambda _: str(os.getpid()),
    "hello": lambda _: "hello",
}

if __name__ == "__main__":
    serve(msgspec.msgpack.Decoder(Dare), work)
