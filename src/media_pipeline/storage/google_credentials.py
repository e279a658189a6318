"""Who the program is at Google: tokens and signatures, from a key, a machine or another identity provider.

Guarantees: nothing blocks the event loop; a token is asked for once while it lasts; the same bytes
are signed once. Not guaranteed: that the account may sign without a key, which needs
`iam.serviceAccounts.signBlob` on itself (the role Service Account Token Creator).
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import warnings
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import google.auth
import google.auth.exceptions
import google.auth.transport
import httpx2
from google.auth import aws, external_account, identity_pool, pluggable
from google.auth.credentials import Credentials
from google.oauth2 import service_account

from media_pipeline.storage.patience import Patience
from media_pipeline.storage.store import StoreError
from media_pipeline.storage.web import check, open_web, send, tls

SCOPES: Final = ("https://www.googleapis.com/auth/cloud-platform",)
IAM: Final = "https://iamcredentials.googleapis.com"
_EARLY: Final = timedelta(minutes=5)
_DEFAULT: Final = "GOOGLE_APPLICATION_CREDENTIALS"
_AWS_TOKEN: Final = "urn:ietf:params:aws:token-type:aws4_request"  # noqa: S105 - the name of a kind
_KEPT: Final = 2048
_TIMEOUT: Final = 30.0


@dataclass(frozen=True, slots=True)
class Token:
    """A Bearer token and when it ends, in UTC."""

    text: str
    expires_at: datetime


class GoogleCredentials:
    """Opens what `service_account_json` names: the JSON itself, a path to it, or None for the default.

    Raises `StoreError` for JSON that cannot be used. The default is looked for at the first use.
    """

    def __init__(
        self, service_account_json: str | None, *, patience: Patience | None = None, iam_url: str = IAM
    ) -> None:
        self._credentials = None if service_account_json is None else _load(service_account_json)
        self._patience = patience or Patience()
        self._iam_url = iam_url
        self._lock = asyncio.Lock()
        self._token: Token | None = None
        self._signatures: OrderedDict[bytes, asyncio.Task[bytes]] = OrderedDict()

    async def token(self) -> Token:
        """Return a token that lasts at least some minutes; `StoreError` where there is none."""
        async with self._lock:
            if self._token is None or self._token.expires_at - _EARLY < datetime.now(UTC):
                self._token = await asyncio.to_thread(self._refresh)
            return self._token

    async def email(self) -> str:
        """Return the service account that signs; `StoreError` where the credentials have none."""
        if self._credentials is None or _email(self._credentials) in {None, "default"}:
            await self.token()
        email = _email(self._credentials)
        if email is None:
            raise StoreError("These Google credentials cannot sign URLs: set GCS_SERVICE_ACCOUNT_JSON.")
        return email

    async def sign(self, data: bytes) -> bytes:
        """Return the RSA-SHA256 signature of `data`, by the key here or by IAM."""
        task = self._signatures.get(data)
        if task is None or (task.done() and (task.cancelled() or task.exception())):
            task = self._signatures[data] = asyncio.ensure_future(self._sign(data))
            if len(self._signatures) > _KEPT:
                self._signatures.popitem(last=False)
        return await asyncio.shield(task)

    async def _sign(self, data: bytes) -> bytes:
        email = await self.email()
        if isinstance(self._credentials, service_account.Credentials):
            return bytes(await asyncio.to_thread(self._credentials.sign_bytes, data))
        return await self._sign_by_iam(email, data)

    async def _sign_by_iam(self, email: str, data: bytes) -> bytes:
        """Ask IAM: https://cloud.google.com/iam/docs/reference/credentials/rest."""
        url = f"{self._iam_url}/v1/projects/-/serviceAccounts/{email}:signBlob"
        body = {"payload": base64.b64encode(data).decode()}

        async def once() -> bytes:
            headers = {"Authorization": f"Bearer {(await self.token()).text}"}
            answer = await send(web, "POST", url, headers=headers, json=body)
            check(answer)
            return base64.b64decode(answer.json()["signedBlob"])

        try:
            async with open_web(_TIMEOUT) as web:
                return await self._patience.run(once)
        except StoreError as error:
            raise StoreError(f"IAM did not sign as {email}: {error}") from error

    def _refresh(self) -> Token:
        try:
            with httpx2.Client(timeout=_TIMEOUT, verify=tls()) as web:
                if self._credentials is None:
                    self._credentials = _find(_Transport(web))
                self._credentials.refresh(_Transport(web))
        except (google.auth.exceptions.GoogleAuthError, httpx2.HTTPError) as error:
            raise StoreError(f"Google gave no token: {error}") from error
        expiry = self._credentials.expiry or datetime.now() + timedelta(hours=1)  # noqa: DTZ005 - naive UTC
        return Token(str(self._credentials.token), expiry.replace(tzinfo=UTC))


class _Transport(google.auth.transport.Request):
    """The HTTP that google-auth wants, by the client that the program has."""

    def __init__(self, web: httpx2.Client) -> None:
        self._web = web

    def __call__(
        self,
        url: str,
        method: str = "GET",
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = _TIMEOUT,
        **_: object,
    ) -> google.auth.transport.Response:
        try:
            answer = self._web.request(method, url, content=body, headers=headers, timeout=timeout)
        except httpx2.HTTPError as error:
            raise google.auth.exceptions.TransportError(error) from error
        return _Response(answer)


class _Response(google.auth.transport.Response):
    def __init__(self, answer: httpx2.Response) -> None:
        self._answer = answer

    @property
    def status(self) -> int:
        return self._answer.status_code

    @property
    def headers(self) -> Mapping[str, str]:
        return self._answer.headers

    @property
    def data(self) -> bytes:
        return self._answer.content


def _find(transport: _Transport) -> Credentials:
    """Return the application default credentials."""
    if path := os.environ.get(_DEFAULT):
        return _load(path, name=_DEFAULT)
    found: Credentials
    found, _ = google.auth.default(scopes=list(SCOPES), request=transport)
    return found


def _load(text: str, *, name: str = "GCS_SERVICE_ACCOUNT_JSON") -> Credentials:
    """Read the JSON of a service account, or of any other kind that google-auth knows, or a path to it."""
    try:
        return _open(json.loads(text if text.lstrip().startswith("{") else Path(text).read_text()))
    except (OSError, ValueError, KeyError, TypeError, google.auth.exceptions.GoogleAuthError) as error:
        raise StoreError(f"{name} cannot be used: {type(error).__name__}.") from error


def _open(info: dict[str, Any]) -> Credentials:
    credentials: Credentials
    if info["type"] == "service_account":
        credentials = service_account.Credentials.from_service_account_info(info, scopes=SCOPES)
    elif info["type"] == "external_account":
        # google-auth's own way in asks Google for the project's name at once, with a client we do not have
        credentials = _provider_of(info).from_info(info, scopes=SCOPES)
    else:
        with warnings.catch_warnings():  # of configurations that strangers give; this one is the operator's
            warnings.simplefilter("ignore", DeprecationWarning)
            credentials, _ = google.auth.load_credentials_from_dict(info, scopes=list(SCOPES))
    return credentials


def _provider_of(info: dict[str, Any]) -> type[external_account.Credentials]:
    """Return what reads the foreign identity of a workload, as google-auth chooses it."""
    if info.get("subject_token_type") == _AWS_TOKEN:
        return aws.Credentials
    if "executable" in (info.get("credential_source") or {}):
        return pluggable.Credentials
    return identity_pool.Credentials


def _email(credentials: Credentials | None) -> str | None:
    email = getattr(credentials, "service_account_email", None)
    return email if isinstance(email, str) else None
