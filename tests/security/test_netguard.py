"""The service goes to no address that a user could not reach without it."""

from __future__ import annotations

import asyncio
import datetime as dt
import ssl
from collections.abc import AsyncIterator, Sequence
from ipaddress import ip_address, ip_network
from pathlib import Path

import httpx2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from media_pipeline.media.addresses import is_public
from media_pipeline.media.fetch import (
    FetchFailed,
    FetchLimits,
    SourceRefused,
    SourceTooLarge,
    fetch,
)
from media_pipeline.media.netguard import GuardedTransport, NetRules, UrlRefused, parse_url, resolve
from tests.servers.sites import Site, Visit, site

WEB = NetRules(plain_http=True, networks=(ip_network("127.0.0.2/32"),))
"""127.0.0.2 plays the public web; every other address of this machine is private."""

HERE = Path(__file__).parent
HOSTS = (HERE / "hostile_hosts.txt").read_text("utf-8").split()
OTHERS = (HERE / "hostile_urls.txt").read_text("utf-8").split()
TRUST = ssl.create_default_context()
NAMES = {
    "web.test": ["127.0.0.2"],
    "localhost.": ["127.0.0.1"],
    "loopback.test": ["127.0.0.1"],
    "loopback6.test": ["::1"],
    "mapped.test": ["::ffff:127.0.0.1"],
    "private.test": ["10.1.2.3"],
    "mixed.test": ["127.0.0.2", "127.0.0.1"],
    "metadata.test": ["169.254.169.254"],
    "zone.test": ["fe80::1%lo"],
}


class Names:
    """A resolver of invented names; each answers its lists in turn, and counts questions."""

    def __init__(self, **turns: list[list[str]]) -> None:
        self.turns = {name.replace("_", "."): answers for name, answers in turns.items()}
        self.asked: list[str] = []

    async def __call__(self, name: str) -> Sequence[str]:
        self.asked.append(name)
        if name in self.turns:
            return self.turns[name].pop(0)
        return NAMES.get(name) or await resolve(name)


@pytest.fixture
async def canary() -> AsyncIterator[Site]:
    """A private service on this machine that nobody may ever reach."""
    async with site("127.0.0.1") as server:
        server.serve("/", b"secret")
        yield server


@pytest.fixture
async def web() -> AsyncIterator[Site]:
    """A server of the public web."""
    async with site("127.0.0.2") as server:
        server.serve("/file", b"picture")
        yield server


def limits(**given: float) -> FetchLimits:
    return FetchLimits(max_bytes=1000, **given)  # type: ignore[arg-type] # figures alone


async def read(
    url: str,
    *,
    names: Names | None = None,
    rules: NetRules = WEB,
    within: FetchLimits | None = None,
    verify: ssl.SSLContext = TRUST,
) -> bytes:
    """Fetch a whole file as an import does."""
    transport = GuardedTransport(rules, resolver=names or Names(), verify=verify)
    try:
        async with fetch(parse_url(url, rules), transport, within or limits()) as fetched:
            return b"".join([chunk async for chunk in fetched.chunks])
    finally:
        await transport.aclose()


def hostile(port: int) -> list[str]:
    return [f"http://{host}:{port}/" for host in HOSTS] + OTHERS


async def refused(url: str) -> bool:
    try:
        await read(url)
    except UrlRefused:
        return True
    except FetchFailed:
        return False  # refused by chance: nobody was there
    return False


async def test_no_hostile_url_reaches_the_canary(canary: Site) -> None:
    """Each of more than eighty hostile URLs is refused as such, and no connection is made."""
    urls = hostile(canary.port)
    assert len(set(urls)) >= 80
    for url in urls:
        assert await refused(url), f"{url} was not refused"
    assert canary.touched == 0


async def test_without_the_guard_the_same_urls_reach_the_canary(canary: Site) -> None:
    """The canary hears: a plain client reaches it by several of the table's spellings."""
    async with httpx2.AsyncClient(trust_env=False) as client:
        for host in ("127.0.0.1", "localhost", "127.1", "2130706433", "0x7f.1", "[::ffff:127.0.0.1]"):
            assert (await client.get(f"http://{host}:{canary.port}/")).content == b"secret"
    assert canary.touched == 6


