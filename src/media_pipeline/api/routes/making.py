"""`POST /media/import` and `/media/process`: new items from the web and from other items."""

from __future__ import annotations

from fastapi import APIRouter, Response

from media_pipeline.api.accepted import accepted
from media_pipeline.api.answers import JobRef
from media_pipeline.api.auth import Uploader
from media_pipeline.api.idempotency import IdempotencyKey, hash_request
from media_pipeline.api.operations import ImportMedia, ProcessMedia
from media_pipeline.api.problems import documented
from media_pipeline.media.imports import Imports
from media_pipeline.media.processing import Processing


def making_routes(imports: Imports, processing: Processing) -> APIRouter:
    """Build the routes that begin an import or an operation."""
    router = APIRouter(prefix="/media", tags=["media"])

    @router.post(
        "/import",
        status_code=202,
        responses=documented(400, 401, 403, 422, 503),
        summary="Import a file as a job",
    )
    async def import_media(
        body: ImportMedia, caller: Uploader, response: Response, key: IdempotencyKey = None
    ) -> JobRef:
        job_id = await imports.begin(
            caller.user_id,
            url=body.url,
            filename=body.filename,
            idempotency_key=key,
            request_hash=hash_request("import", body.model_dump()),
        )
        return accepted(job_id, response)

    @router.post(
        "/process",
        status_code=202,
        responses=documented(400, 401, 403, 404, 422, 503),
        summary="Make a new item of another as a job",
    )
    async def process_media(
        body: ProcessMedia, caller: Uploader, response: Response, key: IdempotencyKey = None
    ) -> JobRef:
        job_id = await processing.begin(
            caller.user_id,
            path=body.path,
            operation=body.operation.model_dump(exclude_none=True),
            idempotency_key=key,
            request_hash=hash_request("process", body.model_dump()),
        )
        return accepted(job_id, response)

    return router
