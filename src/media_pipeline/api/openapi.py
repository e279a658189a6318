"""What the OpenAPI document says beyond the routes."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from media_pipeline.api.problems import FieldProblem, ProblemBody, documented

DESCRIPTION = (
    "Every media operation is an asynchronous job: a POST answers at once with a job's id, and what becomes "
    "of it comes over `GET /events`. Errors are RFC 9457 problem+json with a stable `code`."
)


def describe_api(app: FastAPI) -> None:
    """Make `app` describe its error answers."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = get_openapi(
                title=app.title, version=app.version, description=DESCRIPTION, routes=app.routes
            )
            _describe_problems(document)
            app.openapi_schema = document
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign] # FastAPI's documented way to extend it


def _describe_problems(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    for model in (ProblemBody, FieldProblem):
        schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
        schema.pop("$defs", None)
        schemas[model.__name__] = schema
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    for operations in document["paths"].values():
        for operation in operations.values():
            _replace_validation_answer(operation["responses"])
            _describe_scopes(operation)
            _describe_limits(operation)


def _describe_scopes(operation: dict[str, Any]) -> None:
    """Say that one of several scopes is enough, what happens without it, and that there may be limits."""
    for requirement in operation.get("security", [])[:]:
        ((scheme, scopes),) = requirement.items()
        operation["security"] = [{scheme: [scope]} for scope in scopes]
        _add_answers(operation, 403, 429)


def _describe_limits(operation: dict[str, Any]) -> None:
    """Say that a request may be too long."""
    _add_answers(operation, 414, 431, *([413] if "requestBody" in operation else []))


def _add_answers(operation: dict[str, Any], *statuses: int) -> None:
    for status, answer in documented(*statuses).items():
        operation["responses"].setdefault(str(status), answer)


def _replace_validation_answer(responses: dict[str, Any]) -> None:
    """FastAPI announces its own 422 body; ours is a problem."""
    answer = responses.get("422", {}).get("content", {})
    if "HTTPValidationError" in str(answer):
        answer.clear()
        answer["application/problem+json"] = {"schema": {"$ref": "#/components/schemas/ProblemBody"}}
