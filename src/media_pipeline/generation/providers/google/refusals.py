"""What the errors of Google's APIs mean (google.rpc.Status, https://google.aip.dev/193)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from media_pipeline.generation.provider import ErrorCode, ProviderError
from media_pipeline.generation.providers.wire import Reply, Wire, find_message

_POLICY: Final = re.compile(
    r"safety|prohibited|usage guidelines|violat|content_blocked|responsible ai|sensitive words", re.IGNORECASE
)
_STATUSES: Final[Mapping[str, ErrorCode]] = {
    "UNAUTHENTICATED": ErrorCode.AUTH,
    "PERMISSION_DENIED": ErrorCode.AUTH,
    "FAILED_PRECONDITION": ErrorCode.UNSUPPORTED,
    "UNAVAILABLE": ErrorCode.OVERLOADED,
}


def refusal(wire: Wire, reply: Reply) -> ProviderError:
    """Return the error that an unsuccessful answer means.

    Google says a wrong key with 400, an empty purse and a busy minute both with 429: the details tell them
    apart, and how long to wait.
    """
    body = reply.object()
    details = list(_details(body))
    error = wire.refusal(reply, _reason(body, details))
    error.retry_after = error.retry_after or _delay(details)
    return error


def is_policy(text: str) -> bool:
    """Tell whether a sentence or code of Google refuses the content."""
    return bool(_POLICY.search(text))


def _reason(body: Mapping[str, Any], details: list[Mapping[str, Any]]) -> ErrorCode | None:
    if any(detail.get("reason") == "API_KEY_INVALID" for detail in details):
        return ErrorCode.AUTH
    if any("PerDay" in str(violation) for detail in details for violation in detail.get("violations", ())):
        return ErrorCode.QUOTA
    status = str(_error(body).get("status"))
    if status == "INVALID_ARGUMENT" and is_policy(find_message(body) or ""):
        return ErrorCode.POLICY_INPUT
    return _STATUSES.get(status)


def _delay(details: list[Mapping[str, Any]]) -> float | None:
    """Return the seconds of a `RetryInfo`, such as "13s"."""
    for detail in details:
        if found := re.fullmatch(r"(\d+(?:\.\d+)?)s", str(detail.get("retryDelay"))):
            return float(found[1])
    return None


def _details(body: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    details = _error(body).get("details")
    yield from (
        (detail for detail in details if isinstance(detail, Mapping)) if isinstance(details, list) else ()
    )


def _error(body: Mapping[str, Any]) -> Mapping[str, Any]:
    error = body.get("error")
    return error if isinstance(error, Mapping) else {}
