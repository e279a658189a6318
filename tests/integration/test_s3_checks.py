"""`doctor` over an S3-compatible bucket, as moto's server plays one."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx2
import pytest

from media_pipeline.bucket_checks import S3_GUIDE, BucketChecks
from media_pipeline.clock import SystemClock
from media_pipeline.storage.patience import Patience
from media_pipeline.storage.s3 import S3Store
from media_pipeline.storage.sigv4 import AwsKey
from tests.acceptance.process import run
from tests.integration.test_bucket_checks import Change, Changing, LateClock, problems, untouched
from tests.servers.s3 import new_bucket, shared_s3

ORIGIN = "https://studio.example.com"


async def examine(
    *, bucket: str = "", url: str = "", change: Change = untouched, clock: SystemClock | None = None
) -> dict[str, str]:
    """Return what `doctor` finds wrong with a bucket, by subject."""
    server = shared_s3()
    patience = Patience(tries=2, pause=0.001)
    name = bucket or new_bucket(server)
    store = S3Store(name, AwsKey("testing", "testing"), url=url or server, patience=patience)
    async with httpx2.AsyncClient(transport=Changing(change)) as http:
        checks = BucketChecks(store, http, origins=(ORIGIN,), clock=clock or SystemClock(), guide=S3_GUIDE)
        found = {finding.subject: finding async for finding in checks.run()}
    await store.aclose()
    return problems(found)


def refuse_put(request: httpx2.Request, answer: httpx2.Response) -> None:
    if request.method == "PUT":
        answer.status_code = 403


def overwrite(request: httpx2.Request, answer: httpx2.Response) -> None:
    if answer.status_code == 412:
        answer.status_code = 200


def forget_page(request: httpx2.Request, answer: httpx2.Response) -> None:
    answer.headers.pop("access-control-allow-origin", None)


async def test_a_bucket_on_moto_is_well() -> None:
    """Every check passes, but for what S3 has no word for."""
    assert await examine() == {}


@pytest.mark.parametrize(
    ("change", "subject", "told"),
    [
        (refuse_put, "bucket signing", "refused a signed PUT: 403"),
        (overwrite, "bucket signing", "overwrote"),
        (forget_page, f"bucket CORS for {ORIGIN}", f"Name {ORIGIN} in the bucket's CORS rules."),
    ],
)
async def test_what_is_wrong_is_told(change: Change, subject: str, told: str) -> None:
    """A refused signature, a PUT that overwrites, a page that is not let in: each in its finding, alone."""
    found = await examine(change=change)
    assert list(found) == [subject]
    assert told in found[subject]
    assert found[subject].endswith(S3_GUIDE) or "overwrote" in told


async def test_a_late_clock_is_told() -> None:
    """A machine two minutes behind is told so."""
    assert "NTP" in (await examine(clock=LateClock()))["bucket clock"]


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"bucket": "no-such-bucket"}, "There is no such bucket."),
        ({"url": "http://127.0.0.1:9"}, "The store failed 2 times: the connection failed."),
    ],
)
async def test_a_bucket_that_cannot_be_reached_is_the_only_finding(wrong: dict[str, str], told: str) -> None:
    """Without access nothing else is tried."""
    found = await examine(**wrong)  # type: ignore[arg-type] # text alone
    assert list(found) == ["bucket access"]
    assert told in found["bucket access"]


@pytest.mark.parametrize("there", [True, False])
async def test_the_command_says_it_and_its_exit_code_too(tmp_path: Path, *, there: bool) -> None:
    """`media-pipeline doctor` with `S3_BUCKET`: 0, or 1 and what to mend."""
    url = shared_s3()
    keys = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing", "aws_endpoint_url": url}
    bucket = new_bucket(url) if there else "no-such-bucket"
    done = await asyncio.to_thread(run, tmp_path, "doctor", s3_bucket=bucket, **keys)
    assert done.returncode == (0 if there else 1), done.stdout + done.stderr
    assert ("FAIL bucket access" in done.stdout) != there
