"""V4 signing agrees with Google's own client and with Google's published vectors."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from urllib.parse import quote

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from google.cloud.storage import Client
from google.cloud.storage._signing import generate_signed_url_v4
from google.oauth2 import service_account
from hypothesis import given, settings
from hypothesis import strategies as st

from media_pipeline.storage.signing import UrlRequest, UrlStyle, prepare

KEY = rsa.generate_private_key(public_exponent=65537, key_size=1024)  # small: thousands of signatures
EMAIL = "media@fake-project.iam.gserviceaccount.com"
AT = datetime(2019, 2, 1, 9, 0, tzinfo=UTC)
VECTOR_EMAIL = "test-iam-credentials@dummy-project-id.iam.gserviceaccount.com"

sign = partial(KEY.sign, padding=padding.PKCS1v15(), algorithm=hashes.SHA256())
CREDENTIALS = service_account.Credentials.from_service_account_info(
    {
        "client_email": EMAIL,
        "token_uri": "https://oauth2.example.com/token",
        "private_key": KEY.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode(),
    }
)
BUCKET = Client("p", CREDENTIALS).bucket("media-bucket.example")

TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=40)
VALUES = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=40)
NAMES = st.text("abcxyzABCXYZ0123456789-", min_size=1, max_size=20)
HEADERS = st.dictionaries(NAMES.map(lambda name: f"x-goog-meta-{name}"), VALUES, max_size=4)
STYLES = st.sampled_from(list(UrlStyle))


def _googles_client_sorts_it_right(query: dict[str, str]) -> bool:
    """Google's rules sort parameters by name; its client sorts `name=value`.

    The two differ where one name begins another and goes on with a character before `=`.
    """
    names = [quote(name, safe="~") for name in query]
    others = [*names, "X-Goog-"]
    return not any(one != two and two.startswith(one) for one in names for two in others) and not any(
        name.startswith("X-Goog-") for name in names
    )


@pytest.mark.parametrize(
    "examples", [300, pytest.param(5000, marks=pytest.mark.long)], ids=lambda number: f"{number}-cases"
)
def test_urls_are_those_of_googles_client(examples: int) -> None:
    """What Google's client can sign, in any style, is signed byte for byte as it does."""

    @settings(max_examples=examples, deadline=None, database=None)
    @given(
        name=TEXT,
        method=st.sampled_from(["GET", "PUT", "HEAD", "DELETE", "POST"]),
        headers=HEADERS,
        content_type=st.none() | VALUES,
        query=st.dictionaries(TEXT, TEXT, max_size=3).filter(_googles_client_sorts_it_right),
        seconds=st.integers(1, 604_800),
        at=st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1)),  # noqa: DTZ001 - hypothesis wants it so
        style=STYLES,
        scheme=st.sampled_from(["https", "http"]),
        host=st.sampled_from(["storage.googleapis.com", "127.0.0.1:4443", "cdn.example.com"]),
    )
    def agree(
        name: str,
        method: str,
        headers: dict[str, str],
        content_type: str | None,
        query: dict[str, str],
        seconds: int,
        at: datetime,
        style: UrlStyle,
        scheme: str,
        host: str,
    ) -> None:
        at = at.replace(tzinfo=UTC)
        sent = headers if content_type is None else {**headers, "Content-Type": content_type}
        request = UrlRequest(
            bucket=BUCKET.name,
            name=name,
            method=method,
            at=at,
            expires_in=timedelta(seconds=seconds),
            headers=sent,
            query=query,
            style=style,
            scheme=scheme,
            host=host,
        )
        unsigned = prepare(request, email=EMAIL)
        assert unsigned.url(sign(unsigned.to_sign)) == _googles(request, headers, content_type)

    agree()


def _googles(request: UrlRequest, headers: dict[str, str], content_type: str | None) -> str:
    """Ask the part of Google's client that takes the instant; style and path as its `Blob` makes them."""
    blob = BUCKET.blob(request.name)
    quoted = blob.path_helper(f"/b/{BUCKET.name}", request.name).partition("/o/")[2]
    quoted = quoted.replace("%2F", "/").replace("%7E", "~")
    host = f"{request.bucket}.{request.host}" if request.style is UrlStyle.VIRTUAL_HOSTED else request.host
    in_path = request.style is UrlStyle.PATH
    url = generate_signed_url_v4(
        CREDENTIALS,
        resource=f"/{request.bucket}/{quoted}" if in_path else f"/{quoted}",
        expiration=request.expires_in,
        api_access_endpoint=f"{request.scheme}://{host}",
        method=request.method,
        headers=dict(headers),
        content_type=content_type,
        query_parameters=dict(request.query),
        _request_timestamp=f"{request.at:%Y%m%dT%H%M%SZ}",
    )
    assert isinstance(url, str)
    return url


