"""The outgoing client: every request that a module sends goes through here.

One request goes this way: the URL is parsed and refused if it is unusual; the name is resolved and
every address checked; the socket is opened to the checked address, while the name stays in `Host`
and in TLS; the answer is read up to a limit. A redirect is a new request with new checks. Private
addresses are open only at the connection's own address, and only if it says
`private_addresses: allow`.

Errors name scheme, host and port. Paths and queries stay out, since secrets stand there.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Callable, Mapping
from functools import partial
from ssl import SSLContext
from types import TracebackType
from typing import Self

import aiohttp
from aiohttp.abc import AbstractResolver
from yarl import URL

from beltline.core.limits import LIMITS
from beltline.egress.addresses import IPAddress, refusal
from beltline.egress.gate import CheckedResolver, checked_sockets
from beltline.egress.target import Refused, Target, parse_target
from beltline.sdk import AnswerTooLarge, Connection, HttpFailed, HttpResponse

CONNECT_S = 5.0  # for one address: a host that does not answer at all is found out by then
REDIRECTS = 5  # a service that moved needs one or two; more is a loop
_CONNECTIONS = 256  # open at once; past it requests wait for one another
_CHUNK_BYTES = 65_536
_REDIRECT_STATUSES = frozenset({301, 302, 303, 307, 308})
_FOLLOWED_METHODS = frozenset({"GET", "HEAD"})
# What a request may carry on to another host: nothing that could be a credential.
_HEADERS_FOR_ANYONE = frozenset({"accept", "accept-language", "user-agent"})
# What only the client itself can know, or what would send the request elsewhere than checked.
_OWN_HEADERS = frozenset(
    {"accept-encoding", "connection", "content-length", "host", "te", "transfer-encoding"}
    | {"upgrade", "expect", "trailer", "proxy-authorization", "keep-alive"}
)
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_GZIP_OR_ZLIB = 47  # the window bits with which zlib tells the two apart itself


class OutgoingClient:
    """`sdk.Http` over aiohttp. It belongs to the event loop of its first request.

    `resolver` gives the maker of the name resolver, `policy` the addresses that are refused, and
    `tls` the certificates that are trusted; all have defaults and are given by tests. `body_bytes`
    bounds what is sent, `answer_bytes` what is read, also after decompression; `connections` how
    many are open at once (0: as many as are asked for).
    """

    def __init__(
        self,
        *,
        resolver: Callable[[], AbstractResolver] = aiohttp.ThreadedResolver,
        policy: Callable[..., str | None] = refusal,
        tls: SSLContext | None = None,
        body_bytes: int = LIMITS.document_bytes,
        answer_bytes: int = LIMITS.document_bytes,
        connections: int = _CONNECTIONS,
    ) -> None:
        self._resolver = resolver
        self._policy = policy
        self._tls = tls
        self._body_bytes = body_bytes
        self._answer_bytes = answer_bytes
        self._connections = connections
        self._sessions: dict[bool, aiohttp.ClientSession] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Closes every connection. A later request opens new ones."""
        sessions = list(self._sessions.values())
        self._sessions.clear()
        for session in sessions:
            await session.close()

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        timeout_s: float = 30.0,
        connection: Connection | None = None,
    ) -> HttpResponse:
        """Sends one request and reads the whole answer. Raises `HttpFailed`.

        `timeout_s` covers everything: the name, the connection, each redirect and the answer. GET
        and HEAD follow up to 5 redirects; the answer to another method is given as it is.
        """
        target = _permitted(method, url, body, self._body_bytes)
        sent = _checked_headers(headers or {})
        try:
            async with asyncio.timeout(min(timeout_s, LIMITS.timeout_ms / 1000)):
                return await self._follow(method, target, sent, body, connection)
        except TimeoutError:
            raise HttpFailed(f"no answer from {target.origin} within {timeout_s:g} s") from None

    async def _follow(
        self,
        method: str,
        target: Target,
        headers: dict[str, str],
        body: bytes | None,
        connection: Connection | None,
    ) -> HttpResponse:
        for _ in range(REDIRECTS + 1):
            answer = await self._send(method, target, headers, body, connection)
            location = answer.headers.get("location")
            followed = method in _FOLLOWED_METHODS and answer.status in _REDIRECT_STATUSES
            if not followed or location is None:
                return answer
            following = redirected(target, location)
            if following.origin != target.origin:
                headers = {
                    name: value
                    for name, value in headers.items()
                    if name.lower() in _HEADERS_FOR_ANYONE
                }
                body = None
            target = following
        raise HttpFailed(f"{target.origin} redirected more than {REDIRECTS} times", permanent=True)

    async def _send(
        self,
        method: str,
        target: Target,
        headers: dict[str, str],
        body: bytes | None,
        connection: Connection | None,
    ) -> HttpResponse:
        private_allowed = opens_private(connection, target)
        session = self._session(private_allowed)
        try:
            async with session.request(
                method, target.url, headers=headers, data=body, allow_redirects=False
            ) as answer:
                read = await _read(answer, self._answer_bytes, target)
                names = {
                    name.lower(): ", ".join(answer.headers.getall(name)) for name in answer.headers
                }
                return HttpResponse(status=answer.status, headers=names, body=read)
        except Refused as error:
            raise HttpFailed(_with_hint(error, connection), permanent=True) from None
        except aiohttp.ConnectionTimeoutError:
            text = f"no connection to {target.origin} within {CONNECT_S:g} s"
            raise HttpFailed(text, unreachable=True) from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            # An asyncio timeout is an OSError too, and belongs to the caller above.
            if isinstance(error, TimeoutError):
                raise
            raise _failed(error, target) from None

    def _policy_for(self, private_allowed: bool) -> Callable[[IPAddress], str | None]:
        return partial(self._policy, private_allowed=private_allowed)

    def _session(self, private_allowed: bool) -> aiohttp.ClientSession:
        """The pool of connections with or without private addresses: they never share one."""
        session = self._sessions.get(private_allowed)
        if session is None:
            policy = self._policy_for(private_allowed)
            session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    resolver=CheckedResolver(self._resolver(), policy),
                    socket_factory=checked_sockets(policy),
                    limit=self._connections,
                    ssl=True if self._tls is None else self._tls,
                ),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S),
                headers={"Accept-Encoding": "gzip", "User-Agent": "beltline"},
                skip_auto_headers=("Content-Type",),
                auto_decompress=False,
                trust_env=False,  # no proxy and no .netrc from the surroundings
            )
            self._sessions[private_allowed] = session
        return session


