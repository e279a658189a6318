"""What settings must agree on with each other: the first disagreement, in a sentence that names them."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from media_pipeline.settings import DURABLE_STORES, SERVERS, Settings, is_loopback

ISSUERS: Final = "AUTH_JWT_SECRET or AUTH_JWKS_URL"


def find_disagreement(settings: Settings) -> str | None:
    """Return what is wrong, None when the settings can be followed together."""
    checks = (
        _one_store,
        _one_issuer,
        _built_engines,
        _bucket_fits,
        _safe_host,
        _database_fits,
        _addresses_fit,
        _can_sign,
    )
    return next(filter(None, (check(settings) for check in checks)), None)


def _one_store(settings: Settings) -> str | None:
    named = [name for name in DURABLE_STORES if getattr(settings, name) is not None]
    return None if len(named) < 2 else f"{' and '.join(map(str.upper, named))} name more than one store"  # noqa: PLR2004


def _bucket_fits(settings: Settings) -> str | None:
    if settings.s3_bucket is not None and not (settings.aws_access_key_id and settings.aws_secret_access_key):
        return "S3_BUCKET needs AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
    return None


def _one_issuer(settings: Settings) -> str | None:
    if settings.auth_jwks_url is None:
        return None
    if settings.auth_jwt_secret is not None:
        return "AUTH_JWT_SECRET and AUTH_JWKS_URL name more than one issuer of tokens"
    address = urlsplit(settings.auth_jwks_url)
    if address.scheme != "https" and not is_loopback(address.hostname or ""):
        return "AUTH_JWKS_URL must begin with https://, for whoever answers decides who is who"
    return None


def _built_engines(settings: Settings) -> str | None:
    if settings.database_url and not settings.database_url.startswith(("sqlite://", *SERVERS)):
        return f"DATABASE_URL must begin with sqlite://, {' or '.join(SERVERS)}"
    return None


def _safe_host(settings: Settings) -> str | None:
    if not settings.development:
        return None
    if not is_loopback(settings.host):
        return f"HOST={settings.host} is reachable from outside and needs {ISSUERS}"
    if not is_loopback(urlsplit(settings.base_url).hostname or ""):
        return f"PUBLIC_URL={settings.public_url} is reachable from outside and needs {ISSUERS}"
    return None


def _can_sign(settings: Settings) -> str | None:
    if (settings.media_c2pa_certificate is None) != (settings.media_c2pa_key is None):
        return "MEDIA_C2PA_CERTIFICATE and MEDIA_C2PA_KEY go together"
    return None


def _database_fits(settings: Settings) -> str | None:
    if settings.durable_store and settings.database_path is None and settings.database_server is None:
        return "DATABASE_URL is in memory while the store is durable; the library would vanish"
    return None


def _addresses_fit(settings: Settings) -> str | None:
    bucket = settings.gcs_bucket or settings.s3_bucket
    if (settings.media_urls == "public") != bool(settings.media_public_base_url):
        return "MEDIA_URLS=public and MEDIA_PUBLIC_BASE_URL go together; set both or neither"
    if settings.media_public_base_url and not bucket:
        return "MEDIA_URLS=public needs GCS_BUCKET or S3_BUCKET; other stores have addresses of their own"
    if (
        bucket
        and settings.auth_jwks_url
        and settings.media_urls == "stable"
        and settings.media_url_secret is None
    ):
        return "MEDIA_URL_SECRET is needed with AUTH_JWKS_URL, for there is no other secret to make it from"
    return None
