"""The whole program over an S3-compatible bucket, as moto's server plays one."""

from __future__ import annotations

from pathlib import Path

from tests.integration.program import picture, read_object, running
from tests.servers.s3 import new_bucket, shared_s3


async def test_an_upload_and_a_generation_live_in_the_bucket(tmp_path: Path) -> None:
    """A presigned PUT and a generated picture become items whose addresses lead to the bucket's bytes."""
    url = shared_s3()
    settings = {
        "s3_bucket": new_bucket(url),
        "aws_endpoint_url": url,
        "aws_access_key_id": "testing",
        "aws_secret_access_key": "testing",
        "database_url": f"sqlite:///{tmp_path / 'rows.db'}",
    }
    async with running(**settings) as service:  # type: ignore[arg-type] # settings by name
        api = service.user("ann")
        permission = await api.init(filename="a.png", contentType="image/png", size=len(picture()))
        assert permission["uploadURL"].startswith(f"{url}/")
        assert permission["headers"] == {"Content-Type": "image/png", "If-None-Match": "*"}
        put = await service.http.put(
            permission["uploadURL"], content=picture(), headers=permission["headers"]
        )
        again = await service.http.put(
            permission["uploadURL"], content=picture(), headers=permission["headers"]
        )
        assert (put.status_code, again.status_code) == (200, 412)
        done = read_object(await api.complete(permission))
        assert (await api.end(permission["jobId"])).name == "upload_complete"
        drawn = (await api.end(await api.generate())).data["result"]["items"][0]
        for address, begin in ((done["url"], b"\x89PNG"), (drawn["url"], b"\x89PNG")):
            answer = await service.http.get(address, follow_redirects=True)
            assert (answer.status_code, answer.content[:4]) == (200, begin)
            assert str(answer.url).startswith(url)
        assert (await api.ask("DELETE", f"/media/{drawn['path']}")).status_code == 204
        assert (await service.http.get(drawn["url"], follow_redirects=True)).status_code == 404
