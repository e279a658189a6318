"""Opening a link: find the server, say who we are, and see that it is one that can serve."""

from __future__ import annotations

import asyncio
import re
import ssl
from functools import cache
from importlib.resources import files
from typing import Final

from media_pipeline.realtime.bus import BusError
from media_pipeline.realtime.redis_link import Ears, Link, LinkRefused, Reply
from media_pipeline.redis_url import Login, RedisUrl

SCRIPTS: Final = ("publish", "resume", "seat")
OLDEST: Final = 7
_REFUSED: Final = re.compile("WRONGPASS|NOAUTH|NOPERM")
CONNECT_SECONDS: Final = 2.0
_LIVES: Final = 90_000_000
_Address = tuple[str, int] | str


async def open_link(url: RedisUrl, ears: Ears) -> Link:
    """Connect and prepare; `BusError`, `OSError` or `TimeoutError` within `CONNECT_SECONDS` a server."""
    address = await _find_primary(url) if url.service else url.path or url.hosts[0]
    async with asyncio.timeout(CONNECT_SECONDS):
        link = await _connect(url, address, ears)
        try:
            await _prepare(link, url)
        except BaseException:
            link.drop("not prepared")
            raise
    return link


async def _connect(url: RedisUrl, address: _Address, ears: Ears) -> Link:
    loop = asyncio.get_running_loop()
    tls = _tls(url) if url.tls else None
    if isinstance(address, str):
        _, link = await loop.create_unix_connection(lambda: Link(ears), address)
    else:
        host, port = address
        _, link = await loop.create_connection(lambda: Link(ears), host, port, ssl=tls)
    return link


async def _prepare(link: Link, url: RedisUrl) -> None:
    about = await _greet(link, url.login)
    if url.database:
        await link.ask("SELECT", url.database)
    if about.get(b"role") != b"master":
        raise BusError("This Redis is a replica: name its primary.")
    if int(_bytes(about.get(b"version")).partition(b".")[0] or 0) < OLDEST:
        raise BusError(f"This Redis is older than version {OLDEST}.")
    link.life = _name_life(_bytes(await link.ask("INFO", "server")))
    for name in SCRIPTS:
        link.scripts[name] = _bytes(await link.ask("SCRIPT", "LOAD", _source(name)))


async def _greet(link: Link, login: Login) -> dict[object, object]:
    auth = ("AUTH", login.username, login.password) if login.password else ()
    try:
        about = await link.ask("HELLO", 3, *auth, "SETNAME", "media-pipeline")
    except BusError as error:
        if _REFUSED.search(str(error)):
            raise LinkRefused(str(error)) from error
        raise
    return about if isinstance(about, dict) else {}


async def _find_primary(url: RedisUrl) -> tuple[str, int]:
    failures = []
    for host, port in url.hosts:
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                return await _ask_sentinel(url, (host, port))
        except (BusError, OSError) as error:
            failures.append(f"{host}:{port}: {str(error) or type(error).__name__}")
    raise BusError(f"No sentinel knows the primary of {url.service}: {'; '.join(failures)}.")


async def _ask_sentinel(url: RedisUrl, address: tuple[str, int]) -> tuple[str, int]:
    link = await _connect(url, address, {})
    try:
        await _greet(link, url.sentinel_login)
        found = await link.ask("SENTINEL", "GET-MASTER-ADDR-BY-NAME", url.service or "")
    finally:
        link.drop("asked")
    if not isinstance(found, list):
        raise BusError("it does not know this service")
    host, port = found
    return _bytes(host).decode(), int(_bytes(port))


def _name_life(info: bytes) -> str:
    """Make eight digits of the server's run ID: another process, or another copy of the data, has others."""
    for line in info.splitlines():
        name, _, value = line.partition(b":")
        if name == b"run_id":
            return str(_LIVES // 9 + int(value, 16) % _LIVES)
    raise BusError("This Redis does not say its run_id (INFO server), so a lost history could not be told.")


@cache
def _source(name: str) -> bytes:
    folder = files(__package__) / "lua"
    return (folder / "history.lua").read_bytes() + (folder / f"{name}.lua").read_bytes()


def _tls(url: RedisUrl) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=url.ca_file)
    if not url.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _bytes(reply: Reply) -> bytes:
    return reply if isinstance(reply, bytes) else b""