@pytest.mark.parametrize(
    "style", [{}, {"virtual_hosted_style": True}, {"bucket_bound_hostname": "m.example"}]
)
def test_a_url_is_that_of_googles_blob(style: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """The public method of Google's client, all the way, gives the same URL in each style."""
    stamps = (f"{AT:%Y%m%dT%H%M%SZ}", f"{AT:%Y%m%d}")
    monkeypatch.setattr("google.cloud.storage._signing.get_v4_now_dtstamps", lambda: stamps)
    kinds = {0: UrlStyle.PATH, 1: UrlStyle.VIRTUAL_HOSTED, 2: UrlStyle.BUCKET_BOUND}
    bound = "bucket_bound_hostname" in style
    expected = BUCKET.blob("a/ü b~.png").generate_signed_url(
        version="v4",
        method="PUT",
        expiration=timedelta(minutes=15),
        content_type="image/png",
        scheme="https",
        headers={"x-goog-if-generation-match": "0"},
        **style,
    )
    unsigned = prepare(
        UrlRequest(
            bucket=BUCKET.name,
            name="a/ü b~.png",
            method="PUT",
            at=AT,
            expires_in=timedelta(minutes=15),
            headers={"x-goog-if-generation-match": "0", "content-type": "image/png"},
            style=kinds[2 * bound or len(style)],
            host="m.example" if bound else "storage.googleapis.com",
        ),
        email=EMAIL,
    )
    assert unsigned.url(sign(unsigned.to_sign)) == expected


SLASHES = "path/with/slashes/under_score/amper&sand/file.ext"
SHA = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b982"
# Inputs, and the SHA-256 of the canonical request that Google expects, of the tests that Google
# publishes for its clients: github.com/googleapis/conformance-tests, storage/v1/v4_signatures.json.
# Those whose host is not the one signed for are left out: that is a matter of a client's options.
VECTORS: list[tuple[str, dict[str, Any], str]] = [
    ("simple GET", {}, "00e2fb794ea93d7adb703edaebdd509821fcc7d4f1a79ac5c8d2b394df109320"),
    ("simple PUT", {"method": "PUT"}, "78742860705da91404222d5d66ff89850292471199c3c2808d116ad12e6177b4"),
    (
        "POST for resumable uploads",
        {"method": "POST", "headers": {"X-Goog-Resumable": "start"}},
        "877f8b40179d2753296f2fd6de815ab40503c7a3c446a7b44aa4e74422ff4daf",
    ),
    (
        "other life and instant",
        {"expires_in": timedelta(seconds=20), "at": datetime(2019, 3, 1, 9, 0, tzinfo=UTC)},
        "779f19fdb6fd381390e2d5af04947cf21750277ee3c20e0c97b7e46a1dff8907",
    ),
    (
        "other bucket and object",
        {"bucket": "test-bucket2", "name": "test-object2"},
        "a139afbf35ac30e9864f63197f79609731ab1b0ca166e2a456dba156fcd3f9ce",
    ),
    (
        "slashes in names",
        {"name": SLASHES, "headers": {"header/name/with/slash": "should-be-encoded"}},
        "f1d206dd8cbe1b892d4081ccddae0927d9f5fee5653fb2a2f43e7c20ed455cad",
    ),
    (
        "a leading slash",
        {"name": "/" + SLASHES},
        "63c601ecd6ccfec84f1113fc906609cbdf7651395f4300cecd96ddd2c35164f8",
    ),
    (
        "simple headers",
        {"headers": {"BAR": "BAR-value", "foo": "foo-value"}},
        "59c1ac1a6ee7d773d5c4487ecc861d60b71c4871dd18fc7d8485fac09df1d296",
    ),
    (
        "headers with colons",
        {"headers": {"BAR": "2023-02-10T03:", "foo": "2023-02-10T02:00:00Z"}},
        "a2a6df7e6bd818894e1f60ac3c393901b512ca1cf1061ba602dace3fb38c19a6",
    ),
    (
        "headers with spaces",
        {
            "headers": {
                "collapsed": "abc    def",
                "leading": "    xyz",
                "trailing": "abc    ",
                "tabs": "\tabc\t\t\t\tdef\t",
            }
        },
        "19153e83555808dbfeb8969043cc8ce8d5db0cce91dc11fb9df58b8130f09d42",
    ),
    (
        "several values in one line",
        {"headers": {"multiple": " xyz ,  abc, def  , xyz   "}},
        "4df8e486146c31f1c8cd4e4c730554cde4326791ba48ec11fa969a3de064cd7f",
    ),
    (
        "a customer's own key",
        {
            "headers": {
                "X-Goog-Encryption-Algorithm": "AES256",
                "X-Goog-Encryption-Key": "key",
                "X-Goog-Encryption-Key-Sha256": "key-hash",
            }
        },
        "66a45104eba8bdd9748723b45cbd54c3f0f6dba337a5deb9fb6a66334223dc06",
    ),
    ("list", {"name": ""}, "51a7426c2a6c6ab80f336855fc629461ff182fb1d2cb552ac68e5ce8e25db487"),
    (
        "encoded parameters",
        {"query": {"aA0é/=%-_.~": "~ ._-%=/é0Aa"}},
        "448f96c23dafa8210900554e138b2b5fd55bc53ef53b8637cecc3edec45a8fcf",
    ),
    (
        "ordered parameters",
        {"query": {"prefix": "/foo", "X-Goog-Meta-Foo": "bar"}},
        "4dafe74ad142f32b7c25fc4e6b38fd3b8a6339d7f112247573fb0066f637db6c",
    ),
    (
        "ordered headers",
        {"headers": {"X-Goog-Date": "20190201T090000Z"}},
        "4052143280d90d5f4a8c878ff7418be6fee5d34e50b1da28d8081a094b88fa61",
    ),
    (
        "a signed payload",
        {
            "method": "PUT",
            "headers": {"X-Goog-Content-SHA256": SHA, "X-TestCaseMetadata-Payload-Value": "hello"},
        },
        "be21a0841a897930ff5cf72e6e74ec5274efd76c3fe4cde6678f24a0a3d6dbec",
    ),
    (
        "virtual-hosted",
        {"style": UrlStyle.VIRTUAL_HOSTED},
        "89eeae48258eccdcb1f592fb908008e3f5d36a949c002c1e614c94356dc18fc6",
    ),
    (
        "bucket-bound",
        {"style": UrlStyle.BUCKET_BOUND, "host": "mydomain.tld", "scheme": "http"},
        "d6c309924b51a5abbe4d6356f7bf29c2120c6b14649b1e97b3bc9309adca7d4b",
    ),
]


@pytest.mark.parametrize(("given", "digest"), [row[1:] for row in VECTORS], ids=[row[0] for row in VECTORS])
def test_googles_vectors_are_met(given: dict[str, Any], digest: str) -> None:
    """What is to be signed is byte for byte what Google publishes for its own clients."""
    usual: dict[str, Any] = {"bucket": "test-bucket", "name": "test-object", "method": "GET", "at": AT}
    request = UrlRequest(**({"expires_in": timedelta(seconds=10)} | usual | given))
    to_sign = prepare(request, email=VECTOR_EMAIL).to_sign.decode().split("\n")
    day = f"{request.at:%Y%m%d}"
    assert to_sign == ["GOOG4-RSA-SHA256", f"{day}T090000Z", f"{day}/auto/storage/goog4_request", digest]


def test_parameters_are_sorted_by_name_alone() -> None:
    """A name comes before the longer name that it begins, as Google's rules say and its client does not."""
    request = UrlRequest(
        bucket="b",
        name="n",
        method="GET",
        at=AT,
        expires_in=timedelta(seconds=1),
        query={"a-b": "1", "a": "2"},
    )
    assert "&a=2&a-b=1\n" in prepare(request, email=EMAIL).canonical_request


def test_values_of_one_header_are_joined_in_their_order() -> None:
    """A header given more than once is signed as one, its values joined by commas, as Google's rules say."""
    pairs = [("X-Goog-Meta-A", " 1  2 "), ("x-goog-meta-a", "3")]
    request = UrlRequest(
        bucket="b", name="n", method="GET", at=AT, expires_in=timedelta(seconds=1), headers=pairs
    )
    assert "\nx-goog-meta-a:1 2,3\n" in prepare(request, email=EMAIL).canonical_request


@pytest.mark.parametrize("life", [timedelta(0), timedelta(days=7, seconds=1)])
def test_a_life_that_google_refuses_is_not_signed(life: timedelta) -> None:
    """A URL lives from one second to seven days."""
    with pytest.raises(ValueError, match="7 days"):
        prepare(UrlRequest(bucket="b", name="n", method="GET", at=AT, expires_in=life), email=EMAIL)


def test_json_is_not_needed_to_sign() -> None:
    """Signing takes plain values and gives a plain URL that any JSON can carry."""
    request = UrlRequest(bucket="b", name="é", method="GET", at=AT, expires_in=timedelta(seconds=1))
    url = prepare(request, email=EMAIL).url(b"\x00\xff")
    assert json.loads(json.dumps(url)) == url
    assert url.endswith("&X-Goog-Signature=00ff")
    assert url.isascii()
