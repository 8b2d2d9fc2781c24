"""Requests of the outgoing client over real sockets on loopback: what is sent, read, and told."""

from __future__ import annotations

import asyncio
import gzip
import socket
import tracemalloc
import zlib

import pytest

from beltline.egress.client import OutgoingClient
from beltline.sdk import Connection, Secret
from tests.unit.egress.conftest import MakeNames, Server, answer, failure, open_to_loopback

# What is sent and what is read


async def test_a_request_and_its_answer(client: OutgoingClient, server: Server) -> None:
    server.answers["/orders"] = answer(201, b'{"id": 7}', Content_Type="application/json", X_A="b")
    given = await client.request(
        "POST", server.url("/orders?a=%2Bb"), headers={"X-Key": "k"}, body=b"hello"
    )
    assert (given.status, given.json()) == (201, {"id": 7})
    assert given.headers["x-a"] == "b"
    assert server.bodies == [b"hello"]
    head = server.heads[0]
    assert head.startswith("POST /orders?a=%2Bb HTTP/1.1\r\n")
    assert "X-Key: k\r\n" in head
    assert "User-Agent: beltline\r\n" in head


async def test_headers_that_come_twice_are_joined(client: OutgoingClient, server: Server) -> None:
    server.answers["/"] = b"HTTP/1.1 200 OK\r\nLink: a\r\nLink: b\r\nContent-Length: 0\r\n\r\n"
    assert (await client.request("GET", server.url())).headers["link"] == "a, b"


async def test_cookies_of_one_request_do_not_reach_another(
    client: OutgoingClient, server: Server
) -> None:
    server.answers["/"] = answer(Set_Cookie="session=1")
    await client.request("GET", server.url())
    await client.request("GET", server.url())
    assert "cookie" not in server.heads[1].lower()


async def test_no_proxy_is_taken_from_the_surroundings(
    client: OutgoingClient, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    server.answers["/"] = answer()
    assert (await client.request("GET", server.url())).status == 200


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Host", "other.example"),
        ("host", "other.example"),
        ("Content-Length", "3"),
        ("Transfer-Encoding", "chunked"),
        ("Connection", "close"),
        ("X-A", "b\r\nX-C: d"),
        ("X-A\r\nX-C", "d"),
        ("X-A", "b\x00"),
        ("", "b"),
    ],
)
async def test_headers_that_are_the_clients_own_or_broken_are_refused(
    client: OutgoingClient, server: Server, name: str, value: str
) -> None:
    error = await failure(client.request("GET", server.url(), headers={name: value}))
    assert error.permanent
    assert server.heads == []


async def test_an_unknown_method_is_refused(client: OutgoingClient, server: Server) -> None:
    error = await failure(client.request("GET / HTTP/1.1\r\nX: y\r\n\r\n", server.url()))
    assert error.permanent
    assert server.heads == []


# Limits


async def test_a_body_over_the_limit_is_not_sent(server: Server) -> None:
    async with OutgoingClient(policy=open_to_loopback, body_bytes=4) as client:
        server.answers["/"] = answer()
        await client.request("POST", server.url(), body=b"1234")
        error = await failure(client.request("POST", server.url(), body=b"12345"))
    assert error.permanent
    assert "document_bytes" in str(error)
    assert len(server.heads) == 1


@pytest.mark.parametrize("size", [40, 41])
@pytest.mark.parametrize("form", ["plain", "gzip", "deflate", "chunked"])
async def test_an_answer_is_read_up_to_the_limit(server: Server, size: int, form: str) -> None:
    body = b"x" * size
    forms = {
        "plain": answer(body=body),
        "gzip": answer(body=gzip.compress(body), Content_Encoding="gzip"),
        "deflate": answer(body=zlib.compress(body), Content_Encoding="deflate"),
        "chunked": answer(
            body=b"%x\r\n%b\r\n0\r\n\r\n" % (size, body), Transfer_Encoding="chunked"
        ),
    }
    server.answers["/"] = forms[form]
    async with OutgoingClient(policy=open_to_loopback, answer_bytes=40) as client:
        if size == 40:
            assert (await client.request("GET", server.url())).body == body
            return
        error = await failure(client.request("GET", server.url()))
    assert error.permanent
    assert "40 bytes" in str(error)


async def test_a_packed_answer_does_not_unfold_beyond_the_limit(server: Server) -> None:
    server.answers["/"] = answer(body=gzip.compress(b"\0" * 50_000_000), Content_Encoding="gzip")
    async with OutgoingClient(policy=open_to_loopback, answer_bytes=100_000) as client:
        tracemalloc.start()
        error = await failure(client.request("GET", server.url()))
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert most < 2_000_000
    assert "larger than 100000 bytes" in str(error)


