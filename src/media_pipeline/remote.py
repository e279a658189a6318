"""A command beside a running service: it asks by HTTP, for a SQLite file belongs to one process."""

from __future__ import annotations

from typing import Any

import httpx2

from media_pipeline.errors import MediaPipelineError


class RemoteRefused(MediaPipelineError):
    """The service cannot be reached or said no."""


class Remote:
    """Call the service at `base_url` as the owner of `token`."""

    def __init__(self, base_url: str, token: str) -> None:
        self._base_url = base_url
        self._headers = {"Authorization": f"Bearer {token}"}

    def get(self, path: str) -> Any:
        """Return the JSON at `path`, or raise `RemoteRefused` with the service's own sentence."""
        return self._ask("GET", path)

    def post(self, path: str) -> Any:
        """Do what `path` names and return the answer, or raise `RemoteRefused`."""
        return self._ask("POST", path)

    def _ask(self, method: str, path: str) -> Any:
        try:
            answer = httpx2.request(method, self._base_url + path, headers=self._headers, timeout=10)
            body = answer.json()
        except (httpx2.HTTPError, ValueError) as error:
            raise RemoteRefused(f"No service answers at {self._base_url}: {error}.") from error
        if answer.is_error:
            raise RemoteRefused(str(body.get("detail", body)))
        return body
