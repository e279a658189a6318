"""Which store the settings name, built: a bucket, a folder, or memory."""

from __future__ import annotations

from pathlib import Path

import structlog

from media_pipeline.clock import Clock
from media_pipeline.devsecret import derive_secret, kept_secret, token_secret
from media_pipeline.settings import Settings
from media_pipeline.storage.addresses import Addresses, PublicAddresses, StableAddresses
from media_pipeline.storage.gcs import GCSStore
from media_pipeline.storage.gcs_api import GOOGLE
from media_pipeline.storage.local import LocalStore
from media_pipeline.storage.memory import MemoryStore
from media_pipeline.storage.s3 import S3Store
from media_pipeline.storage.sigv4 import AwsKey

BucketStore = GCSStore | S3Store
ServedHere = MemoryStore | LocalStore

_log = structlog.get_logger(__name__)


def build_addresses(settings: Settings) -> StableAddresses | PublicAddresses:
    """Return what makes the addresses of objects in a bucket."""
    if settings.media_urls == "public":
        return PublicAddresses(settings.media_public_base_url)
    secret = settings.media_url_secret
    text = token_secret(settings) if secret is None else secret.get_secret_value()
    return StableAddresses(settings.base_url, derive_secret(text, "media addresses"))


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
    if settings.storage_dir is not None:
        return _local_store(settings, settings.storage_dir, clock)
    return _memory_store(settings, clock)


def _aws_key(settings: Settings) -> AwsKey:
    secret, token = settings.aws_secret_access_key, settings.aws_session_token
    return AwsKey(
        settings.aws_access_key_id or "",
        "" if secret is None else secret.get_secret_value(),
        None if token is None else token.get_secret_value(),
    )


def _local_store(settings: Settings, folder: Path, clock: Clock) -> LocalStore:
    folder.mkdir(parents=True, exist_ok=True)
    return LocalStore(
        folder / "objects",
        settings.base_url,
        clock=clock,
        secret=kept_secret(folder / "upload-secret").encode(),  # who shares one, shares both
        max_upload_bytes=settings.media_max_upload_bytes,
        shared=settings.database_server is not None,
    )


def _memory_store(settings: Settings, clock: Clock) -> MemoryStore:
    return MemoryStore(
        settings.base_url,
        clock=clock,
        secret=derive_secret(token_secret(settings), "upload tickets"),
        max_upload_bytes=settings.media_max_upload_bytes,
        max_bytes=settings.media_memory_store_bytes,
    )