def opens_private(connection: Connection | None, target: Target) -> bool:
    """Whether the connection opens private addresses for this target.

    The permission is for the connection's own address: a URL that came with a request, or a
    redirect, does not inherit it.
    """
    if connection is None or connection.options.get("private_addresses") != "allow":
        return False
    try:
        return parse_target(connection.address).origin == target.origin
    except Refused:
        return False


def redirected(target: Target, location: str) -> Target:
    """Where a redirect leads, after the checks of a URL. Raises `HttpFailed`."""
    try:
        following = parse_target(str(target.url.join(URL(location))))
    except (Refused, ValueError, UnicodeError) as error:
        reason = str(error) if isinstance(error, Refused) else "the URL cannot be read"
        raise HttpFailed(
            f"{target.origin} redirected to a refused place: {reason}", permanent=True
        ) from None
    if target.scheme == "https" and following.scheme == "http":
        raise HttpFailed(
            f"{target.origin} redirected from https to http, which is not followed",
            permanent=True,
        )
    return following


def _permitted(method: str, url: str, body: bytes | None, limit_bytes: int) -> Target:
    if method not in _METHODS:
        raise HttpFailed(f"the method {method[:20]!r} is not sent", permanent=True)
    if body is not None and len(body) > limit_bytes:
        raise HttpFailed(
            f"the body has {len(body)} bytes, and at most {limit_bytes} are sent"
            " (limit document_bytes)",
            permanent=True,
        )
    try:
        return parse_target(url)
    except Refused as error:
        raise HttpFailed(str(error), permanent=True) from None


def _checked_headers(headers: Mapping[str, str]) -> dict[str, str]:
    for name, value in headers.items():
        if name.lower() in _OWN_HEADERS:
            raise HttpFailed(f"the header {name[:40]!r} is set by the client", permanent=True)
        if not name.isascii() or not name or any(sign in name + value for sign in "\r\n\0"):
            raise HttpFailed("a header holds a line break or an unusual name", permanent=True)
    return dict(headers)


async def _read(answer: aiohttp.ClientResponse, limit_bytes: int, target: Target) -> bytes:
    """The answer's body, decompressed, at most `limit_bytes` long."""
    parts: list[bytes] = []
    size = 0
    async for part in answer.content.iter_chunked(_CHUNK_BYTES):
        size += len(part)
        if size > limit_bytes:
            raise _too_large(target, limit_bytes)
        parts.append(part)
    body = b"".join(parts)
    encoding = answer.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding == "identity" or not body:
        return body
    if encoding not in {"gzip", "x-gzip", "deflate"}:
        raise HttpFailed(
            f"{target.origin} answered in the encoding {encoding[:20]!r}, which was not asked for",
            permanent=True,
        )
    return _decompressed(body, limit_bytes, target)


def _decompressed(body: bytes, limit_bytes: int, target: Target) -> bytes:
    """Unpacks into a bounded space: a small answer can hold gigabytes."""
    stream = zlib.decompressobj(wbits=_GZIP_OR_ZLIB)
    try:
        unpacked = stream.decompress(body, limit_bytes + 1)
    except zlib.error:
        raise HttpFailed(f"the answer of {target.origin} is broken: it does not unpack") from None
    if len(unpacked) > limit_bytes:
        raise _too_large(target, limit_bytes)
    if not stream.eof:
        raise HttpFailed(f"the answer of {target.origin} is broken: it ends early")
    return unpacked


def _too_large(target: Target, limit_bytes: int) -> HttpFailed:
    return AnswerTooLarge(
        f"the answer of {target.origin} is larger than {limit_bytes} bytes (limit document_bytes)",
        permanent=True,
    )


def _with_hint(error: Refused, connection: Connection | None) -> str:
    if not error.openable:
        return str(error)
    name = "a connection" if connection is None else f"the connection {connection.name!r}"
    return f"{error}; {name} with private_addresses: allow opens them, at its own address only"


def _failed(error: Exception, target: Target) -> HttpFailed:
    """The failure in words of its own: the library's texts can repeat the URL."""
    match error:
        case aiohttp.ClientConnectorCertificateError() | aiohttp.ClientConnectorSSLError():
            text = f"no secure connection to {target.origin}: check its certificate"
            return HttpFailed(text, unreachable=True)
        case aiohttp.ClientConnectorDNSError():
            return HttpFailed(f"the name {target.host} has no address", unreachable=True)
        case aiohttp.ClientConnectorError():
            reason = error.os_error.strerror or type(error.os_error).__name__
            return HttpFailed(f"no connection to {target.origin}: {reason}", unreachable=True)
        case aiohttp.InvalidURL():
            return HttpFailed("the URL cannot be read: check its host and port", permanent=True)
        case _:
            return HttpFailed(f"the connection to {target.origin} broke: {type(error).__name__}")
