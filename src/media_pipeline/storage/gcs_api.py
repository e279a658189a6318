"""Google's JSON API, as far as obstore does not go: listings, conditional deletes, resumable sessions.

Guarantee: what is tried again is safe to be: reads, writes with a generation, and a session, which
knows by itself how far it is. Reference: https://cloud.google.com/storage/docs/json_api/v1.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import quote

from media_pipeline.storage.disposition import disposition
from media_pipeline.storage.google_credentials import GoogleCredentials
from media_pipeline.storage.patience import Patience
from media_pipeline.storage.store import MediaObject, Version
from media_pipeline.storage.web import check, open_web, send

GOOGLE: Final = "https://storage.googleapis.com"
_FIELDS: Final = "name,size,contentType,generation,timeCreated"


class GcsApi:
    """One bucket by JSON; `url` is Google's or an emulator's, `timeout` seconds bound one request."""

    def __init__(
        self,
        bucket: str,
        credentials: GoogleCredentials,
        *,
        patience: Patience,
        url: str = GOOGLE,
        timeout: float = 30,
    ) -> None:
        self.url = url
        self.bucket = bucket
        self.patience = patience
        self._credentials = credentials
        self.web = open_web(timeout)

    async def aclose(self) -> None:
        """Close the connections."""
        await self.web.aclose()

    async def walk(self, prefix: str) -> AsyncIterator[MediaObject]:
        """Yield the objects whose name starts with `prefix`, by path; one request a thousand."""
        token = ""
        while True:
            query = {"prefix": prefix, "maxResults": "1000", "fields": f"nextPageToken,items({_FIELDS})"}
            page = await self.call("GET", "/o", {**query, **({"pageToken": token} if token else {})})
            for item in page.get("items", []):
                yield _as_object(item)
            token = page.get("nextPageToken", "")
            if not token:
                return

    async def delete(self, path: str, generation: str) -> None:
        """Remove one generation; `ObjectNotFound` or `PreconditionFailed` where it is not there."""
        await self.call("DELETE", f"/o/{quote(path, safe='')}", {"ifGenerationMatch": generation})

    async def crc32c_of(self, path: str, version: Version) -> str | None:
        """Return the CRC32C of one generation, in base64."""
        query = {"generation": version, "fields": "crc32c"}
        found = (await self.call("GET", f"/o/{quote(path, safe='')}", query)).get("crc32c")
        return found if isinstance(found, str) else None

    async def call(
        self, method: str, place: str, query: Mapping[str, str], *, json: Any = None
    ) -> dict[str, Any]:
        """Call a method on the bucket (`place` is empty) or below it and return its answer."""
        url = f"{self.url}/storage/v1/b/{quote(self.bucket, safe='')}{place}"

        async def once() -> dict[str, Any]:
            answer = await send(self.web, method, url, params=query, json=json, headers=await self.bearer())
            check(answer)
            loaded = answer.json() if answer.content else {}
            return loaded if isinstance(loaded, dict) else {}

        return await self.patience.run(once)

    async def start_session(
        self, path: str, content_type: str, *, metadata: Mapping[str, str], if_generation: str | None
    ) -> str:
        """Begin a resumable upload and return its URL, which is itself the permission to go on."""
        url = f"{self.url}/upload/storage/v1/b/{quote(self.bucket, safe='')}/o"
        query = {"uploadType": "resumable", "name": path}
        if if_generation is not None:
            query["ifGenerationMatch"] = if_generation
        shown = disposition(path, content_type)
        body = {"contentType": content_type, "contentDisposition": shown, "metadata": dict(metadata)}

        async def once() -> str:
            answer = await send(self.web, "POST", url, params=query, json=body, headers=await self.bearer())
            check(answer)
            return answer.headers["location"]

        return await self.patience.run(once)

    async def bearer(self) -> dict[str, str]:
        """Return the header that names us."""
        return {"Authorization": f"Bearer {(await self._credentials.token()).text}"}


def _as_object(item: Mapping[str, str]) -> MediaObject:
    return MediaObject(
        path=item["name"],
        size=int(item["size"]),
        content_type=item.get("contentType", ""),
        created_at=datetime.fromisoformat(item["timeCreated"]).astimezone(UTC).replace(microsecond=0),
        version=Version(item["generation"]),
    )
