"""Which store the settings name, built: a bucket, a folder, or memory."""

from __future__ import annotations

import structlog

from media_pipeline.clock import Clock
from media_pipeline.devsecret import derive_secret, token_secret
from media_pipeline.settings import Settings
from media_pipeline.storage.addresses import Addresses
from media_pipeline.storage.gcs import GCSStore
from media_pipeline.storage.gcs_api import GOOGLE
from media_pipeline.storage.local import LocalStore
from media_pipeline.storage.memory import MemoryStore
from media_pipeline.storage.s3 import S3Store
from media_pipeline.storage.sigv4 import AwsKey

BucketStore = GCSStore | S3Store
ServedHere = MemoryStore | LocalStore

_log = structlog.get_logger(__name__)


def build_store(settings: Settings, addresses: Addresses, *, clock: Clock) -> BucketStore | ServedHere:
    """Return the store; `addresses` makes the URLs of one in a bucket. `StoreError` where it cannot open."""
    if settings.gcs_bucket is not None:
        key = settings.gcs_service_account_json
        return GCSStore(
            settings.gcs_bucket,
            None if key is None else key.get_secret_value(),
            _log,
            url=settings.storage_emulator_host or GOOGLE,
            addresses=addresses,
            session_over=settings.media_session_bytes,
            clock=clock,
        )
    if settings.s3_bucket is not None:
        return S3Store(
            settings.s3_bucket,
            _aws_key(settings),
            _log,
            region=settings.aws_region or settings.aws_default_region,
            url=settings.aws_endpoint_url or None,
            addresses=addresses,
            clock=clock,
        )
    return _build_served(settings, clock=clock)


def _build_served(settings: Settings, *, clock: Clock) -> ServedHere:
    secret = derive_secret(token_secret(settings), "upload tickets")
    if settings.storage_dir is not None:
        return LocalStore(
            settings.storage_dir / "objects",
            settings.base_url,
            clock=clock,
            secret=secret,
            max_upload_bytes=settings.media_max_upload_bytes,
        )
    return MemoryStore(
        settings.base_url,
        clock=clock,
        secret=secret,
        max_upload_bytes=settings.media_max_upload_bytes,
        max_bytes=settings.media_memory_store_bytes,
    )


def _aws_key(settings: Settings) -> AwsKey:
    secret, token = settings.aws_secret_access_key, settings.aws_session_token
    return AwsKey(
        settings.aws_access_key_id or "",
        "" if secret is None else secret.get_secret_value(),
        None if token is None else token.get_secret_value(),
    )
