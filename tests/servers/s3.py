"""An S3 for tests: moto's server in a process of its own, stricter by two of Amazon's rules.

It checks no signatures. `python -m tests.servers.s3` prints its address. What moto leaves out: a
`Content-MD5` is held against the bytes, and under a key of KMS an entity tag is no MD5. A part that is
sent to a path with `spoiled` in it arrives with its first byte changed.
"""

from __future__ import annotations

import atexit
import base64
import functools
import hashlib
import io
import itertools
import subprocess
import sys
import urllib.request
from collections.abc import Iterable
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).parents[2]
_NAMES = itertools.count(1)
_REFUSAL = b"<Error><Code>BadDigest</Code><Message>The bytes are others.</Message></Error>"
_UNDER_KMS = (
    b"<ServerSideEncryptionConfiguration><Rule><ApplyServerSideEncryptionByDefault>"
    b"<SSEAlgorithm>aws:kms</SSEAlgorithm><KMSMasterKeyID>key</KMSMasterKeyID>"
    b"</ApplyServerSideEncryptionByDefault></Rule></ServerSideEncryptionConfiguration>"
)


@functools.cache
def shared_s3() -> str:
    """Return the address of the server of the whole session; tests keep apart by buckets."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.servers.s3"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=_ROOT,
        text=True,
    )
    atexit.register(_stop, process)
    assert process.stdout is not None
    url = process.stdout.readline().strip()
    assert url.startswith("http://"), "moto did not start"
    return url


def new_bucket(url: str, *, under_kms: bool = False) -> str:
    """Make an empty bucket with a name that nobody had; its objects may all be under a key of KMS."""
    name = f"bucket-{next(_NAMES)}"
    _put(f"{url}/{name}", b"")
    if under_kms:
        _put(f"{url}/{name}?encryption", _UNDER_KMS)
    return name


def _put(address: str, body: bytes) -> None:
    kind = {"Content-Type": "application/xml"}  # else it is taken for a form
    with urllib.request.urlopen(urllib.request.Request(address, body, kind, method="PUT"), timeout=60):
        pass


def _stop(process: subprocess.Popen[str]) -> None:
    process.terminate()
    process.wait()


def _serve() -> None:
    from moto.moto_server.werkzeug_app import (  # noqa: PLC0415 - takes seconds, in the child alone
        DomainDispatcherApplication,
        create_backend_app,
    )
    from moto.s3.models import FakeKey  # noqa: PLC0415
    from werkzeug.serving import make_server  # noqa: PLC0415

    plain = vars(FakeKey)["etag"].fget
    under_kms = property(lambda key: _tag(plain(key), key.encryption))
    type.__setattr__(FakeKey, "etag", under_kms)
    moto = DomainDispatcherApplication(create_backend_app)

    def app(environ: dict[str, Any], start: Any) -> Iterable[bytes]:
        if environ["REQUEST_METHOD"] == "PUT" and "partNumber" in environ["QUERY_STRING"]:
            body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
            if "spoiled" in environ["PATH_INFO"]:
                body = bytes([body[0] ^ 1]) + body[1:]
            if environ.get("HTTP_CONTENT_MD5") not in {None, _md5(body)}:
                start("400 Bad Request", [("Content-Type", "application/xml")])
                return [_REFUSAL]
            environ["wsgi.input"] = io.BytesIO(body)
        answer: Iterable[bytes] = moto(environ, start)
        return answer

    server = make_server("127.0.0.1", 0, app, threaded=True)
    print(f"http://127.0.0.1:{server.port}", flush=True)  # noqa: T201 - for who started it
    server.serve_forever()


def _tag(tag: str, encryption: str | None) -> str:
    return f'"{hashlib.md5(tag.encode()).hexdigest()}"' if encryption == "aws:kms" else tag


def _md5(body: bytes) -> str:
    return base64.b64encode(hashlib.md5(body).digest()).decode()


if __name__ == "__main__":
    _serve()
