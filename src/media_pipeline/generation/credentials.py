"""Content credentials (C2PA) of our own, where a certificate is configured and the extra `c2pa` is installed.

Guarantee: what is signed says which program made it and by which kind of source. Not guaranteed: that a
viewer trusts the certificate; that is between its issuer and the viewer's list.
"""

from __future__ import annotations

import importlib.util
import io
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from PIL import Image

from media_pipeline.errors import MediaPipelineError

QUIET: Final = {"builder": {"thumbnail": {"enabled": False}}}
"""A thumbnail in the manifest would be larger than many a picture."""
_CURVES: Final = {"secp256r1": "es256", "secp384r1": "es384", "secp521r1": "es512"}


class CannotSign(MediaPipelineError):
    """Signing was asked for and cannot be done; the message says what is missing."""


class CredentialSigner:
    """Sign PNG and MP4 files with the key at `key`, for the chain of certificates at `certificate`."""

    def __init__(self, *, certificate: Path, key: Path) -> None:
        if importlib.util.find_spec("c2pa") is None:
            raise CannotSign("Signing needs the extra: install media-pipeline[c2pa].")
        try:
            self._chain, self._key = certificate.read_bytes(), key.read_bytes()
            self._algorithm = _algorithm(self._key)
            self.sign(_dot(), "image/png", source_type="algorithmicMedia")
        except (OSError, ValueError, TypeError) as error:
            raise CannotSign(f"{certificate} and {key} cannot sign: {error}.") from error

    def sign(self, data: bytes, content_type: str, *, source_type: str) -> bytes:
        """Return the file with a manifest; blocks. `source_type` is IPTC's. Raises `CannotSign`."""
        import c2pa  # noqa: PLC0415 - an extra

        manifest = {
            "claim_generator_info": [{"name": "media-pipeline"}],
            "format": content_type,
            "assertions": [{"label": "c2pa.actions.v2", "data": {"actions": [_created(source_type)]}}],
        }
        signed = io.BytesIO()
        try:
            info = c2pa.C2paSignerInfo(self._algorithm.encode(), self._chain, self._key, None)
            with c2pa.Signer.from_info(info) as signer, c2pa.Context.from_dict(QUIET) as context:
                c2pa.Builder(manifest, context).sign(signer, content_type, io.BytesIO(data), signed)
        except c2pa.C2paError as error:
            raise CannotSign(f"The result cannot be signed: {error}.") from error
        return signed.getvalue()


def _created(source_type: str) -> dict[str, str]:
    source = f"http://cv.iptc.org/newscodes/digitalsourcetype/{source_type}"
    return {"action": "c2pa.created", "digitalSourceType": source}


def _algorithm(pem: bytes) -> str:
    """Name the signature that a private key makes, in C2PA's words."""
    key = load_pem_private_key(pem, None)
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return "ed25519"
    if isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.name in _CURVES:
        return _CURVES[key.curve.name]
    return "ps256"


def _dot() -> bytes:
    """Return a picture of one pixel, to try a key on."""
    out = io.BytesIO()
    Image.new("RGB", (1, 1)).save(out, "PNG")
    return out.getvalue()