async def test_a_redirect_is_checked_like_the_first_url(canary: Site, web: Site) -> None:
    """A public server that sends the service to any hostile URL sends it nowhere."""
    for number, url in enumerate(hostile(canary.port)):
        web.redirect(f"/{number}", url.encode().decode("latin-1"))
        with pytest.raises((UrlRefused, FetchFailed, SourceRefused)):
            await read(web.url(f"/{number}", name="web.test"))
    for status in ("301 M", "302 F", "303 S", "307 T", "308 P"):
        web.redirect("/away", canary.url("/"), status=status)
        web.redirect("/far", "/away", status=status)
        with pytest.raises(UrlRefused, match="not public"):
            await read(web.url("/far", name="web.test"))
    assert canary.touched == 0


async def test_a_name_that_changes_its_answer_is_asked_once(canary: Site, web: Site) -> None:
    """The connection goes to the checked address, though the name leads elsewhere by now (rebinding)."""
    names = Names(rebind_test=[["127.0.0.2"], ["127.0.0.1"], ["127.0.0.1"]])
    assert await read(web.url("/file", name="rebind.test"), names=names) == b"picture"
    assert names.asked == ["rebind.test"]
    web.redirect("/again", web.url("/file", name="rebind.test"))
    names = Names(rebind_test=[["127.0.0.2"], ["127.0.0.1"]])
    with pytest.raises(UrlRefused):
        await read(web.url("/again", name="rebind.test"), names=names)
    assert canary.touched == 0
    assert [visit.path for visit in web.visits] == ["/file", "/again"]


async def test_a_second_address_is_tried_when_the_first_is_silent(web: Site) -> None:
    """A name with several public addresses is reached by the one that answers."""
    rules = NetRules(plain_http=True, networks=(ip_network("127.0.0.2/31"),))
    names = Names(two_test=[["127.0.0.3", "127.0.0.2"]])
    assert await read(web.url("/file", name="two.test"), names=names, rules=rules) == b"picture"


async def test_the_host_header_keeps_the_name_and_nothing_else_is_told(web: Site) -> None:
    """The server is asked by its name, without cookies, credentials or a referrer."""
    web.redirect("/from", web.url("/file", name="web.test"))
    await read(web.url("/from", name="web.test"))
    for visit in web.visits:
        assert visit.headers["host"] == f"web.test:{web.port}"
        assert not {"cookie", "authorization", "referer"} & visit.headers.keys()


async def test_plain_http_needs_the_operators_word(web: Site) -> None:
    """Only https is followed unless plain http was allowed."""
    with pytest.raises(UrlRefused, match="https://"):
        await read(web.url("/file", name="web.test"), rules=NetRules(networks=WEB.networks))


