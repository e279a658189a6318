"""Every error answer, as RFC 9457 problem+json; the only place that knows status codes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import ClassVar, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.routing import Match

from media_pipeline.errors import MediaPipelineError

MEDIA_TYPE = "application/problem+json"
MAX_ERRORS: Final = 20
MAX_FIELD_NAME: Final = 200
_METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


class Problem(MediaPipelineError):
    """An answer other than success, decided at the HTTP edge.

    `detail` is a sentence that says what to do; `headers` go out with it.
    """

    code: ClassVar[str] = "problem"

    def __init__(
        self, status: int, code: str, detail: str, *, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.problem_code = code
        self.headers = dict(headers or {})


class FieldProblem(BaseModel):
    """What is wrong with one field; `field` is its place in the body, dotted."""

    field: str
    message: str


class ProblemBody(BaseModel):
    """The body of every error answer."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "type": "about:blank",
                    "title": "Not Found",
                    "status": 404,
                    "detail": "There is no such job.",
                    "code": "job_not_found",
                }
            ]
        }
    )

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    code: str
    errors: list[FieldProblem] | None = Field(default=None)


STATUS_BY_CODE: Mapping[str, int] = {
    "bad_media": 422,
    "bus_unavailable": 503,
    "daily_items_used": 429,
    "daily_spend_used": 429,
    "database_unavailable": 503,
    "empty_file": 422,
    "wrong_size": 422,
    "idempotency_conflict": 422,
    "invalid_cursor": 422,
    "invalid_path": 422,
    "invalid_request": 422,
    "job_ended": 409,
    "job_not_ended": 409,
    "job_not_found": 404,
    "keys_unavailable": 503,
    "media_not_found": 404,
    "object_changed": 412,
    "object_not_found": 404,
    "operation_refused": 422,
    "quota_exceeded": 403,
    "storage_full": 507,
    "storage_unavailable": 503,
    "too_large": 413,
    "too_many_jobs": 429,
    "too_many_requests": 429,
    "too_many_streams": 429,
    "type_not_allowed": 415,
    "unsupported": 422,
    "upload_failed": 409,
    "upload_incomplete": 409,
    "upload_not_found": 404,
    "upload_refused": 422,
    "url_refused": 422,
    "webhook_refused": 401,
}
"""The status of every error code that a room may raise through a route."""


def problem_response(
    status: int,
    code: str,
    detail: str,
    *,
    headers: Mapping[str, str] | None = None,
    errors: Sequence[FieldProblem] | None = None,
) -> Response:
    """Build the answer; 503 and 429 always say when to come back."""
    body = ProblemBody(
        title=HTTPStatus(status).phrase,
        status=status,
        detail=detail,
        code=code,
        errors=list(errors) if errors else None,
    )
    out = dict(headers or {})
    if status in (HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.TOO_MANY_REQUESTS):
        out.setdefault("Retry-After", "1")
    return JSONResponse(body.model_dump(exclude_none=True), int(status), out, MEDIA_TYPE)


def install_problems(app: FastAPI) -> None:
    """Answer every exception of `app` that is no bug with a problem; for those see `BugsCaught`."""
    app.add_exception_handler(Problem, _on_problem)
    app.add_exception_handler(MediaPipelineError, _on_domain_error)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(HTTPException, _on_http)


async def _on_problem(_: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)  # noqa: S101 - registered for this class alone
    return problem_response(error.status, error.problem_code, str(error), headers=error.headers)


async def _on_domain_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, MediaPipelineError)  # noqa: S101 - registered for this class alone
    code = str(getattr(error, "reason", error.code))
    status = STATUS_BY_CODE.get(code)
    if status is None:
        raise error
    wait = getattr(error, "retry_after", None)
    headers = None if wait is None else {"Retry-After": str(math.ceil(wait))}
    return problem_response(status, code, str(error), headers=headers)


async def _on_invalid(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for this class alone
    fields = [
        FieldProblem(field=_field_name(item["loc"]), message=str(item["msg"]).removeprefix("Value error, "))
        for item in error.errors()[:MAX_ERRORS]
    ]
    malformed = any(item["type"] == "json_invalid" for item in error.errors())
    if malformed:
        return problem_response(400, "malformed_json", "The body is not valid JSON.", errors=fields)
    said = "; ".join(f"{item.field}: {item.message}" for item in fields[:3])
    return problem_response(422, "invalid_request", f"The request is not valid: {said}.", errors=fields)


async def _on_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for this class alone
    status = HTTPStatus(error.status_code)
    code = status.phrase.lower().replace(" ", "_").replace("-", "_")
    headers = _allowed(request) if status is HTTPStatus.METHOD_NOT_ALLOWED else error.headers
    return problem_response(status, code, f"{str(error.detail).rstrip('.')}.", headers=headers)


def _allowed(request: Request) -> dict[str, str]:
    """Name the methods of every route of a path; the framework names those of the first."""

    def fits(method: str) -> bool:
        scope = {**request.scope, "method": method}
        return any(route.matches(scope)[0] is Match.FULL for route in request.app.routes)

    return {"Allow": ", ".join(filter(fits, _METHODS))}


def _field_name(loc: Sequence[str | int]) -> str:
    """Write the place of a field; its name may be anything that a client sent."""
    name = ".".join(str(part) for part in loc[1:]) or str(loc[0])
    return name[:MAX_FIELD_NAME].encode(errors="replace").decode()


def documented(*statuses: int) -> dict[int | str, dict[str, object]]:
    """Describe these error answers in OpenAPI."""
    return {
        status: {
            "description": HTTPStatus(status).phrase,
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemBody"}}},
        }
        for status in statuses
    }