@pytest.mark.parametrize(
    ("body", "encoding", "permanent"),
    [
        (b"no gzip at all", "gzip", False),
        (gzip.compress(b"cut off", mtime=0)[:-9], "gzip", False),
        (b"x", "br", True),
    ],
)
async def test_an_answer_that_cannot_be_unpacked_is_told(
    client: OutgoingClient, server: Server, body: bytes, encoding: str, permanent: bool
) -> None:
    server.answers["/"] = answer(body=body, Content_Encoding=encoding)
    error = await failure(client.request("GET", server.url()))
    assert error.permanent is permanent


async def test_no_answer_within_the_time(client: OutgoingClient, server: Server) -> None:
    server.answers["/"] = None
    error = await failure(client.request("GET", server.url(), timeout_s=0.02))
    assert not error.permanent
    assert "within 0.02 s" in str(error)


async def test_the_time_covers_the_name_too(names: MakeNames) -> None:
    resolver = names()

    async def never(*_: object, **__: object) -> list[object]:
        await asyncio.Event().wait()
        return []

    resolver.resolve = never  # type: ignore[method-assign, assignment]
    async with OutgoingClient(resolver=lambda: resolver) as client:
        error = await failure(client.request("GET", "http://slow.example/", timeout_s=0.02))
    assert "within 0.02 s" in str(error)


# Failures, and what their texts hold


async def test_failures_of_the_world_can_be_tried_again(
    names: MakeNames, client: OutgoingClient, server: Server
) -> None:
    server.answers["/broken"] = b"nonsense\r\n\r\n"
    server.answers["/short"] = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\nConnection: close\r\n\r\nx"
    broken = await failure(client.request("GET", server.url("/broken")))
    assert (broken.permanent, broken.unreachable) == (False, False)
    refused = await failure(client.request("GET", "http://127.0.0.1:1/"))
    assert (refused.permanent, refused.unreachable) == (False, True)
    async with OutgoingClient(resolver=names) as lost:
        error = await failure(lost.request("GET", "http://unknown.example/"))
    assert (error.permanent, error.unreachable) == (False, True)
    assert "unknown.example has no address" in str(error)


async def test_a_host_that_takes_no_connection_cannot_be_reached(
    client: OutgoingClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("beltline.egress.client.CONNECT_S", 0.2)
    with socket.socket() as full, socket.socket() as first, socket.socket() as second:
        full.bind(("127.0.0.1", 0))
        full.listen(0)  # nobody accepts, and its queue has room for one
        for one in (first, second):
            one.setblocking(False)
            one.connect_ex(full.getsockname())
        error = await failure(client.request("GET", f"http://127.0.0.1:{full.getsockname()[1]}/"))
    assert (error.permanent, error.unreachable) == (False, True)
    assert "within 0.2 s" in str(error)


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:1/rest/1/{secret}/crm.lead.add.json",
        "http://127.0.0.1:{port}/rest/1/{secret}/x?token={secret}",
        "http://127.0.0.1:{port}/{secret}/never",
        "http://unknown.example/{secret}",
        "http://10.0.0.1/{secret}",
        "http://anna:{secret}@shop.example/",
        "http://shop.example:99999/{secret}",
        "ftp://shop.example/{secret}",
    ],
)
async def test_no_failure_repeats_a_secret(names: MakeNames, server: Server, url: str) -> None:
    secret = "s3cr3t-code"
    server.answers[f"/rest/1/{secret}/x"] = b"nonsense\r\n\r\n"
    server.answers[f"/{secret}/never"] = None
    async with OutgoingClient(resolver=names, policy=open_to_loopback) as client:
        error = await failure(
            client.request(
                "GET",
                url.format(secret=secret, port=server.port),
                headers={"Authorization": secret},
                timeout_s=0.05,
                connection=Connection(name="crm", kind="bitrix24", secret=Secret(secret)),
            )
        )
    assert secret not in str(error)
    assert secret not in repr(error)
    # What a logger would print with it: the cause, or a context that is not suppressed.
    assert error.__cause__ is None
    assert error.__suppress_context__ or error.__context__ is None


async def test_a_closed_client_opens_anew(client: OutgoingClient, server: Server) -> None:
    server.answers["/"] = answer()
    await client.request("GET", server.url())
    await client.close()
    assert (await client.request("GET", server.url())).status == 200
