"""Settings: what each is called, what it may be, and what follows from them; `environment.py` reads them."""

from __future__ import annotations

import ipaddress
import os
import re
from pathlib import Path
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from media_pipeline.redis_url import RedisUrl

DURABLE_STORES: Final = ("gcs_bucket", "s3_bucket", "storage_dir")
SERVERS: Final = ("postgresql://", "cockroachdb://")
GIB: Final = 1024**3
HOUR: Final = 3600
DAY: Final = 24 * HOUR
MIN_SECRET_BYTES: Final = 32
ASYMMETRIC: Final = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
_ORIGIN: Final = re.compile(r"https?://[A-Za-z0-9.\[\]:-]+")
_ADDRESS: Final = re.compile(r"https?://[A-Za-z0-9.\[\]:-]+(/[^?#\s]*)?")


def _is_address(url: str) -> str:
    if url and not _ADDRESS.fullmatch(url):
        raise ValueError("must look like https://media.example.com")
    return url.rstrip("/")


def _is_emulator(host: str) -> str:
    """Take what other clients take: some write a scheme, some none."""
    return _is_address(f"http://{host}" if host and "://" not in host else host)


def _are_origins(origins: tuple[str, ...]) -> tuple[str, ...]:
    for origin in origins:
        if not _ORIGIN.fullmatch(origin):
            raise ValueError(f"{origin!r} is no origin; write scheme, host and port alone")
    return origins


Network = ipaddress.IPv4Network | ipaddress.IPv6Network
ProviderAddress = Annotated[str, AfterValidator(_is_address)]
Seconds = Annotated[float, Field(allow_inf_nan=False, le=3650 * 86400)]


