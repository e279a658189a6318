"""What the codes in OpenAI's error envelope mean; `/videos` and its kin speak them too."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from media_pipeline.generation.provider import ErrorCode
from media_pipeline.jsonvalue import Json

_CODES: Final[Mapping[str, ErrorCode]] = {
    "insufficient_quota": ErrorCode.QUOTA,
    "billing_hard_limit_reached": ErrorCode.QUOTA,
    "billing_not_active": ErrorCode.QUOTA,
    "model_not_found": ErrorCode.GONE,
    "rate_limit_exceeded": ErrorCode.RATE_LIMITED,
}
_POLICY: Final = frozenset({"moderation_blocked", "content_policy_violation", "content_filter"})


def reason_of(body: Json, *, of_result: bool) -> ErrorCode | None:
    """Return what an error means, None where only its status tells.

    A refusal of the content is one of the result where the work had begun (`of_result`) or the text says so.
    """
    if is_policy(body):
        late = of_result or "generated" in _field(body, "message")
        return ErrorCode.POLICY_OUTPUT if late else ErrorCode.POLICY_INPUT
    return _CODES.get(_field(body, "code") or _field(body, "type"))


def is_policy(body: Json) -> bool:
    """Tell whether an error refuses the content."""
    return _field(body, "code") in _POLICY


def _field(body: Json, name: str) -> str:
    error = body.get("error") if isinstance(body, Mapping) else None
    value = error.get(name) if isinstance(error, Mapping) else None
    return value if isinstance(value, str) else ""
