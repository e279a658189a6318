"""Who is calling: Bearer tokens (RFC 6750) that are signed JWTs (RFC 7519), by a secret or an issuer's keys.

The only file that reads a token. Every defect gives the same 401, so that an answer tells an
attacker nothing.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final

import jwt
from fastapi import Depends, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer, SecurityScopes

from media_pipeline.api.keys import KeySet
from media_pipeline.api.problems import Problem
from media_pipeline.api.rates import count_request
from media_pipeline.api.scopes import EVERYDAY, read_scopes, require
from media_pipeline.ids import UserId

MAX_TOKEN_BYTES: Final = 8192
MAX_KNOWN_TOKENS: Final = 10_000
MAX_SUBJECT_BYTES: Final = 255
MAX_INSTANT: Final = 2**53
LEEWAY_SECONDS: Final = 60

_bearer = HTTPBearer(auto_error=False, description="A JWT whose `sub` claim is the user.")


@dataclass(frozen=True, slots=True)
class Identity:
    """A verified caller; `expires_at` (Unix seconds) is when its token stops being accepted."""

    user_id: UserId
    expires_at: float | None
    scopes: frozenset[str] = EVERYDAY


class Tokens:
    """Verify tokens by one secret (HS256), which makes them in development too, or by an issuer's `keys`.

    Which algorithms count is settled here, never by a token. One that says nothing of scopes has those in
    `unsaid`.
    """

    def __init__(
        self,
        secret: str | None,
        *,
        keys: KeySet | None = None,
        issuer: str | None = None,
        audience: str | None = None,
        unsaid: frozenset[str] = EVERYDAY,
    ) -> None:
        self._secret = secret
        self._unsaid = unsaid
        self._keys = keys
        self._issuer = issuer
        self._audience = audience
        self._known: dict[str, Identity] = {}
        self._known_by = 0

    def issue(
        self, user_id: UserId, *, seconds: int = 30 * 24 * 3600, scopes: Collection[str] = EVERYDAY
    ) -> str:
        """Make a token for `user_id` that is valid for `seconds`; only whoever has the secret can."""
        now = int(time.time())
        said = " ".join(sorted(scopes))
        claims: dict[str, object] = {"sub": user_id, "iat": now, "exp": now + seconds, "scope": said}
        if self._issuer:
            claims["iss"] = self._issuer
        if self._audience:
            claims["aud"] = self._audience
        return jwt.encode(claims, self._secret or "", algorithm="HS256")

    def verify(self, token: str) -> Identity | None:
        """Return who the token names, or None for any defect at all.

        A token found good is so until it expires or the keys change, and is remembered: reading it again
        costs as much as opening a stream, and after a restart everybody comes at once.
        """
        self._follow_keys()
        known = self._known.get(token)
        if known is not None and known.expires_at is not None and time.time() < known.expires_at:
            return known
        identity = self._read(token)
        if identity is not None:
            self._remember(token, identity)
        return identity

    async def verify_anew(self, token: str) -> Identity | None:
        """Verify, and ask the issuer for its keys before a token of an unknown one is refused.

        Raises `KeysUnavailable` while there have never been any keys.
        """
        identity = self.verify(token)
        if identity is None and self._keys is not None and await self._keys.refresh():
            identity = self.verify(token)
        return identity

    def probes(self) -> Mapping[str, Callable[[], Awaitable[None]]]:
        """Return what says, by raising, that nobody's token can be read."""
        return {} if self._keys is None else {"keys": self._keys.probe}

    def _follow_keys(self) -> None:
        if self._keys is None:
            return
        self._keys.freshen()
        if self._keys.version != self._known_by:
            self._known.clear()
            self._known_by = self._keys.version

    def _remember(self, token: str, identity: Identity) -> None:
        if len(self._known) >= MAX_KNOWN_TOKENS:
            self._known.clear()
        self._known[token] = identity

    def _read(self, token: str) -> Identity | None:
        if len(token) > MAX_TOKEN_BYTES:
            return None
        try:
            claims = self._decode(token)
        except (jwt.PyJWTError, ValueError, TypeError, RecursionError):
            return None
        subject, expires_at = claims["sub"], claims["exp"]
        if not _is_subject(subject) or not _is_instant(expires_at):
            return None
        scopes = read_scopes(claims, unsaid=self._unsaid)
        return Identity(UserId(subject), float(expires_at) + LEEWAY_SECONDS, scopes)

    def _decode(self, token: str) -> Mapping[str, Any]:
        key, algorithm = self._secret or "", "HS256"
        if self._keys is not None:
            found = self._keys.find(jwt.get_unverified_header(token))
            if found is None:
                raise jwt.InvalidKeyError("no key of the issuer fits")
            key, algorithm = found.public, found.algorithm
        claims: Mapping[str, Any] = jwt.decode(
            token,
            key,
            algorithms=[algorithm],
            issuer=self._issuer,
            audience=self._audience,
            leeway=LEEWAY_SECONDS,
            options={"require": ["sub", "exp"], "verify_aud": self._audience is not None},
        )
        return claims


def _is_subject(value: object) -> bool:
    if not isinstance(value, str):
        return False
    try:
        return 0 < len(value.encode()) <= MAX_SUBJECT_BYTES
    except UnicodeEncodeError:
        return False


def _is_instant(value: object) -> bool:
    """A NumericDate is a number (RFC 7519, section 2); the library takes text for one, too."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return 0 < value < MAX_INSTANT


async def identify(
    request: Request,
    wanted: SecurityScopes,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
) -> Identity:
    """Return the caller, or answer 401, 403 where its token has none of the scopes `wanted`, or 429."""
    tokens: Tokens = request.app.state.tokens
    identity = await tokens.verify_anew(credentials.credentials) if credentials else None
    if identity is None:
        raise Problem(
            401,
            "unauthorized",
            "Send a valid token: `Authorization: Bearer …`.",
            headers={"WWW-Authenticate": "Bearer"},
        )
    require(identity.scopes, *wanted.scopes)
    await count_request(request, identity.user_id)
    return identity


Reader = Annotated[Identity, Security(identify, scopes=["read"])]
Maker = Annotated[Identity, Security(identify, scopes=["generate"])]
Uploader = Annotated[Identity, Security(identify, scopes=["upload"])]
Steerer = Annotated[Identity, Security(identify, scopes=["generate", "upload"])]
"""One of them: which, the kind of job says."""
