"""`/media/upload`: from a browser straight into the store."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from fastapi import APIRouter, Request

from media_pipeline.api.answers import Resumable, UploadDone, UploadPermission
from media_pipeline.api.auth import Uploader
from media_pipeline.api.bodies import UploadCount, UploadInit, UploadPath
from media_pipeline.api.idempotency import IdempotencyKey, hash_request
from media_pipeline.api.problems import documented
from media_pipeline.media.meter import UploadMeter
from media_pipeline.media.present import iso
from media_pipeline.media.uploads import UploadNotFound, Uploads
from media_pipeline.storage.store import Store

CHUNK: Final = 8 * 1024**2
"""Bytes of a chunk, about: few requests, and little to send again after a cut."""


def uploads_routes(
    uploads: Uploads, store: Store, meter: UploadMeter, *, origins: Collection[str]
) -> APIRouter:
    """Build the routes around a client's own PUT; `origins` are those whose pages may call."""
    router = APIRouter(prefix="/media/upload", tags=["uploads"])

    @router.post(
        "/init",
        responses=documented(400, 401, 403, 413, 415, 422, 503),
        response_model_exclude_none=True,
        summary="Announce a file",
    )
    async def init_upload(
        request: Request, body: UploadInit, caller: Uploader, key: IdempotencyKey = None
    ) -> UploadPermission:
        begun = await uploads.begin(
            caller.user_id,
            filename=body.filename,
            content_type=body.content_type,
            size=body.size,
            origin=_page_of(request, origins),
            idempotency_key=key,
            request_hash=hash_request("upload", body.model_dump()),
        )
        quantum = begun.permission.chunk_bytes
        return UploadPermission(
            upload_url=begun.permission.url,
            object_path=begun.object_path,
            job_id=begun.job.id,
            headers=dict(begun.permission.headers),
            expires_at=iso(begun.permission.expires_at.timestamp()),
            resumable=None if quantum is None else Resumable(chunk_size=max(1, CHUNK // quantum) * quantum),
        )

    @router.post(
        "/complete",
        responses=documented(400, 401, 403, 404, 409, 413, 415, 422, 503),
        summary="Say that the bytes are there",
    )
    async def complete_upload(body: UploadPath, caller: Uploader) -> UploadDone:
        job = await uploads.complete(caller.user_id, body.object_path)
        url = await store.get_url(body.object_path)
        return UploadDone(url=url, path=body.object_path, job_id=job.id)

    @router.post(
        "/progress",
        status_code=204,
        responses=documented(400, 401, 404, 422, 503),
        summary="Tell your other tabs how far you are",
    )
    async def count_upload(body: UploadCount, caller: Uploader) -> None:
        job = await uploads.job_of(body.object_path)
        if job is None or job.user_id != caller.user_id:
            raise UploadNotFound("You have no upload at this path.")
        await meter.note(job, body.loaded, body.total, reported_by="client")

    return router


def _page_of(request: Request, origins: Collection[str]) -> str | None:
    """Return the origin of the page that asks, if it is this service's own or one of `origins`."""
    origin = request.headers.get("origin")
    own = f"{request.url.scheme}://{request.headers.get('host')}"
    return origin if origin is not None and origin in {own, *origins} else None
