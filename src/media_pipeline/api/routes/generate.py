"""`POST /generate/image` and `/generate/video`, and what they may be asked for."""

from __future__ import annotations

import uuid
from typing import Final

from fastapi import APIRouter, Response

from media_pipeline.api.accepted import accepted
from media_pipeline.api.answers import JobRef, ModelPrice, ModelView, ProviderList
from media_pipeline.api.auth import Maker, Reader
from media_pipeline.api.bodies import GenerateImage, GenerateVideo
from media_pipeline.api.idempotency import IdempotencyKey, hash_request
from media_pipeline.api.problems import Problem, documented
from media_pipeline.generation.handlers import read_request
from media_pipeline.generation.manager import MediaGenerationManager, Offer
from media_pipeline.generation.provider import MediaKind
from media_pipeline.ids import JobId, UserId
from media_pipeline.jsonvalue import Json, JsonObject
from media_pipeline.media.announcer import JobAnnouncer
from media_pipeline.media.library import Library
from media_pipeline.media.quota import Quota
from media_pipeline.queue.job import NewJob, Priority

_PRIORITIES: Final = {"normal": Priority.NORMAL, "low": Priority.LOW}
_ERRORS: Final = documented(400, 401, 403, 404, 413, 422, 503)


def generate_routes(
    manager: MediaGenerationManager,
    library: Library,
    announcer: JobAnnouncer,
    quota: Quota,
) -> APIRouter:
    """Build the routes that begin a generation."""
    router = APIRouter(tags=["generate"])
    begin = _Beginner(manager, library, announcer, quota)

    @router.post("/generate/image", status_code=202, responses=_ERRORS, summary="Generate images as a job")
    async def generate_image(
        body: GenerateImage, caller: Maker, response: Response, key: IdempotencyKey = None
    ) -> JobRef:
        return accepted(await begin("image", body, caller.user_id, key), response)

    @router.post("/generate/video", status_code=202, responses=_ERRORS, summary="Generate a video as a job")
    async def generate_video(
        body: GenerateVideo, caller: Maker, response: Response, key: IdempotencyKey = None
    ) -> JobRef:
        return accepted(await begin("video", body, caller.user_id, key), response)

    @router.get("/providers", responses=documented(401), summary="What can be asked for now")
    async def list_providers(_: Reader) -> ProviderList:
        return ProviderList(providers=[_view(offer) for offer in await manager.models()])

    return router


class _Beginner:
    """Check a request against what can make it, and put it in the queue."""

    def __init__(
        self,
        manager: MediaGenerationManager,
        library: Library,
        announcer: JobAnnouncer,
        quota: Quota,
    ) -> None:
        self._quota = quota
        self._manager = manager
        self._library = library
        self._announcer = announcer

    async def __call__(
        self, kind: MediaKind, body: GenerateImage | GenerateVideo, user_id: UserId, key: str | None
    ) -> JobId:
        request_hash = hash_request(
            kind, [body.model_dump(exclude_none=True, exclude={"priority"}), body.priority]
        )
        known = await self._announcer.find_repeated(user_id, key, request_hash)
        if known is not None:
            return known.id
        await self._quota.check_room(user_id)
        payload = await self._payload(body, user_id)
        job_id = JobId(str(uuid.uuid4()))
        await self._manager.choose(read_request(payload, job_id=job_id, user_id=user_id, kind=kind))
        enqueued = await self._announcer.enqueue(
            NewJob(
                id=job_id,
                user_id=user_id,
                kind=f"generate.{kind}",
                payload=payload,
                priority=_PRIORITIES[body.priority],
                idempotency_key=key,
                request_hash=request_hash,
            )
        )
        return enqueued.job.id

    async def _payload(self, body: GenerateImage | GenerateVideo, user_id: UserId) -> JsonObject:
        payload: dict[str, Json] = body.model_dump(exclude_none=True, exclude={"images", "priority"})
        if body.images:
            payload["images"] = [
                {
                    "role": image.role,
                    "path": image.path,
                    "content_type": await self._picture_type(user_id, image.path),
                }
                for image in body.images
            ]
        return payload

    async def _picture_type(self, user_id: UserId, path: str) -> str:
        item = await self._library.get(user_id, path)
        if item.kind != "image":
            raise Problem(422, "invalid_request", f"{item.name} is no picture; images takes nothing else.")
        return item.content_type


def _view(offer: Offer) -> ModelView:
    model = offer.model
    return ModelView(
        provider=offer.provider.name,
        model=model.id,
        kind=model.kind,
        label=model.label,
        n_max=model.n_max,
        default_size=list(model.default_size),
        min_side=model.min_side,
        max_side=model.max_side,
        aspect_ratios=list(model.sizes or model.aspect_ratios),
        seconds_max=model.seconds_max,
        default_seconds=model.default_seconds,
        fps=list(model.fps),
        roles=sorted(model.roles),
        needs=sorted(model.needs),
        images_max=model.images_max if model.roles else 0,
        sizes={ratio: list(size) for ratio, size in model.sizes.items()},
        durations=list(model.durations),
        seed=model.seed,
        negative_prompt=model.negative_prompt,
        previews=model.previews,
        progress=model.progress,
        cancel=model.cancel,
        price=ModelPrice(usd=model.price.usd, per=model.price.per) if model.price else None,
        sunset=model.sunset,
    )
