"""Servers that ask for a password, speak TLS, or are found through Sentinel."""

import asyncio
import contextlib
import shutil
import socket
import ssl
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from media_pipeline.clock import SystemClock
from media_pipeline.realtime.bus import BusError
from media_pipeline.realtime.redis_line import RedisLine
from media_pipeline.redis_url import RedisUrl
from tests.servers.redis import RedisServer, Sentinel, redis_server, running

WORD = "w0rd"
GONE = 1
"""A port on which nobody listens."""


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def locked(port: int) -> Iterator[RedisServer]:
    with redis_server("--port", str(port), "--bind", "127.0.0.1", "--requirepass", WORD) as server:
        yield server


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


async def probe(address: str) -> None:
    line = RedisLine(RedisUrl.parse(address), clock=SystemClock())
    try:
        await line.probe(1)
    finally:
        await line.aclose()


async def test_a_password_and_a_database_are_taken_from_the_address(locked: RedisServer, port: int) -> None:
    """With the right password the server answers, over TCP and in another database."""
    await probe(f"redis://:{WORD}@127.0.0.1:{port}/3")
    await probe(f"{locked.url}?db=2".replace("unix://", f"unix://:{WORD}@"))


@pytest.mark.parametrize("login", ["", ":wrong@", "ann:wrong@"])
@pytest.mark.usefixtures("locked")
async def test_a_wrong_password_is_said(login: str, port: int) -> None:
    """Without the right password the error says so, and shows none."""
    with pytest.raises(BusError, match=r"NOAUTH|WRONGPASS") as caught:
        await probe(f"redis://{login}127.0.0.1:{port}")
    assert "wrong" not in str(caught.value)


@pytest.mark.usefixtures("locked")
async def test_the_primary_is_found_through_sentinels(port: int) -> None:
    """The first sentinel that answers names the primary; those that are away are passed over."""
    own = free_port()
    with running(Sentinel(port=own, primary=port, password=WORD)):
        sentinels = f"127.0.0.1:{GONE},127.0.0.1:{own}"
        await probe(f"redis+sentinel://:{WORD}@{sentinels}/main")
        with pytest.raises(BusError, match=f":{GONE}: .*:{own}: it does not know"):
            await probe(f"redis+sentinel://:{WORD}@{sentinels}/other")


@pytest.mark.usefixtures("locked")
async def test_a_replica_is_not_taken_for_a_primary(port: int) -> None:
    """What would refuse every event is refused at the door."""
    link = ("--replicaof", "127.0.0.1", str(port), "--masterauth", WORD)
    with redis_server(*link) as replica, pytest.raises(BusError, match="replica"):
        await probe(replica.url)


async def test_tls_is_spoken_and_the_certificate_checked(
    locked: RedisServer, port: int, tmp_path: Path
) -> None:
    """`rediss://` works with the right authority, without a check where that is asked for, and not else."""
    async with tls_before(locked, tmp_path) as secure:
        address = f"rediss://:{WORD}@localhost:{secure}"
        await probe(f"{address}?ssl_ca_certs={tmp_path}/cert.pem")
        await probe(f"{address}?ssl_cert_reqs=none")
        with pytest.raises(BusError, match="certificate"):
            await probe(address)


@asynccontextmanager
async def tls_before(server: RedisServer, folder: Path) -> AsyncIterator[int]:
    """Terminate TLS in front of a server, for binaries that were built without it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*make_certificate(folder))

    joined: set[asyncio.Task[None] | None] = set()

    async def join(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        joined.add(asyncio.current_task())
        inner_reader, inner_writer = await asyncio.open_unix_connection(server.socket)
        await asyncio.gather(copy(reader, inner_writer), copy(inner_reader, writer))

    listening = await asyncio.start_server(join, "127.0.0.1", 0, ssl=context)
    async with listening:
        yield int(listening.sockets[0].getsockname()[1])
        await asyncio.gather(*(task for task in joined if task is not None))


async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
    except OSError:
        pass
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


def make_certificate(folder: Path) -> tuple[Path, Path]:
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl to make a certificate")
    certificate, key = folder / "cert.pem", folder / "key.pem"
    subprocess.run(
        [
            *(
                "openssl",
                "req",
                "-x509",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:prime256v1",
                "-nodes",
            ),
            *("-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"),
            *("-out", str(certificate), "-keyout", str(key)),
        ],
        check=True,
        capture_output=True,
    )
    return certificate, key
