"""Tokens of an issuer's keys: the right ones work, every other is the same 401, and no token steers us."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from media_pipeline.api.keys import EVERY, MIN_SECONDS
from tests.integration.program import LeapingClock, Running, read_problem, running
from tests.servers.issuer import Issuer, Private, coded, issuing, public_entry, sign

pytestmark = pytest.mark.asyncio(loop_scope="session")

RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
KEYS: dict[str, Private] = {
    "RS256": RSA,
    "ES256": ec.generate_private_key(ec.SECP256R1()),
    "EdDSA": ed25519.Ed25519PrivateKey.generate(),
}
GOOD = {"sub": "ann", "iss": "https://id.example", "aud": "media"}


def claims(**changed: object) -> dict[str, object]:
    return {**GOOD, "exp": int(time.time()) + 3600, **changed}


def token(alg: str, **changed: object) -> str:
    return sign(KEYS[alg], claims(**changed), alg=alg, kid=alg)


@pytest.fixture(scope="module")
def clock() -> LeapingClock:
    return LeapingClock()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def issuer() -> AsyncIterator[Issuer]:
    async with issuing() as issuer:
        yield issuer


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def trusting(issuer: Issuer, clock: LeapingClock) -> AsyncIterator[Running]:
    """A program that believes the issuer."""
    issuer.show(*(public_entry(key, alg) for alg, key in KEYS.items()))
    async with running(
        clock=clock, auth_jwks_url=issuer.url, auth_issuer=GOOD["iss"], auth_audience=GOOD["aud"]
    ) as service:
        assert (await service.http.get("/readyz")).status_code == 200
        yield service


@pytest.fixture(autouse=True)
def published(issuer: Issuer, trusting: Running) -> None:
    """Each test begins with the issuer as it was."""
    issuer.show(*(public_entry(key, alg) for alg, key in KEYS.items()))
    issuer.status, issuer.headers = 200, {}


async def status(service: Running, text: str) -> int:
    answer = await service.http.get("/jobs", headers={"Authorization": f"Bearer {text}"})
    if answer.status_code != 200:
        assert answer.content == (await service.http.get("/jobs")).content
    return answer.status_code


@pytest.mark.parametrize("alg", sorted(KEYS))
async def test_each_kind_of_key_is_believed(trusting: Running, alg: str) -> None:
    """A token of each accepted algorithm names its user."""
    assert await status(trusting, token(alg)) == 200


async def test_what_the_keys_did_not_sign_is_refused(trusting: Running, issuer: Issuer) -> None:
    """Confused algorithms, foreign keys, keys brought along and foreign claims: one and the same 401."""
    pem = RSA.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    foreign = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    brought = {"alg": "RS256", "jwk": public_entry(foreign, None), "jku": "http://127.0.0.1:9/keys"}
    bad = {
        "signed with the public key": by_secret(pem, alg="HS256", kid="RS256"),
        "signed with nothing": by_secret(b"", alg="HS256"),
        "unsigned": by_secret(b"", alg="none", kid="RS256"),
        "another key's name": sign(KEYS["EdDSA"], claims(), alg="RS256", kid="RS256"),
        "another algorithm": sign(RSA, claims(), alg="RS512", kid="RS256"),
        "another key": sign(foreign, claims(), alg="RS256", kid="RS256"),
        "a key brought along": sign(foreign, claims(), kid="RS256", **brought),
        "no such key": sign(foreign, claims(), alg="RS256", kid="../../dev/null"),
        "key id a list": sign(RSA, claims(), alg="RS256", kid=["RS256"]),
        "algorithm a list": sign(RSA, claims(), alg=["RS256"], kid="RS256"),
        "another issuer": token("RS256", iss="https://evil.example"),
        "another audience": token("RS256", aud="billing"),
        "no audience": token("RS256", aud=None),
        "over": token("RS256", exp=int(time.time()) - 3600),
        "not yet": token("RS256", nbf=int(time.time()) + 3600),
    }
    asked = issuer.asked
    for name, text in bad.items():
        assert (name, await status(trusting, text)) == (name, 401)
    assert issuer.asked <= asked + 1


async def test_a_new_key_is_found_and_a_withdrawn_one_forgotten(
    trusting: Running, issuer: Issuer, clock: LeapingClock
) -> None:
    """After a rotation tokens of the new key work at once, those of the old one no more, also known ones."""
    old = token("RS256")
    assert await status(trusting, old) == 200
    new = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    issuer.show(public_entry(new, "new"))
    clock.leap(MIN_SECONDS)
    assert await status(trusting, sign(new, claims(), alg="RS256", kid="new")) == 200
    assert await status(trusting, old) == 401
    issuer.show(*(public_entry(key, alg) for alg, key in KEYS.items()))
    clock.leap(MIN_SECONDS)
    assert await status(trusting, old) == 200


async def test_old_keys_are_read_anew(trusting: Running, issuer: Issuer, clock: LeapingClock) -> None:
    """A key that the issuer withdrew is refused once the keys are old, though no token names a new one."""
    known = token("RS256")
    assert await status(trusting, known) == 200
    issuer.show(public_entry(KEYS["ES256"], "ES256"))
    clock.leap(EVERY)
    asked = issuer.asked
    async with asyncio.timeout(10):
        while await status(trusting, known) == 200:
            pass
    assert issuer.asked == asked + 1
    assert await status(trusting, token("ES256")) == 200
    clock.leap(EVERY)


async def test_unknown_keys_make_no_storm(trusting: Running, issuer: Issuer, clock: LeapingClock) -> None:
    """A flood of tokens with invented key names asks the issuer once in half a minute."""
    clock.leap(MIN_SECONDS)
    asked = issuer.asked
    for number in range(30):
        assert await status(trusting, sign(RSA, claims(), alg="RS256", kid=f"x{number}")) == 401
    assert issuer.asked == asked + 1


@pytest.mark.parametrize("trouble", ["down", "redirect", "no JSON", "no keys", "huge"])
async def test_an_issuer_in_trouble_changes_nothing(
    trusting: Running, issuer: Issuer, clock: LeapingClock, trouble: str
) -> None:
    """While the key set cannot be read the keys that were read go on working."""
    if trouble == "down":
        issuer.status = 503
    elif trouble == "redirect":
        issuer.status, issuer.headers = 302, {"Location": "/elsewhere"}
    issuer.body = {"no JSON": b"<html>", "no keys": b'{"keys": 7}', "huge": b" " * 300_000}.get(
        trouble, b"{}"
    )
    clock.leap(MIN_SECONDS)
    asked = issuer.asked
    assert await status(trusting, sign(RSA, claims(), alg="RS256", kid="unknown")) == 401
    assert issuer.asked == asked + 1
    assert await status(trusting, token("ES256")) == 200


async def test_without_any_keys_nobody_is_told_from_anybody(issuer: Issuer) -> None:
    """A program that never read the keys says that it cannot tell, and is not ready."""
    issuer.status = 500
    async with running(auth_jwks_url=issuer.url) as service:
        answer = await service.http.get("/jobs", headers={"Authorization": f"Bearer {token('RS256')}"})
        assert read_problem(answer) == (503, "keys_unavailable")
        assert (await service.http.get("/readyz")).status_code == 503


@pytest.mark.parametrize("spoilt", ["weak", "private", "for encryption", "another curve", "symmetric"])
async def test_unfit_keys_are_passed_over(issuer: Issuer, spoilt: str) -> None:
    """A key that is too short, private, for another use, on another curve or shared verifies nothing."""
    weak = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    p384 = ec.generate_private_key(ec.SECP384R1())
    entry, text = {
        "weak": (public_entry(weak, "k"), sign(weak, claims(), alg="RS256", kid="k")),
        "private": ({**public_entry(RSA, "k"), "d": "AQAB"}, sign(RSA, claims(), alg="RS256", kid="k")),
        "for encryption": (
            {**public_entry(RSA, "k"), "use": "enc"},
            sign(RSA, claims(), alg="RS256", kid="k"),
        ),
        "another curve": (public_entry(p384, "k"), sign(p384, claims(), alg="ES256", kid="k")),
        "symmetric": (
            {"kty": "oct", "k": coded(b"k" * 32), "kid": "k"},
            by_secret(b"k" * 32, alg="HS256", kid="k"),
        ),
    }[spoilt]
    issuer.show(entry)
    async with running(auth_jwks_url=issuer.url) as service:
        assert await status(service, text) == 401


def by_secret(secret: bytes, **head: str) -> str:
    message = f"{coded(json.dumps(head).encode())}.{coded(json.dumps(claims()).encode())}"
    return f"{message}.{coded(hmac.digest(secret, message.encode(), hashlib.sha256)) if secret else ''}"
