"""What the API takes and gives, as pydantic models; the wire is camelCase."""

from __future__ import annotations

import unicodedata
from datetime import date
from typing import Annotated, Any, Final, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel

MAX_PROMPT: Final = 8000
MAX_SEED: Final = 2**53 - 1
MAX_SIDE: Final = 8192
MAX_DELETED: Final = 1000


class Body(BaseModel):
    """A JSON body; unknown fields are refused so that a typing error is told."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid")


class Answer(BaseModel):
    """A JSON answer."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)


def _is_text(value: str) -> str:
    if not value.strip():
        raise ValueError("must not be blank")
    for character in value:
        if unicodedata.category(character) in {"Cc", "Cs"} and character not in "\n\r\t":
            raise ValueError("must not hold control characters")
    return value


Prompt = Annotated[
    str,
    Field(min_length=1, max_length=MAX_PROMPT, examples=["a lighthouse at dawn"]),
    AfterValidator(_is_text),
]
Side = Annotated[int, Field(ge=1, le=MAX_SIDE, description="pixels")]
Ratio = Annotated[str, Field(pattern=r"^[1-9]\d?:[1-9]\d?$", examples=["16:9"])]
Seed = Annotated[int, Field(ge=0, le=MAX_SEED)]
Name = Annotated[str, Field(min_length=1, max_length=200)]
Label = Annotated[Name, AfterValidator(_is_text)]
ObjectPath = Annotated[str, Field(min_length=1, max_length=1024)]


class _Generate(Body):
    """What both kinds of generation share."""

    prompt: Prompt
    width: Side | None = None
    height: Side | None = None
    aspect_ratio: Ratio | None = Field(None, description="instead of width and height")
    seed: Seed | None = None
    provider: Name | None = None
    model: Name | None = None
    priority: Literal["normal", "low"] = "normal"

    @model_validator(mode="after")
    def _one_shape(self) -> Self:
        if self.aspect_ratio is not None and (self.width is not None or self.height is not None):
            raise ValueError("give aspectRatio or width and height, not both")
        return self


class ImageInput(Body):
    """A picture of the caller's library to build on."""

    path: ObjectPath
    role: Literal["reference", "init", "mask"] = "reference"


class FrameInput(Body):
    """A picture of the caller's library that a video builds on."""

    path: ObjectPath
    role: Literal["reference", "first_frame", "last_frame"] = "reference"


class GenerateImage(_Generate):
    """Ask for one or more images."""

    n: int = Field(1, ge=1, le=8, description="how many images")
    negative_prompt: Prompt | None = None
    images: list[ImageInput] = Field(default_factory=list, max_length=8)


class GenerateVideo(_Generate):
    """Ask for a video."""

    seconds: float | None = Field(None, gt=0, le=600, allow_inf_nan=False)
    fps: int | None = Field(None, ge=1, le=120)
    images: list[FrameInput] = Field(default_factory=list, max_length=8)


class JobRef(Answer):
    """The job that does what was asked for."""

    job_id: str


class UploadInit(Body):
    """Announce a file."""

    filename: str = Field(min_length=1, max_length=1024, examples=["holiday.jpg"])
    content_type: str = Field(max_length=255, pattern=r"^[\x20-\x7e]*$", examples=["image/jpeg"])
    size: int | None = Field(None, ge=0, description="bytes; binds the upload URL to exactly so many")


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


class UploadPath(Body):
    """Name an upload by what `init` answered."""

    object_path: ObjectPath


class UploadCount(UploadPath):
    """How far the client is with its PUT, in bytes."""

    loaded: int = Field(ge=0)
    total: int = Field(gt=0)

    @model_validator(mode="after")
    def _not_past(self) -> Self:
        if self.loaded > self.total:
            raise ValueError("loaded must not be more than total")
        return self


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


class MediaChange(Body):
    """What to change of an item; what is left out stays."""

    name: Label | None = None
    alt: Annotated[str, Field(max_length=2000)] | None = Field(None, description="empty takes it away")

    @model_validator(mode="after")
    def _something(self) -> Self:
        if self.name is None and self.alt is None:
            raise ValueError("give name, alt or both")
        return self


class MediaDeletion(Body):
    """Which items to delete: by path, or all that a listing with this filter would show."""

    paths: list[ObjectPath] | None = Field(None, min_length=1, max_length=MAX_DELETED)
    prefix: Annotated[str, Field(max_length=1024)] = ""
    kind: Literal["image", "video", "file"] | None = None
    q: Annotated[str, Field(max_length=200)] = ""

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        filtered = bool(self.prefix or self.kind or self.q)
        if filtered == (self.paths is not None):
            raise ValueError("give paths, or prefix, kind or q")
        return self


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
