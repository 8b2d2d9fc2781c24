"""A stand-in of an S3 service: one bucket in memory, as far as sources of files use it.

It speaks the REST interface (ListObjectsV2 in pages, GetObject, HeadObject, PutObject, CopyObject,
DeleteObject, DeleteObjects) with its errors in XML, and takes only requests that carry a signature
(SigV4) of the access key that it knows; the signature itself is not worked out again.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from urllib.parse import unquote
from xml.sax.saxutils import escape, unescape

import msgspec
from aiohttp import web

KEY_ID = "AKIATEST"
BUCKET = "drop"
PAGE = 2  # small, so that every listing has several
_KEY = re.compile(r"<Key>([^<]*)</Key>")
_NAMESPACE = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'


class Stored(msgspec.Struct, frozen=True):
    """An object of the bucket."""

    body: bytes
    modified: datetime

    @property
    def etag(self) -> str:
        """As the service tells it, in quotes."""
        return f'"{hashlib.md5(self.body, usedforsecurity=False).hexdigest()}"'


class S3Service:
    """The service; `objects` are those of its bucket, by their keys."""

    def __init__(self) -> None:
        self.objects: dict[str, Stored] = {}
        self.address = ""
        self.calls: list[str] = []
        self._time = datetime(2026, 1, 1, tzinfo=UTC)

    def put(self, key: str, body: bytes) -> None:
        """Stores an object; each one a second after the one before."""
        self._time += timedelta(seconds=1)
        self.objects[key] = Stored(body, self._time)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """One call."""
        signed = request.headers.get("Authorization", "")
        if not signed.startswith(f"AWS4-HMAC-SHA256 Credential={KEY_ID}/"):
            return _error(403, "InvalidAccessKeyId")
        bucket, _, key = request.path.removeprefix("/").partition("/")
        if bucket != BUCKET:
            return _error(404, "NoSuchBucket")
        self.calls.append(f"{request.method} {key}")
        if request.method == "GET" and not key:
            return self._list(request)
        if request.method == "PUT":
            return self._put(key, request.headers.get("x-amz-copy-source"), await request.read())
        if request.method == "POST" and "delete" in request.query:
            return self._delete_many(await request.text())
        if request.method == "DELETE":
            self.objects.pop(key, None)
            return web.Response(status=204)
        found = self.objects.get(key)
        if found is None:
            return _error(404, "NoSuchKey")
        headers = {
            "ETag": found.etag,
            "Last-Modified": format_datetime(found.modified, usegmt=True),
            "Content-Length": str(len(found.body)),
        }
        return web.Response(body=found.body, headers=headers)

    def _put(self, key: str, source: str | None, body: bytes) -> web.Response:
        if source is None:
            self.put(key, body)
            return web.Response(headers={"ETag": self.objects[key].etag})
        found = self.objects.get(unquote(source).removeprefix("/").removeprefix(f"{BUCKET}/"))
        if found is None:
            return _error(404, "NoSuchKey")
        self.put(key, found.body)
        return _xml(
            f"<CopyObjectResult {_NAMESPACE}><LastModified>2026-01-01T00:00:00.000Z"
            f"</LastModified><ETag>{escape(found.etag)}</ETag></CopyObjectResult>"
        )

    def _delete_many(self, asked: str) -> web.Response:
        keys = [unescape(key) for key in _KEY.findall(asked)]
        for key in keys:
            self.objects.pop(key, None)
        deleted = "".join(f"<Deleted><Key>{escape(key)}</Key></Deleted>" for key in keys)
        return _xml(f"<DeleteResult {_NAMESPACE}>{deleted}</DeleteResult>")

    def _list(self, request: web.Request) -> web.Response:
        query = request.query
        prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
        after = query.get("continuation-token", "")
        contents, folders = [], set()
        for key in sorted(self.objects):
            if not key.startswith(prefix) or key <= after:
                continue
            rest = key[len(prefix) :]
            if delimiter and delimiter in rest:
                folders.add(prefix + rest.partition(delimiter)[0] + delimiter)
                continue
            contents.append(key)
        more = len(contents) > PAGE
        contents = contents[:PAGE]
        listed = "".join(
            f"<Contents><Key>{escape(key)}</Key><Size>{len(self.objects[key].body)}</Size>"
            f"<LastModified>{self.objects[key].modified:%Y-%m-%dT%H:%M:%S.000Z}</LastModified>"
            f"<ETag>{escape(self.objects[key].etag)}</ETag></Contents>"
            for key in contents
        )
        listed += "".join(
            f"<CommonPrefixes><Prefix>{escape(one)}</Prefix></CommonPrefixes>" for one in folders
        )
        token = ""
        if more:
            token = f"<NextContinuationToken>{escape(contents[-1])}</NextContinuationToken>"
        return _xml(
            f"<ListBucketResult {_NAMESPACE}><Name>{BUCKET}</Name><KeyCount>{len(contents)}"
            f"</KeyCount><IsTruncated>{'true' if more else 'false'}</IsTruncated>"
            f"{token}{listed}</ListBucketResult>"
        )


def _xml(text: str, status: int = 200) -> web.Response:
    return web.Response(
        status=status,
        body=f'<?xml version="1.0" encoding="UTF-8"?>{text}'.encode(),
        content_type="application/xml",
    )


def _error(status: int, code: str) -> web.Response:
    return _xml(f"<Error><Code>{code}</Code><Message>{code}</Message></Error>", status)


@asynccontextmanager
async def s3_service() -> AsyncIterator[S3Service]:
    """Runs a service until the block ends."""
    service = S3Service()
    app = web.Application(client_max_size=2**26)
    app.router.add_route("*", "/{tail:.*}", service.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    service.address = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield service
    finally:
        await runner.cleanup()
