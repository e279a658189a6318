"""Signed results, read back by C2PA's own reader; skipped without the extra."""

from __future__ import annotations

import datetime as dt
import io
import json
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from media_pipeline.generation.credentials import CannotSign, CredentialSigner
from tests.servers.media import film, still

c2pa = pytest.importorskip("c2pa")


def named(name: str) -> x509.Name:
    parts = NameOID.ORGANIZATION_NAME, NameOID.COMMON_NAME
    return x509.Name([x509.NameAttribute(part, name) for part in parts])


def certificate(
    key: ec.EllipticCurvePrivateKey, issuer: ec.EllipticCurvePrivateKey, *, ca: bool
) -> x509.Certificate:
    now = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    public, usage = key.public_key(), (not ca, False, False, False, False, ca, ca, False, False)
    built = (
        x509.CertificateBuilder(named("Issuer"), named("Issuer" if ca else "Signer"), public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + dt.timedelta(days=36500))
        .add_extension(x509.BasicConstraints(ca, None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.public_key()), critical=False
        )
        .add_extension(x509.KeyUsage(*usage), critical=True)
    )
    if not ca:
        mail = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION])
        built = built.add_extension(mail, critical=False)
    return built.sign(issuer, hashes.SHA256())


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    """A certificate with its issuer's, and its key, as files."""
    root, own = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    chain = certificate(own, root, ca=False), certificate(root, root, ca=True)
    (tmp_path / "chain.pem").write_bytes(
        b"".join(each.public_bytes(serialization.Encoding.PEM) for each in chain)
    )
    form = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    (tmp_path / "key.pem").write_bytes(own.private_bytes(serialization.Encoding.PEM, *form))
    return tmp_path / "chain.pem", tmp_path / "key.pem"


@pytest.mark.parametrize(
    ("data", "content_type"), [(still(1, 64, 64), "image/png"), (film(1, 64, 64), "video/mp4")]
)
def test_a_signed_result_is_valid(data: bytes, content_type: str, pair: tuple[Path, Path]) -> None:
    """A reader finds the manifest valid and reads what made the result; a changed byte it finds out."""
    signer = CredentialSigner(certificate=pair[0], key=pair[1])
    signed = signer.sign(data, content_type, source_type="trainedAlgorithmicMedia")
    read = json.loads(c2pa.Reader(content_type, io.BytesIO(signed)).json())
    assert read["validation_state"] == "Valid"
    assert "trainedAlgorithmicMedia" in json.dumps(read)
    place = signed.index(b"IDAT" if content_type == "image/png" else b"mdat") + 8
    changed = signed[:place] + bytes([signed[place] ^ 1]) + signed[place + 1 :]
    read = json.loads(c2pa.Reader(content_type, io.BytesIO(changed)).json())
    assert read["validation_state"] == "Invalid"


def test_what_cannot_sign_stops_the_start(pair: tuple[Path, Path]) -> None:
    """A key that does not belong to its certificate, or a file that is none, is told at the start."""
    with pytest.raises(CannotSign, match=r"key\.pem"):
        CredentialSigner(certificate=pair[0], key=pair[0].with_name("no key.pem"))
    with pytest.raises(CannotSign):
        CredentialSigner(certificate=pair[1], key=pair[1])