async def test_proxies_of_the_environment_are_not_used(
    canary: Site, web: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy would resolve names by itself, behind the guard's back."""
    for name in ("http_proxy", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, canary.url(""))
    assert await read(web.url("/file", name="web.test")) == b"picture"
    assert canary.touched == 0


async def test_tls_is_verified_for_the_name(tmp_path: Path) -> None:
    """Over TLS the certificate must be the name's, though the connection goes to an address."""
    server, client, seen = certificate(tmp_path, "good.test")
    async with site("127.0.0.2", tls=server) as secure:
        secure.serve("/file", b"picture")
        names = Names(good_test=[["127.0.0.2"]], bad_test=[["127.0.0.2"]])
        good = secure.url("/file", name="good.test", scheme="https")
        assert await read(good, names=names, verify=client) == b"picture"
        assert seen == ["good.test"]
        with pytest.raises(FetchFailed):
            await read(good.replace("good", "bad"), names=names, verify=client)
        assert len(secure.visits) == 1


@pytest.mark.parametrize("announced", [True, False])
async def test_a_file_over_the_limit_is_refused(web: Site, *, announced: bool) -> None:
    """More bytes than allowed are refused, by what is announced or as soon as they come."""
    lines = () if announced else ("Transfer-Encoding: chunked",)
    body = b"x" * 1001 if announced else b"3E9\r\n" + b"x" * 1001 + b"\r\n0\r\n\r\n"
    web.serve("/big", body, *lines)
    with pytest.raises(SourceTooLarge):
        await read(web.url("/big", name="web.test"))
    web.serve("/fits", b"x" * 1000)
    assert len(await read(web.url("/fits", name="web.test"))) == 1000


async def test_an_endless_file_is_left_after_the_limit(web: Site) -> None:
    """A server that never stops sending is left once the limit is passed."""
    left = asyncio.Event()

    async def forever(writer: asyncio.StreamWriter, _: Visit) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        try:
            while True:
                writer.write(b"x" * 4096)
                await writer.drain()
        except ConnectionError:
            left.set()

    web.replies["/endless"] = forever
    with pytest.raises(SourceTooLarge):
        await read(web.url("/endless", name="web.test"))
    async with asyncio.timeout(5):
        await left.wait()


async def test_a_slow_drip_ends_with_the_time_limit(web: Site) -> None:
    """A server that sends a byte now and then does not hold the import for longer than it may take."""
    gone = asyncio.Event()

    async def drip(writer: asyncio.StreamWriter, _: Visit) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n")
        await writer.drain()
        await gone.wait()

    web.replies["/slow"] = drip
    for within in (limits(total_seconds=0.2), limits(idle_seconds=0.2)):
        with pytest.raises(FetchFailed):
            await read(web.url("/slow", name="web.test"), within=within)
    gone.set()


async def test_redirects_end(web: Site) -> None:
    """Three redirects are followed, a fourth is not; a circle ends."""
    for hop in range(4):
        web.redirect(f"/hop{hop}", f"/hop{hop - 1}" if hop else "/file")
    assert await read(web.url("/hop2", name="web.test")) == b"picture"
    with pytest.raises(UrlRefused, match="more than 3 times"):
        await read(web.url("/hop3", name="web.test"))
    web.redirect("/circle", "/circle")
    with pytest.raises(UrlRefused):
        await read(web.url("/circle", name="web.test"))


async def test_what_a_server_compresses_is_not_unpacked(web: Site) -> None:
    """A compressed answer may be a bomb; it is refused unread."""
    web.serve("/bomb", b"x", "Content-Encoding: gzip")
    with pytest.raises(SourceRefused):
        await read(web.url("/bomb", name="web.test"))


@pytest.mark.parametrize(
    ("status", "error"),
    [("404 Not Found", SourceRefused), ("206 Partial", SourceRefused), ("503 Busy", FetchFailed)],
)
async def test_an_answer_that_is_no_file_says_whether_to_come_back(
    web: Site, status: str, error: type[Exception]
) -> None:
    """A refusal is final, a server in trouble may be asked again."""
    web.serve("/no", b"x", status=status)
    with pytest.raises(error):
        await read(web.url("/no", name="web.test"))


async def test_a_file_that_breaks_off_is_not_taken_for_whole(web: Site) -> None:
    """Fewer bytes than announced are an error, not a file."""
    web.serve("/cut", b"x", "Content-Length: 9")
    with pytest.raises(FetchFailed):
        await read(web.url("/cut", name="web.test"))


@pytest.mark.parametrize(
    "address", ["1.1.1.1", "8.8.8.8", "93.184.215.14", "2606:4700::1111", "2a00:1450:4001::5e"]
)
def test_public_addresses_are_public(address: str) -> None:
    """What the internet is made of stays reachable."""
    assert is_public(ip_address(address))


def certificate(folder: Path, name: str) -> tuple[ssl.SSLContext, ssl.SSLContext, list[str]]:
    """Return a server's TLS for `name`, a client's that trusts it, and where the server notes names."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = folder / "server.pem"
    plain = serialization.NoEncryption()
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    pem.write_bytes(private + signed.public_bytes(serialization.Encoding.PEM))
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(pem)
    seen: list[str] = []
    server.sni_callback = lambda _, said, __: seen.append(str(said))
    return server, ssl.create_default_context(cafile=str(pem)), seen