class Settings(BaseSettings):
    """Every setting, by the name of its environment variable in lower case."""

    model_config = SettingsConfigDict(env_prefix="", env_ignore_empty=True, frozen=True, extra="ignore")

    port: int = Field(8080, ge=0, le=65535, description="where the service listens; 0 takes a free port")
    host: str = Field("127.0.0.1", description="the address it listens on")
    public_url: Annotated[str, AfterValidator(_is_address)] = Field(
        "", description="how browsers reach the service"
    )
    cors_origins: Annotated[tuple[str, ...], NoDecode, AfterValidator(_are_origins)] = Field(
        (), description="exact origins that may call the API, comma-separated"
    )
    storage_dir: Path | None = Field(None, description="keep objects in this folder")
    gcs_bucket: str | None = Field(None, description="a Google Cloud Storage bucket")
    gcs_service_account_json: SecretStr | None = Field(
        None, description="the account's JSON or a path to it; unset: application default credentials"
    )
    storage_emulator_host: Annotated[str, AfterValidator(_is_emulator)] = Field(
        "", description="another endpoint of Google Cloud Storage: `http://host:port`, or `host:port`"
    )
    s3_bucket: str | None = Field(None, description="an S3-compatible bucket")
    aws_endpoint_url: Annotated[str, AfterValidator(_is_address)] = Field(
        "", description="where an S3-compatible service answers; unset: Amazon's"
    )
    aws_region: str = Field("", description="the bucket's region")
    aws_default_region: str = Field("us-east-1", description="the bucket's region where AWS_REGION is unset")
    aws_access_key_id: str | None = Field(None, description="the access key of the bucket")
    aws_secret_access_key: SecretStr | None = Field(None, description="its secret")
    aws_session_token: SecretStr | None = Field(None, description="its token where it is a temporary one")
    database_url: str | None = Field(
        None, description="sqlite:///path, postgresql://… or cockroachdb://…; unset: see below"
    )
    redis_url: SecretStr | None = Field(
        None, description="event bus and wake-up between processes: Redis 7+ or Valkey 8+"
    )
    auth_jwt_secret: SecretStr | None = Field(None, description="HS256 secret of the Bearer tokens")
    auth_jwks_url: str | None = Field(None, description="address of the issuer's key set (RFC 7517)")
    auth_algorithms: Annotated[tuple[str, ...], NoDecode] = Field(
        ("RS256", "ES256", "EdDSA"), description="what tokens of a key set may be signed with"
    )
    auth_issuer: str | None = Field(None, description="the `iss` that tokens must have")
    auth_audience: str | None = Field(None, description="the `aud` that tokens must have")
    auth_require_scopes: bool = Field(
        default=False, description="whether a token without a `scope` may do nothing; see below"
    )
    media_urls: Literal["stable", "public"] = Field(
        "stable", description="which addresses a bucket's objects have: see below"
    )
    media_public_base_url: Annotated[str, AfterValidator(_is_address)] = Field(
        "", description="base of every address with `MEDIA_URLS=public`: a public bucket or its CDN"
    )
    media_url_secret: SecretStr | None = Field(None, description="seals the addresses of `MEDIA_URLS=stable`")
    openai_api_key: SecretStr | None = Field(None, description="switches OpenAI's images on")
    openai_base_url: ProviderAddress = Field("https://api.openai.com/v1", description="where OpenAI answers")
    openai_video_base_url: ProviderAddress = Field(
        "", description="switches a server with OpenAI's `/videos` on: vLLM-Omni, LiteLLM, a gateway"
    )
    openai_video_api_key: SecretStr | None = Field(None, description="the key of that server, if it has one")
    gemini_api_key: SecretStr | None = Field(None, description="switches Google's Gemini API on")
    gemini_base_url: ProviderAddress = Field(
        "https://generativelanguage.googleapis.com", description="where the Gemini API answers"
    )
    vertex_project: str | None = Field(
        None, description="switches Veo on Vertex AI on, with application default credentials"
    )
    vertex_location: str = Field("us-central1", description="the region of Vertex AI")
    vertex_base_url: ProviderAddress = Field("", description="where Vertex AI answers; unset: by its region")
    replicate_api_token: SecretStr | None = Field(None, description="switches Replicate on")
    replicate_base_url: ProviderAddress = Field(
        "https://api.replicate.com", description="where Replicate answers"
    )
    replicate_webhook_secret: SecretStr | None = Field(
        None, description="signs Replicate's webhooks (`whsec_…`); unset: asked of Replicate"
    )
    fal_key: SecretStr | None = Field(None, description="switches fal on")
    fal_base_url: ProviderAddress = Field("https://queue.fal.run", description="where fal's queue answers")
    fal_rest_url: ProviderAddress = Field(
        "https://rest.alpha.fal.ai", description="where fal publishes the keys of its webhooks"
    )
    comfyui_url: ProviderAddress = Field("", description="switches a ComfyUI server on")
    comfyui_api_key: SecretStr | None = Field(None, description="sent to ComfyUI as a Bearer token")
    media_comfyui_workflows: Path | None = Field(
        None, description="a folder of ComfyUI workflows (API format); `MEDIA_MODELS_FILE` binds them"
    )
    media_diffusers_model: str | None = Field(
        None, description="switches local diffusers on: a folder or a Hugging Face id (extra `diffusers`)"
    )
    media_models_file: Path | None = Field(
        None, description="models to add to the catalogue or to change in it, TOML or JSON"
    )
    media_providers: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="which providers serve, the first to try first; unset: all that are switched on"
    )
    media_provider_jobs: int = Field(
        50, ge=1, le=10_000, description="jobs that run at once at one provider, over all workers"
    )
    media_max_result_bytes: int = Field(
        GIB // 2, gt=0, description="bytes of one result that a provider made, at most"
    )
    media_result_seconds: Seconds = Field(300, gt=0, description="how long fetching one result may take")
    media_result_origins: Annotated[tuple[str, ...], NoDecode, AfterValidator(_are_origins)] = Field(
        (), description="origins of results that may be private or plain http, comma-separated"
    )
    media_c2pa_certificate: Path | None = Field(
        None, description="certificates (PEM) that sign results with content credentials (extra `c2pa`)"
    )
    media_c2pa_key: Path | None = Field(None, description="the private key (PEM) of the first of them")
    media_max_upload_bytes: int = Field(2 * GIB, gt=0, description="bytes of one upload at most")
    media_session_bytes: int = Field(
        16 * 1024**2, gt=0, description="uploads of more bytes go to GCS by a resumable session"
    )
    media_memory_store_bytes: int = Field(GIB, gt=0, description="bytes the in-memory store holds")
    media_quota_bytes: int | None = Field(None, gt=0, description="bytes one user may keep")
    media_quota_objects: int | None = Field(None, gt=0, description="items one user may keep")
    media_body_seconds: Seconds = Field(
        20, gt=0, description="how long a request's body is waited for, again for each 16 KiB that come"
    )
    media_requests_per_minute: int | None = Field(None, ge=1, description="requests of one user in a minute")
    media_quota_jobs: int | None = Field(None, ge=1, description="jobs of one user that wait or run")
    media_quota_items_per_day: int | None = Field(
        None, ge=1, le=10**9, description="items that one user may have generated in a day (UTC)"
    )
    media_quota_usd_per_day: float | None = Field(
        None, gt=0, le=10**9, allow_inf_nan=False, description="US dollars that one user may spend in a day"
    )
    media_concurrency: int = Field(4, ge=1, le=1000, description="jobs that run at once in a worker")
    media_user_jobs: int | None = Field(
        None, ge=1, description="jobs of a kind that one user has in play at most; unset: MEDIA_CONCURRENCY"
    )
    media_lease_seconds: Seconds = Field(
        30,
        ge=1,
        description="how long a silent worker keeps its jobs",
    )
    media_grace_seconds: Seconds = Field(10, ge=0, description="how long a stop waits for running jobs")
    media_poll_seconds: Seconds = Field(1, gt=0, description="how often a worker looks without being woken")
    media_job_seconds: Seconds = Field(1800, gt=0, description="how long a run of a job may take")
    media_ping_seconds: Seconds = Field(15, gt=0, description="how often an idle event stream is pinged")
    media_stall_seconds: Seconds = Field(20, gt=0, description="how long a stream's reader may take no byte")
    media_streams_per_user: int = Field(
        10, ge=1, description="event streams one user may hold open, over all services"
    )
    media_events_token: Literal["header", "query", "cookie"] = Field(
        "header", description="where else an event stream's token may stand; see below"
    )
    media_keep_jobs_seconds: Seconds = Field(30 * DAY, ge=DAY, description="how long ended jobs are kept")
    media_sweep_seconds: Seconds = Field(
        6 * HOUR, gt=0, description="how often rows and objects are made to agree"
    )
    media_fetch_http: bool = Field(default=False, description="whether imports may go over plain http")
    media_fetch_networks: Annotated[tuple[Network, ...], NoDecode] = Field(
        (), description="private networks that imports may reach, such as 10.1.0.0/16, comma-separated"
    )
    media_fetch_seconds: Seconds = Field(600, gt=0, description="how long fetching a file may take")
    media_examine_seconds: Seconds = Field(120, gt=0, description="how long looking into a file may take")
    media_child_memory_bytes: int = Field(
        2 * GIB, ge=GIB // 2, description="memory of a process that decodes (Linux)"
    )
    media_metrics_port: int | None = Field(
        None, ge=0, le=65535, description="where a worker serves its metrics, on `HOST`; unset: nowhere"
    )
    media_log: Literal["text", "json"] = Field("text", description="how the log is written")
    media_log_level: Literal["debug", "info", "warning"] = Field(
        "info", description="the least that the log shows; what it does not is counted all the same"
    )

    @field_validator(
        "cors_origins",
        "auth_algorithms",
        "media_fetch_networks",
        "media_providers",
        "media_result_origins",
        mode="before",
    )
    @classmethod
    def _split(cls, value: Any) -> Any:
        return (
            tuple(part.strip() for part in value.split(",") if part.strip())
            if isinstance(value, str)
            else value
        )

    @field_validator("auth_jwt_secret", "media_url_secret")
    @classmethod
    def _long_enough(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and len(value.get_secret_value().encode()) < MIN_SECRET_BYTES:
            raise ValueError(f"needs at least {MIN_SECRET_BYTES} bytes (RFC 7518, section 3.2)")
        return value

    @field_validator("auth_algorithms")
    @classmethod
    def _known_algorithms(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if unknown := [name for name in value if name not in ASYMMETRIC]:
            raise ValueError(f"{unknown[0]!r} is none of {', '.join(ASYMMETRIC)}")
        return value

    @field_validator("redis_url")
    @classmethod
    def _readable_address(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            RedisUrl.parse(value.get_secret_value())
        return value

    @property
    def durable_store(self) -> str | None:
        """The setting that names where objects outlive the program; None for the in-memory store."""
        return next((name for name in DURABLE_STORES if getattr(self, name) is not None), None)

    @property
    def redis(self) -> RedisUrl | None:
        """Where Redis is; None for a program of one process."""
        return None if self.redis_url is None else RedisUrl.parse(self.redis_url.get_secret_value())

    @property
    def development(self) -> bool:
        """Whether tokens are made by the program itself."""
        return self.auth_jwt_secret is None and self.auth_jwks_url is None

    @property
    def on_loopback(self) -> bool:
        """Whether the public address is reachable from this machine alone."""
        return is_loopback(urlsplit(self.base_url).hostname or "")

    @property
    def forgets_objects(self) -> bool:
        """Whether rows of the library outlive the objects they name."""
        return self.durable_store is None and self.database_path is not None

    @property
    def base_url(self) -> str:
        """How browsers reach the service."""
        return self.public_url or f"http://{_reachable(self.host)}:{self.port}"

    @property
    def page_origins(self) -> tuple[str, ...]:
        """The origins whose pages call the service: its own and those of `CORS_ORIGINS`."""
        own = urlsplit(self.base_url)
        return tuple(dict.fromkeys((f"{own.scheme}://{own.netloc}", *self.cors_origins)))

    @property
    def database_server(self) -> str | None:
        """The URL of a SQL server as its driver reads it; None for SQLite."""
        if self.database_url is None or not self.database_url.startswith(SERVERS):
            return None
        return "postgresql://" + self.database_url.partition("://")[2]

    @property
    def database_path(self) -> Path | None:
        """The SQLite file; None for a database in memory or on a server."""
        if self.database_server is not None:
            return None
        if self.database_url is not None:
            path = self.database_url.removeprefix("sqlite://").removeprefix("/")
            return None if path in {"", ":memory:"} else Path(path)
        if self.durable_store is None:
            return None
        return (self.storage_dir or state_folder()) / "media-pipeline.db"


def _reachable(host: str) -> str:
    """Return the name by which a browser reaches what listens on `host`."""
    if is_loopback(host) or host in {"0.0.0.0", "::"}:  # noqa: S104 - compared, not bound
        return "localhost"
    return f"[{host}]" if ":" in host else host


def state_folder() -> Path:
    """Return the user's own folder for what the program remembers (XDG Base Directory)."""
    root = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(root) / "media-pipeline"


def is_loopback(host: str) -> bool:
    """Tell whether only this machine reaches `host`."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
