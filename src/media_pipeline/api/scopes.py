"""What a token may be used for: the scopes of its `scope` or `scp` claim (RFC 8693, section 4.2; RFC 9068).

| scope | allows |
|---|---|
| `generate` | generations, and to retry or cancel them |
| `upload` | uploads, imports, operations, and to change and delete items |
| `read` | the library, the jobs, the event stream, what can be asked for |
| `admin` | to see and cancel jobs of other users, beside `read` and what the kind of job needs |
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final, Literal, get_args

from media_pipeline.api.problems import Problem

Scope = Literal["generate", "upload", "read", "admin"]

ALL: Final[frozenset[str]] = frozenset(get_args(Scope))
EVERYDAY: Final[frozenset[str]] = ALL - {"admin"}
"""What a token may do that says nothing of scopes."""


def read_scopes(claims: Mapping[str, object], *, unsaid: frozenset[str]) -> frozenset[str]:
    """Return the scopes of ours that a token has, `unsaid` where it has no such claim.

    `scope` is a text with spaces between; `scp`, of other issuers, a text or a list. What is
    neither grants nothing.
    """
    claim = claims.get("scope", claims.get("scp"))
    if claim is None:
        return unsaid
    words = claim.split(" ") if isinstance(claim, str) else claim
    return frozenset(scope for scope in ALL if scope in words) if isinstance(words, list) else frozenset()


def scope_of(kind: str) -> Scope:
    """Return the scope that whoever steers a job of `kind` needs, which is that of who begins one."""
    return "generate" if kind.startswith("generate.") else "upload"


def require(held: Collection[str], *wanted: str) -> None:
    """Raise a 403 unless one of `wanted` is held (RFC 6750, section 3.1)."""
    if wanted and not set(wanted).intersection(held):
        said = " ".join(wanted)
        raise Problem(
            403,
            "insufficient_scope",
            f"The token lacks the scope {' or '.join(wanted)}; ask your issuer for one that has it.",
            headers={"WWW-Authenticate": f'Bearer error="insufficient_scope", scope="{said}"'},
        )
