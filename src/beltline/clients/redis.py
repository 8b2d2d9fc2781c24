"""Redis: how a client is made, and how an entry is put into a stream once."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from typing import Any

import msgspec
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import (
    AuthenticationError,
    DataError,
    NoPermissionError,
    RedisError,
    ResponseError,
)
from redis.exceptions import ConnectionError as LineBroken
from redis.exceptions import TimeoutError as NoAnswer

from beltline.clients.account import CONNECT_S, Misconfigured, server_of, unreachable, words
from beltline.sdk import Client, ClientFailed, Connection, ConnectionKind, Http

SCHEMES = {"redis": (6379, False), "rediss": (6379, True)}
_ANSWER_S = 20.0
# The entry, and beside it the key that tells a repeat, both or neither.
_ADD_ONCE = """\
local id = redis.call('GET', KEYS[2])
if id then return {id, 1} end
id = redis.call('XADD', KEYS[1], unpack(ARGV, 2))
redis.call('SET', KEYS[2], id, 'PX', ARGV[1])
return {id, 0}
"""
# What Redis answers where the step's author or the operator has to change something.
_PERMANENT = ("WRONGTYPE", "CROSSSLOT", "NOPERM", "NOAUTH", "WRONGPASS")


class Added(msgspec.Struct, frozen=True):
    """The id of an entry; `is_repeat` where it was there before."""

    id: str
    is_repeat: bool


def redis_of(connection: Connection, *, answer_s: float) -> Redis:
    """A client, which connects at its first question and does not ask twice. Raises
    `Misconfigured`.
    """
    server = server_of(connection, SCHEMES)
    if server.path and not server.path.isdecimal():
        raise Misconfigured("the address of Redis ends with a number: that of its database")
    tls: dict[str, Any] = {"ssl": True, "ssl_ca_certs": ssl.get_default_verify_paths().cafile}
    return Redis(
        host=server.host,
        port=server.port,
        db=int(server.path or 0),
        username=server.user or None,
        password=server.secret or None,
        socket_connect_timeout=CONNECT_S,
        socket_timeout=answer_s,
        client_name="beltline",
        retry=Retry(NoBackoff(), 0),
        **(tls if server.tls else {}),
    )


class RedisPublisher:
    """A client by which entries are put into streams."""

    def __init__(self, client: Redis) -> None:
        self._client = client

    def is_open(self) -> bool:
        """A connection that broke is opened anew at the next question."""
        return True

    async def close(self) -> None:
        """Leaves."""
        await self._client.aclose()

    async def describe(self) -> str:
        """What is at the other end."""
        try:
            about = await self._client.info("server")
        except NoPermissionError:
            return "Redis lets the account in"
        return f"Redis {about.get('redis_version', '')} lets the account in"

    async def add(
        self,
        stream: str,
        fields: Mapping[str, str | bytes],
        *,
        key: str,
        known_for_ms: int,
        keep: int | None,
        keep_since: int | None = None,
    ) -> Added:
        """Adds an entry; the same key within `known_for_ms` adds nothing. Of more entries than
        about `keep` the oldest go, or those from before about `keep_since` (Unix ms, by Redis's
        clock). Raises `ClientFailed`.
        """
        trimmed: list[str | bytes] = [] if keep is None else ["MAXLEN", "~", str(keep)]
        if keep_since is not None:
            trimmed = ["MINID", "~", str(keep_since)]
        pairs = [part for pair in fields.items() for part in pair]
        arguments: list[str | bytes] = [*trimmed, "*", *pairs]
        try:
            if not known_for_ms:
                return await self._add(stream, arguments)
            once = (stream, known_at(stream, key), known_for_ms, arguments)
            try:
                return await self._add_once(*once)
            except LineBroken:  # a kept line that the server closed: asked twice it adds once
                return await self._add_once(*once)
        except (AuthenticationError, NoPermissionError, DataError) as refused:
            raise ClientFailed(f"Redis: {words(refused)}", permanent=True) from refused
        except (LineBroken, NoAnswer, OSError) as lost:
            raise ClientFailed(f"Redis did not answer: {words(lost)}") from lost
        except ResponseError as refused:
            said = words(refused)
            permanent = any(code in said for code in _PERMANENT)
            raise ClientFailed(f"Redis: {said}", permanent=permanent) from refused

    async def _add(self, stream: str, arguments: list[str | bytes]) -> Added:
        client: Any = self._client  # the library has types here and there
        id = await client.execute_command("XADD", stream, *arguments)
        return Added(id.decode(), is_repeat=False)

    async def _add_once(
        self, stream: str, known: str, known_for_ms: int, arguments: list[str | bytes]
    ) -> Added:
        client: Any = self._client
        id, is_repeat = await client.eval(
            _ADD_ONCE, 2, stream, known, str(known_for_ms), *arguments
        )
        return Added(id.decode(), bool(is_repeat))


def known_at(stream: str, key: str) -> str:
    """The key beside a stream that tells a repeat: in a cluster, in the stream's own slot."""
    start, tag = stream.find("{"), ""
    if start >= 0:
        tag = stream[start + 1 : stream.find("}", start + 1)] if "}" in stream[start + 1 :] else ""
    return f"beltline:{{{tag or stream}}}:{stream}:{key}"


async def open_redis(connection: Connection) -> Redis:
    """A client that was answered. Raises `ClientFailed`."""
    client = redis_of(connection, answer_s=_ANSWER_S)
    try:
        await client.ping()
    except AuthenticationError as refused:
        await client.aclose()
        raise ClientFailed(
            f"Redis refused the account of the connection {connection.name}", permanent=True
        ) from refused
    except (RedisError, OSError) as wrong:
        await client.aclose()
        raise unreachable(connection, wrong) from wrong
    except BaseException:  # whoever asked is cancelled
        await client.aclose()
        raise
    return client


async def _open(connection: Connection) -> RedisPublisher:
    return RedisPublisher(await open_redis(connection))


async def _check(connection: Connection, _http: Http) -> str:
    line = await _open(connection)
    try:
        return await line.describe()
    finally:
        await line.close()


PUBLISHER = Client(
    name="redis-publisher",
    open=_open,
    close=RedisPublisher.close,
    is_open=RedisPublisher.is_open,
)
kind = ConnectionKind(name="redis", check=_check)
