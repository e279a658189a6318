"""What the API answers, as pydantic models; the wire is camelCase."""

from __future__ import annotations

from datetime import date
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from media_pipeline.api.bodies import MAX_DELETED


class Answer(BaseModel):
    """A JSON answer."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)


class JobRef(Answer):
    """The job that does what was asked for."""

    job_id: str


class Resumable(Answer):
    """The upload URL is a resumable session, as Google Cloud Storage describes it."""

    chunk_size: int = Field(description="bytes of each PUT with `Content-Range` but the last")


class UploadPermission(Answer):
    """Where and how to PUT the bytes; a URL that is `resumable` takes one plain PUT too."""

    upload_url: str = Field(serialization_alias="uploadURL")
    object_path: str
    job_id: str
    headers: dict[str, str]
    expires_at: str
    resumable: Resumable | None = None


class UploadDone(Answer):
    """The permanent address of an upload, and the job that looks into it."""

    url: str
    path: str
    job_id: str


class ThumbnailView(Answer):
    """One size of an item's thumbnail, in pixels."""

    url: str
    width: int
    height: int


class MediaItem(Answer):
    """One thing in the caller's library."""

    path: str
    url: str
    content_type: str
    size: int
    created_at: str
    kind: Literal["image", "video", "file"]
    source: Literal["generated", "upload", "import", "process"]
    name: str
    width: int | None = None
    height: int | None = None
    duration: float | None = None
    thumbnail_url: str | None = None
    thumbnails: list[ThumbnailView] | None = None
    thumbhash: str | None = None
    source_path: str | None = Field(None, description="the item that this one was made of")
    alt: str | None = None
    job_id: str | None = None
    prompt: str | None = None
    model: str | None = None
    seed: int | None = None


class MediaList(Answer):
    """One page of the library."""

    items: list[MediaItem]
    next_cursor: str | None = None


class FailedDeletion(Answer):
    """An item that could not be deleted now, and why."""

    path: str
    code: str
    error: str


class MediaDeleted(Answer):
    """What is not in your library any more, and what could not be deleted now."""

    deleted: list[str]
    failed: list[FailedDeletion]
    more: bool = Field(description=f"whether the filter fits more items; one call deletes {MAX_DELETED}")


class LimitView(Answer):
    """One limit of yours. `window` is its length and `resets` its end, in seconds; none where jobs end it."""

    name: Literal["requests", "jobs", "items", "spend"]
    limit: float = Field(description="how many, or US dollars of `spend`")
    left: float
    window: int | None = None
    resets: int | None = None


class MediaUsage(Answer):
    """What your library holds and unfinished uploads are promised; no quota is null."""

    bytes: int
    objects: int
    quota_bytes: int | None
    quota_objects: int | None
    limits: list[LimitView]


class AttemptView(Answer):
    """One try at one provider."""

    number: int
    provider: str
    model: str
    started_at: str
    ended_at: str | None = None
    error: str | None = None
    cancel: str | None = Field(
        None, description="what the provider answered to a cancel: cancelled, requested, too_late, …"
    )


class JobError(Answer):
    """Why a job failed."""

    error: str
    code: str
    retryable: bool


class JobView(Answer):
    """One job of the caller. `progress` is 100 when it succeeded, else null: live numbers come as events."""

    job_id: str
    kind: str
    state: Literal["queued", "running", "succeeded", "failed", "cancelled"]
    progress: float | None
    message: str
    attempts: list[AttemptView]
    created_at: str
    started_at: str | None = None
    finished_at: str | None = None
    result: dict[str, Any] | None = None
    error: JobError | None = None
    retry_of: str | None = None
    request: dict[str, Any]


class JobList(Answer):
    """One page of the caller's jobs, newest first."""

    jobs: list[JobView]
    next_cursor: str | None = None


class ModelPrice(Answer):
    """What the provider publishes: US dollars for one `per`."""

    usd: float
    per: str


class ModelView(Answer):
    """One model that can be asked for now."""

    provider: str
    model: str
    kind: Literal["image", "video"]
    label: str
    n_max: int
    default_size: list[int]
    min_side: int
    max_side: int
    aspect_ratios: list[str]
    seconds_max: float | None = None
    default_seconds: float | None = None
    fps: list[int]
    roles: list[str]
    needs: list[str]
    images_max: int
    sizes: dict[str, list[int]]
    durations: list[float]
    seed: bool
    negative_prompt: bool
    previews: bool
    progress: str
    cancel: str
    price: ModelPrice | None = None
    sunset: date | None = None


class ProviderList(Answer):
    """What can be asked for now, in the order in which it would be tried."""

    providers: list[ModelView]
