"""Signing for S3 agrees with Amazon's own library."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from unittest import mock
from urllib.parse import parse_qsl, quote, urlsplit

import pytest
from botocore.auth import S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given, settings
from hypothesis import strategies as st

from media_pipeline.storage.sigv4 import AwsKey, S3Request, presign

TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=30)
VALUES = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=30)
TOKENS = st.none() | st.text("abc+/=", min_size=1, max_size=20)


@settings(max_examples=300, deadline=None, database=None)
@given(
    name=TEXT,
    method=st.sampled_from(["GET", "PUT", "DELETE"]),
    content_type=st.none() | VALUES,
    query=st.none() | TEXT,
    seconds=st.integers(1, 604_800),
    at=st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1)),  # noqa: DTZ001 - hypothesis wants it so
    token=TOKENS,
)
def test_signatures_are_those_of_amazons_library(
    name: str,
    method: str,
    content_type: str | None,
    query: str | None,
    seconds: int,
    at: datetime,
    token: str | None,
) -> None:
    """Any name, header, parameter, life, instant and key gives Amazon's signature and parameters."""
    headers = {} if content_type is None else {"Content-Type": content_type, "Content-Length": "7"}
    request = S3Request(
        method=method,
        path=f"/bucket/{name}",
        at=at.replace(tzinfo=UTC),
        expires_in=timedelta(seconds=seconds),
        region="eu-central-1",
        host="s3.example.com",
        headers=headers,
        query={} if query is None else {"response-content-disposition": query},
    )
    ours = urlsplit(presign(request, AwsKey("AKID", "secret", token)))
    theirs = urlsplit(_amazons(request, token))
    assert ours.path == theirs.path
    assert sorted(parse_qsl(ours.query)) == sorted(parse_qsl(theirs.query))


def _amazons(request: S3Request, token: str | None) -> str:
    query = "&".join(f"{name}={quote(value, safe='~')}" for name, value in request.query.items())
    url = f"https://{request.host}{quote(request.path, safe='/~')}{'?' if query else ''}{query}"
    asked = AWSRequest(request.method, url, headers=dict(request.headers))
    asked.context["timestamp"] = f"{request.at:%Y%m%dT%H%M%SZ}"
    life = int(request.expires_in.total_seconds())
    signer = S3SigV4QueryAuth(Credentials("AKID", "secret", token), "s3", request.region, expires=life)
    with mock.patch("botocore.auth.get_current_datetime", return_value=request.at.replace(tzinfo=None)):
        signer.add_auth(asked)
    return str(asked.url)


@pytest.mark.parametrize("life", [timedelta(0), timedelta(days=7, seconds=1)])
def test_a_life_that_amazon_refuses_is_not_signed(life: timedelta) -> None:
    """A URL lives from one second to seven days."""
    request = S3Request(
        method="GET", path="/b/n", at=datetime(2026, 1, 1, tzinfo=UTC), expires_in=life, region="r", host="h"
    )
    with pytest.raises(ValueError, match="7 days"):
        presign(request, AwsKey("a", "b"))


def test_a_key_keeps_its_secret() -> None:
    """A key that is printed or logged shows its id alone."""
    assert repr(AwsKey("AKID", "secret", "token")) == "AwsKey(id='AKID')"
