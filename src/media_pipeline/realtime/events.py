"""Every event a user's stream can carry, typed.

A field's name here is its name on the wire in snake_case; the wire is camelCase. An event that
changes state has a `key` (the same change has the same key) and is kept for replay; progress and
previews have none and are conflated per `slot`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal

import msgspec

from media_pipeline.ids import JobId, UserId
from media_pipeline.jsonvalue import Json
from media_pipeline.realtime.bus import Message
from media_pipeline.realtime.sse import encode_frame
from media_pipeline.tracing import carried


class Event(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """What happened; `name` is the SSE event name."""

    name: ClassVar[str]
    terminal: ClassVar[bool] = False

    def subject(self) -> JobId | None:
        """Return the job this is about, if it is about one."""
        return None

    def key(self) -> str | None:
        """Name this change of state; None for progress."""
        return None

    def slot(self) -> str | None:
        """Name what a newer progress of the same kind replaces."""
        return None


class JobEvent(Event, frozen=True, kw_only=True):
    """An event about one job."""

    job_id: JobId

    def subject(self) -> JobId:
        return self.job_id

    def key(self) -> str | None:
        return f"{self.job_id}/{self.name}"


class JobQueued(JobEvent, frozen=True, kw_only=True):
    """The job stands in the queue."""

    name = "job_queued"


class JobCancelled(JobEvent, frozen=True, kw_only=True):
    """The job ended because its owner asked."""

    name = "job_cancelled"
    terminal = True

    def key(self) -> str:
        return f"{self.job_id}/end"


class Started(JobEvent, frozen=True, kw_only=True):
    """Work on the job begins."""


class Progress(JobEvent, frozen=True, kw_only=True, omit_defaults=True):
    """Something real happened; `progress` is 0..100, None where no number is known."""

    progress: float | None
    message: str | None = None
    reported_by: Literal["server", "client"] = "server"

    def key(self) -> None:
        return None

    def slot(self) -> str:
        return f"{self.job_id}/progress"


class Complete(JobEvent, frozen=True, kw_only=True):
    """The job is done and its result persisted."""

    terminal = True
    result: Mapping[str, Json]

    def key(self) -> str:
        return f"{self.job_id}/end"


class Failed(JobEvent, frozen=True, kw_only=True):
    """The job ended without a result; `error` is a sentence a person can act on."""

    terminal = True
    error: str
    code: str
    retryable: bool

    def key(self) -> str:
        return f"{self.job_id}/end"


class GenerationStarted(Started, frozen=True, kw_only=True):
    """Generation begins."""

    name = "generation_started"


class GenerationProgress(Progress, frozen=True, kw_only=True):
    """A generation advanced."""

    name = "generation_progress"


class GenerationComplete(Complete, frozen=True, kw_only=True):
    """The generated items are persisted; their URLs are permanent."""

    name = "generation_complete"


class GenerationFailed(Failed, frozen=True, kw_only=True):
    """The generation ended without a result."""

    name = "generation_failed"


class GenerationPreview(JobEvent, frozen=True, kw_only=True):
    """A real partial picture of result `index`."""

    name = "generation_preview"
    index: int
    url: str

    def key(self) -> None:
        return None

    def slot(self) -> str:
        return f"{self.job_id}/preview/{self.index}"


class UploadStarted(Started, frozen=True, kw_only=True):
    """An upload or import begins."""

    name = "upload_started"


class UploadProgress(Progress, frozen=True, kw_only=True):
    """Bytes of an upload or import arrived."""

    name = "upload_progress"


class UploadComplete(Complete, frozen=True, kw_only=True):
    """The uploaded or imported item is in the library."""

    name = "upload_complete"


class UploadFailed(Failed, frozen=True, kw_only=True):
    """The upload or import did not become an item."""

    name = "upload_failed"


class ProcessStarted(Started, frozen=True, kw_only=True):
    """A transformation begins."""

    name = "process_started"


class ProcessProgress(Progress, frozen=True, kw_only=True):
    """A transformation advanced."""

    name = "process_progress"


class ProcessComplete(Complete, frozen=True, kw_only=True):
    """The transformed item is in the library."""

    name = "process_complete"


class ProcessFailed(Failed, frozen=True, kw_only=True):
    """The transformation ended without a result."""

    name = "process_failed"


class MediaDeleted(Event, frozen=True, kw_only=True):
    """These paths left the library; `id` names the deletion."""

    name = "media_deleted"
    id: str
    paths: Sequence[str]

    def key(self) -> str:
        return f"media_deleted/{self.id}"


class Family(msgspec.Struct, frozen=True):
    """The four events of one kind of work."""

    started: type[Started]
    progress: type[Progress]
    complete: type[Complete]
    failed: type[Failed]


GENERATION = Family(GenerationStarted, GenerationProgress, GenerationComplete, GenerationFailed)
UPLOAD = Family(UploadStarted, UploadProgress, UploadComplete, UploadFailed)
PROCESS = Family(ProcessStarted, ProcessProgress, ProcessComplete, ProcessFailed)

_encoder = msgspec.json.Encoder()


def encode_data(event: Event) -> bytes:
    """Write an event's JSON on one line; a lone surrogate, as providers sometimes send, is escaped."""
    try:
        return _encoder.encode(event)
    except UnicodeEncodeError:
        return json.dumps(msgspec.to_builtins(event), separators=(",", ":")).encode()


def encode_event(user_id: UserId, event: Event) -> Message:
    """Turn an event into the message that every subscriber of its user shares."""
    key = event.key()
    return Message(
        user_id=user_id,
        job_id=event.subject(),
        frame=encode_frame(event.name, encode_data(event)),
        key=key,
        slot=event.slot(),
        terminal=event.terminal,
        trace=None if key is None else carried(),
    )
