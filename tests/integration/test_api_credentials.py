"""What a provider signed stays signed."""

from __future__ import annotations

import struct
import zlib

from media_pipeline.generation.provider import Output
from tests.integration.program import Scripted, picture, running

MANIFEST = b"\x00\x00\x00\x20jumb\x00\x00\x00\x18jumdc2pa a signed manifest"


def signed_png() -> bytes:
    """A PNG with a C2PA chunk (`caBX`), as the specification puts it, after IHDR."""
    data = picture()
    chunk = b"caBX" + MANIFEST
    whole = struct.pack(">I", len(MANIFEST)) + chunk + struct.pack(">I", zlib.crc32(chunk))
    return data[:33] + whole + data[33:]


def signed_jpeg() -> bytes:
    """A JPEG with a C2PA segment (APP11), right after its start."""
    data = picture(kind="JPEG")
    return data[:2] + b"\xff\xeb" + struct.pack(">H", len(MANIFEST) + 2) + MANIFEST + data[2:]


async def test_a_signed_png_stays_as_it_came() -> None:
    """A PNG with content credentials is kept byte for byte: any mark of ours would break them."""
    given = signed_png()
    outputs = [Output(index=0, content_type="image/png", data=given)]
    async with running(providers=[Scripted(scripts=[outputs])]) as service:
        api = service.user("ann")
        job_id = await api.generate()
        end = await api.end(job_id)
        [item] = end.data["result"]["items"]
        assert (await api.http.get(item["url"])).content == given
        assert "originalUrl" not in item


async def test_what_must_be_encoded_anew_is_kept_beside() -> None:
    """A signed JPEG becomes a PNG with our marks; the signed bytes stand beside it until it is deleted."""
    given = signed_jpeg()
    outputs = [Output(index=0, content_type="image/jpeg", data=given)]
    async with running(providers=[Scripted(scripts=[outputs])]) as service:
        api = service.user("ann")
        job_id = await api.generate()
        [item] = (await api.end(job_id)).data["result"]["items"]
        shown = (await api.http.get(item["url"])).content
        assert shown.startswith(b"\x89PNG")
        assert b"trainedAlgorithmicMedia" in shown
        assert (await api.http.get(item["originalUrl"])).content == given
        assert (await api.ask("DELETE", f"/media/{item['path']}")).status_code == 204
        assert await service.objects(api) == []


async def test_an_unsigned_picture_is_not_kept_twice() -> None:
    """Where nothing is lost nothing is kept beside."""
    outputs = [Output(index=0, content_type="image/jpeg", data=picture(kind="JPEG"))]
    async with running(providers=[Scripted(scripts=[outputs])]) as service:
        api = service.user("ann")
        job_id = await api.generate()
        [item] = (await api.end(job_id)).data["result"]["items"]
        assert "originalUrl" not in item
        assert not [path for path in await service.objects(api) if "original" in path]
