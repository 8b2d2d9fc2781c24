"""S3: how a bucket is reached, and how its objects are put, fetched and listed.

An object appears whole or not at all, and over what had its key: nothing has to be renamed.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from fnmatch import fnmatchcase
from functools import partial

import msgspec
import obstore
from obstore.exceptions import (
    BaseError,
    InvalidPathError,
    PermissionDeniedError,
    UnauthenticatedError,
)
from obstore.store import S3Store

from beltline.clients.account import Misconfigured, words
from beltline.sdk import Client, ClientFailed, Connection, ConnectionKind, Http

REGION = "us-east-1"
_RETRIES = 2  # the step, or the source's next look, comes again anyway
_SILENT = timedelta(seconds=60)
_CODE = re.compile(r"<Code>(\w{1,60})</Code>")
_NO_BUCKET = "NoSuchBucket"
# The operator's or the author's to mend; what else a service answers may pass by itself.
_WRONG_KEY = frozenset(("InvalidAccessKeyId", "SignatureDoesNotMatch"))
_WRONG_PLACE = frozenset(
    ("AccessDenied", "AuthorizationHeaderMalformed", "InvalidBucketName", _NO_BUCKET)
)
_FOR_GOOD = (PermissionDeniedError, UnauthenticatedError, InvalidPathError, FileNotFoundError)


def bucket_of(connection: Connection, bucket: str, region: str) -> S3Store:
    """A bucket. The connection's user is the id of the access key. Raises `Misconfigured`."""
    user = str(connection.options.get("user") or "")
    if not connection.address or not user or connection.secret is None:
        raise Misconfigured(
            f"the connection {connection.name!r} needs the address of the service, the id of an"
            " access key as its user, and the key as its secret"
        )
    return S3Store(
        bucket,
        endpoint=connection.address.rstrip("/"),
        region=region,
        access_key_id=user,
        secret_access_key=connection.secret.reveal(),
        virtual_hosted_style_request=False,
        client_options={
            "allow_http": connection.address.startswith("http:"),
            "connect_timeout": timedelta(seconds=20),
            "timeout": _SILENT,
        },
        retry_config={"max_retries": _RETRIES, "retry_timeout": _SILENT},
    )


class Fetched(msgspec.Struct, frozen=True):
    """An object's content, and when it was put."""

    content: bytes
    modified: str


class Listed(msgspec.Struct, frozen=True):
    """An object of a prefix; `name` is its key without the prefix."""

    name: str
    bytes: int
    modified: str


class Bucket:
    """A bucket; any number of calls share it."""

    def __init__(self, store: S3Store) -> None:
        self._store = store

    async def put(self, key: str, content: bytes) -> None:
        """Puts an object, over what has this key. Raises `ClientFailed`."""
        with _telling(key):
            await obstore.put_async(self._store, key, content)

    async def get(self, key: str, most: int) -> Fetched | None:
        """An object of at most `most` bytes; None where there is none. Raises `ClientFailed`."""
        with _telling(key):
            try:
                got = await obstore.get_async(self._store, key)
            except FileNotFoundError as missing:
                if _code(missing) == _NO_BUCKET:
                    raise
                return None
            if got.meta["size"] > most:
                raise ClientFailed(f"{key} has more than {most} bytes", permanent=True)
            content = bytes(await got.bytes_async())
        return Fetched(content, got.meta["last_modified"].isoformat())

    async def list(self, prefix: str, pattern: str, most: int) -> tuple[list[Listed], bool]:
        """Up to `most` objects right below a prefix (empty, or ending in a slash), in the order of
        their names, and whether there are more. Raises `ClientFailed`.
        """
        with _telling(prefix or "the bucket"):
            listed = await obstore.list_with_delimiter_async(self._store, prefix or None)
        found = [
            Listed(one["path"].removeprefix(prefix), one["size"], one["last_modified"].isoformat())
            for one in listed["objects"]
            if fnmatchcase(one["path"].removeprefix(prefix), pattern)
        ]
        found.sort(key=lambda one: one.name)
        return found[:most], len(found) > most


@contextmanager
def _telling(what: str) -> Iterator[None]:
    try:
        yield
    except (BaseError, OSError) as wrong:
        code = _code(wrong)
        permanent = isinstance(wrong, _FOR_GOOD) or code in _WRONG_KEY | _WRONG_PLACE
        told = f"the service answers {code}" if code else words(wrong)
        raise ClientFailed(f"{what}: {told}", permanent=permanent) from wrong


def _code(error: Exception) -> str:
    """What the service calls the error; empty where it did not answer. The library tells it in its
    text alone.
    """
    found = _CODE.search(str(error))
    return "" if found is None else found[1]


async def _open(connection: Connection, *, bucket: str, region: str) -> Bucket:
    return Bucket(bucket_of(connection, bucket, region))


async def _close(_bucket: Bucket) -> None:
    """Its lines end by themselves."""


def objects(bucket: str, region: str) -> Client[Bucket]:
    """The client of a bucket."""
    return Client(
        name=f"s3 {region} {bucket}",
        open=partial(_open, bucket=bucket, region=region),
        close=_close,
        is_open=lambda bucket: True,
    )


async def _check(connection: Connection, _http: Http) -> str:
    """Asks for a bucket that cannot be there: that it is missing is told only to a key that is
    known. Which buckets a key may use is told by the steps that use them.
    """
    store = bucket_of(connection, f"beltline-test-{secrets.token_hex(12)}", REGION)
    try:
        await obstore.list_with_delimiter_async(store)
    except (BaseError, OSError) as wrong:
        code = _code(wrong)
        if code in _WRONG_KEY:
            raise ClientFailed(f"the service does not take the key: {code}") from wrong
        if code == "AccessDenied":
            return "the service answers, and lets the key reach certain buckets at most"
        if code != _NO_BUCKET:
            raise ClientFailed(f"{connection.address}: {code or words(wrong)}") from wrong
    return "the service knows the key"


kind = ConnectionKind(name="s3", check=_check)
