"""Forged, odd and spoilt tokens: every one of them is the same 401."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
import zlib
from collections.abc import Iterator

import pytest

from media_pipeline.devsecret import development_secret
from tests.integration.program import Api, Running, read_problem

pytestmark = pytest.mark.asyncio(loop_scope="session")

NOW = int(time.time())
GOOD = {"sub": "ann", "exp": NOW + 3600}
HEAD = {"alg": "HS256", "typ": "JWT"}


def coded(value: object) -> str:
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def signed(claims: object, *, head: object = HEAD, secret: str | None = None, digest: str = "sha256") -> str:
    """Build a token by hand, so that no library keeps us from building a bad one."""
    key = (development_secret() if secret is None else secret).encode()
    message = f"{coded(head)}.{coded(claims)}"
    return f"{message}.{coded(hmac.digest(key, message.encode(), digest))}"


def unsigned(claims: object, alg: str) -> str:
    return f"{coded({'alg': alg, 'typ': 'JWT'})}.{coded(claims)}."


def forgeries() -> Iterator[tuple[str, str]]:
    """Name every bad token and make it."""
    good = signed(GOOD)
    head, claims, signature = good.split(".")
    yield "empty", ""
    yield "no dots", "token"
    yield "only dots", ".."
    yield "two parts", f"{head}.{claims}"
    yield "four parts", f"{good}.x"
    for alg in ("none", "None", "NONE", "nOnE"):
        yield f"alg {alg}", unsigned(GOOD, alg)
    yield "alg none, signed", signed(GOOD, head={"alg": "none"})
    yield "alg HS512", signed(GOOD, head={"alg": "HS512"}, digest="sha512")
    yield "alg HS384", signed(GOOD, head={"alg": "HS384"}, digest="sha384")
    yield "alg RS256", signed(GOOD, head={"alg": "RS256"})
    yield "alg missing", signed(GOOD, head={"typ": "JWT"})
    yield "alg a list", signed(GOOD, head={"alg": ["HS256"]})
    yield "head a list", signed(GOOD, head=["HS256"])
    yield "head not JSON", signed(GOOD, head=b"{")
    yield "unknown crit", signed(GOOD, head={**HEAD, "crit": ["exp"]})
    yield "other secret", signed(GOOD, secret="x" * 48)
    yield "empty secret", signed(GOOD, secret="")
    yield (
        "embedded key",
        signed(GOOD, head={**HEAD, "jwk": {"kty": "oct", "k": coded(b"k" * 32)}}, secret="k" * 32),
    )
    yield "key by URL", signed(GOOD, head={**HEAD, "jku": "http://127.0.0.1:9/keys"}, secret="k" * 32)
    yield "kid a path", signed(GOOD, head={**HEAD, "kid": "../../dev/null"}, secret="")
    yield from forged_heads()
    yield "signature cut", good[:-4]
    yield "signature changed", f"{head}.{claims}.{signature[:-6]}AAAAAA"
    yield "claims changed", f"{head}.{coded({**GOOD, 'sub': 'bob'})}.{signature}"
    yield "claims a list", signed([GOOD])
    yield "claims a string", signed("ann")
    yield "claims not JSON", signed(b"{")
    yield "claims not UTF-8", signed(b'{"sub": "\xff"}')
    yield "nested", signed(coded(good).encode())
    yield "deeply nested", signed(b"[" * 3000 + b"]" * 3000)
    yield "no exp", signed({"sub": "ann"})
    yield "exp null", signed({**GOOD, "exp": None})
    yield "exp a string", signed({**GOOD, "exp": str(NOW + 3600)})
    yield "exp true", signed({**GOOD, "exp": True})
    yield "exp infinite", signed(b'{"sub": "ann", "exp": Infinity}')
    yield "exp no number", signed(b'{"sub": "ann", "exp": NaN}')
    yield "exp enormous", signed({**GOOD, "exp": 10**400})
    yield "exp over", signed({**GOOD, "exp": NOW - 3600})
    yield "exp negative", signed({**GOOD, "exp": -1})
    yield "not yet", signed({**GOOD, "nbf": NOW + 3600})
    yield "from the future", signed({**GOOD, "iat": NOW + 3600})
    yield "no sub", signed({"exp": NOW + 3600})
    for name, sub in (
        ("empty", ""),
        ("a list", ["ann"]),
        ("an object", {"id": "ann"}),
        ("a number", 1),
        ("null", None),
        ("too long", "a" * 256),
        ("a lone surrogate", "\ud800"),
    ):
        yield f"sub {name}", signed({**GOOD, "sub": sub})
    yield "huge", signed({**GOOD, "x": "x" * 40_000})


def forged_heads() -> Iterator[tuple[str, str]]:
    """Name bad tokens whose heads say how they should be read."""
    head, claims, signature = signed(GOOD).split(".")
    for kind, kid in (
        ("SQL", "' OR 1=1 --"),
        ("a URL", "http://127.0.0.1:9/k"),
        ("NUL", "a\0b"),
        ("a number", 7),
    ):
        yield f"kid {kind}", signed(GOOD, head={**HEAD, "kid": kid}, secret="k" * 32)
    yield "kid huge", signed(GOOD, head={**HEAD, "kid": "k" * 10_000})
    yield "key by certificate", signed(GOOD, head={**HEAD, "x5u": "http://127.0.0.1:9/c"}, secret="k" * 32)
    yield "compressed", signed(zlib.compress(json.dumps(GOOD).encode()), head={**HEAD, "zip": "DEF"})
    yield "detached", f"{head}..{signature}"
    yield "payload not encoded", signed(GOOD, head={**HEAD, "b64": False, "crit": ["b64"]})
    yield "encrypted", f"{head}.{claims}.{signature}.{claims}.{signature}"
    yield "padded", f"{head}.{claims}.{signature}=="


async def test_every_bad_token_is_one_and_the_same_401(service: Running) -> None:
    """No defect is told from another, none is accepted, none breaks anything."""
    expected = await service.http.get("/jobs")
    assert read_problem(expected) == (401, "unauthorized")
    assert expected.headers["www-authenticate"] == "Bearer"
    made = dict(forgeries())
    assert len(made) >= 40
    for name, token in made.items():
        answer = await service.http.get("/jobs", headers={"Authorization": f"Bearer {token}".strip()})
        assert (name, answer.status_code, answer.content) == (name, 401, expected.content)


@pytest.mark.parametrize(
    "header",
    ["", "Bearer", "Basic YW5uOmFubg==", "Token x", "Bearer \u00e9", "Bearer a b c", "Bearer, Bearer x"],
)
async def test_no_bearer_token_is_no_token(service: Running, header: str) -> None:
    """Another scheme, or nothing behind the right one, is the same 401."""
    answer = await service.http.get("/jobs", headers={b"Authorization": header.encode()})
    assert answer.content == (await service.http.get("/jobs")).content


async def test_the_control_is_accepted(service: Running) -> None:
    """A token built by the same hand without a defect works, so the others fail for theirs."""
    answer = await service.http.get("/jobs", headers={"Authorization": f"Bearer {signed(GOOD)}"})
    assert answer.status_code == 200


async def test_a_token_is_of_no_use_elsewhere(service: Running, api: Api) -> None:
    """A token in the query or in a cookie is not looked at."""
    token = api.headers["Authorization"].removeprefix("Bearer ")
    for answer in (
        await service.http.get(f"/jobs?access_token={token}&token={token}"),
        await service.http.get("/jobs", headers={"Cookie": f"token={token}; Authorization=Bearer {token}"}),
    ):
        assert answer.status_code == 401


async def test_the_digest_is_the_one_meant() -> None:
    """The hand-made signature is HMAC-SHA-256 of head and claims (RFC 7515, A.1)."""
    head, claims, signature = signed(GOOD, secret="s").split(".")
    expected = hmac.new(b"s", f"{head}.{claims}".encode(), hashlib.sha256).digest()
    assert signature == coded(expected)
