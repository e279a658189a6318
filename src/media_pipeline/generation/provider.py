"""What makes media: the `MediaProvider` protocol, its requests, events and errors.

A provider only ever reports what really happened: an event is yielded when the provider said so, a
step was computed or a frame was encoded, never because time went by.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from typing import Any, ClassVar, Literal, Protocol

from media_pipeline.errors import MediaPipelineError
from media_pipeline.ids import JobId, UserId

MediaKind = Literal["image", "video"]
Role = Literal["reference", "init", "mask", "first_frame", "last_frame"]
SourceType = Literal["trainedAlgorithmicMedia", "algorithmicMedia"]
"""IPTC's digital source type: made by a trained model, or by a plain algorithm."""

Handle = Mapping[str, str]
"""What a provider needs to find a submitted job again: its ids and URLs, no secrets."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InputMedia:
    """A picture the request builds on; `path` is an object of the same user."""

    role: Role
    path: str
    content_type: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationRequest:
    """What to make. Sizes in pixels, `seconds` in seconds; None leaves the choice to the model."""

    job_id: JobId
    user_id: UserId
    kind: MediaKind
    prompt: str
    n: int = 1
    provider: str | None = None
    model: str | None = None
    negative_prompt: str | None = None
    width: int | None = None
    height: int | None = None
    aspect_ratio: str | None = None
    seconds: float | None = None
    fps: int | None = None
    seed: int | None = None
    images: tuple[InputMedia, ...] = ()


class ProgressKind(StrEnum):
    """What a model's progress counts."""

    STEPS = "steps"
    FRAMES = "frames"
    PERCENT = "percent"
    LOGS = "logs"
    PARTIALS = "partials"
    STATUS = "status"


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """A published price: so many US dollars for one `per`."""

    usd: float
    per: Literal["image", "video", "second", "megapixel", "million_tokens"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelInfo:
    """What one model can do; `GET /providers` shows it and requests are checked against it.

    `needs` are roles without which it cannot work. `sizes`, by aspect ratio, are all it makes where they
    are given, as are `durations` in seconds. `price` is what the provider publishes; `wire` is for the
    adapter alone.
    """

    id: str
    kind: MediaKind
    label: str
    progress: ProgressKind
    n_max: int = 1
    seed: bool = False
    negative_prompt: bool = False
    roles: frozenset[Role] = frozenset()
    needs: frozenset[Role] = frozenset()
    images_max: int = 8
    aspect_ratios: tuple[str, ...] = ()
    sizes: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    min_side: int = 64
    max_side: int = 4096
    max_pixels: int | None = None
    max_ratio: float | None = None
    multiple_of: int = 1
    default_size: tuple[int, int] = (1024, 1024)
    seconds_max: float | None = None
    durations: tuple[float, ...] = ()
    default_seconds: float | None = None
    fps: tuple[int, ...] = ()
    cancel: Literal["hard", "best_effort", "none"] = "none"
    previews: bool = False
    sunset: date | None = None
    price: Price | None = None
    wire: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Submitting:
    """The next thing is a call that may cost money; the intent must be durable before it goes out."""


@dataclass(frozen=True, slots=True)
class Submitted:
    """The provider took the job; `handle` must be durable before anything else happens."""

    handle: Handle


@dataclass(frozen=True, slots=True)
class Queued:
    """The provider has not begun; `position` where it tells one."""

    position: int | None = None


@dataclass(frozen=True, slots=True)
class Running:
    """The provider says that it works."""


@dataclass(frozen=True, slots=True)
class Advanced:
    """`done` of `total` units of output `index` are really done."""

    done: float
    total: float
    unit: Literal["step", "frame", "percent", "byte"]
    index: int = 0


@dataclass(frozen=True, slots=True)
class Preview:
    """A partial picture of output `index`, as encoded by the provider."""

    index: int
    data: bytes
    content_type: str


@dataclass(frozen=True, slots=True)
class Fetched:
    """`done` bytes of the finished output `index` are here, of `total` where that is known."""

    done: int
    total: int | None
    index: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """One finished result: `data` or a `url` that soon expires, exactly one of them."""

    index: int
    content_type: str
    data: bytes | None = None
    url: str | None = None
    url_headers: Mapping[str, str] = field(default_factory=dict)
    width: int | None = None
    height: int | None = None
    duration: float | None = None
    seed: int | None = None
    revised_prompt: str | None = None
    source_type: SourceType = "trainedAlgorithmicMedia"


@dataclass(frozen=True, slots=True)
class Usage:
    """What the provider says the work took; `cost_usd` only where it says one."""

    figures: Mapping[str, float]
    cost_usd: float | None = None


ProviderEvent = Submitting | Submitted | Queued | Running | Advanced | Preview | Fetched | Output | Usage


class ErrorCode(StrEnum):
    """One vocabulary for every provider's failures."""

    INVALID_REQUEST = "invalid_request"
    UNSUPPORTED = "unsupported"
    POLICY_INPUT = "content_policy_input"
    POLICY_OUTPUT = "content_policy_output"
    AUTH = "auth"
    QUOTA = "quota_exhausted"
    GONE = "model_gone"
    RATE_LIMITED = "rate_limited"
    OVERLOADED = "overloaded"
    TIMEOUT = "timeout"
    NETWORK = "network"
    PROVIDER = "provider_error"
    BAD_OUTPUT = "bad_output"
    EXPIRED = "result_expired"
    CANCELLED = "cancelled_at_provider"
    SUBMITTED_UNKNOWN = "submitted_unknown"


TRY_AGAIN = frozenset(
    {
        ErrorCode.RATE_LIMITED,
        ErrorCode.OVERLOADED,
        ErrorCode.TIMEOUT,
        ErrorCode.NETWORK,
        ErrorCode.PROVIDER,
        ErrorCode.BAD_OUTPUT,
    }
)
TRY_NEXT = TRY_AGAIN | {ErrorCode.AUTH, ErrorCode.QUOTA, ErrorCode.GONE, ErrorCode.UNSUPPORTED}
"""Never a refusal of the content, a bad request or a submit whose fate is unknown."""


class ProviderError(MediaPipelineError):
    """A provider did not make what was asked for.

    `reason` decides what happens next; `retry_after` is in seconds where the provider named it; `sent` is
    False where the request surely never reached the provider. The manager sets `final` when the work may
    have been paid, so that nobody repeats it without being asked.
    """

    code: ClassVar[str] = "provider_error"

    def __init__(
        self,
        reason: ErrorCode,
        message: str,
        *,
        provider: str,
        retry_after: float | None = None,
        sent: bool = True,
    ) -> None:
        # a provider's text may hold what UTF-8 cannot; the job's record must take it
        super().__init__(message.encode(errors="replace").decode())
        self.reason = reason
        self.provider = provider
        self.retry_after = retry_after
        self.sent = sent
        self.final = False


CancelOutcome = Literal["cancelled", "requested", "too_late", "unsupported"]


class MediaProvider(Protocol):
    """Make media, telling what really happens."""

    name: str

    async def models(self) -> Sequence[ModelInfo]:
        """Return what can be asked for now."""
        ...

    def generate(self, request: GenerationRequest, model: ModelInfo) -> AsyncGenerator[ProviderEvent, None]:
        """Do the work; closing the generator stops it. Raises `ProviderError`.

        A provider that costs money yields `Submitting` before the call that starts it and
        `Submitted` right after its answer. One `Output` comes per index, in any order.
        """
        ...

    def resume(
        self, request: GenerationRequest, model: ModelInfo, handle: Handle
    ) -> AsyncGenerator[ProviderEvent, None]:
        """Go on with a submitted job; a local provider raises `ProviderError(UNSUPPORTED)`."""
        ...

    async def cancel(self, handle: Handle) -> CancelOutcome:
        """Ask the provider to stop a submitted job; return what it answered."""
        ...

    async def check(self) -> str:
        """Ask something that costs nothing, with the key; return what was seen or raise `ProviderError`."""
        ...

    async def aclose(self) -> None:
        """Release what the provider holds open."""
        ...
