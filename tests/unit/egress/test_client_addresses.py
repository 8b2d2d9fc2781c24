"""Where the outgoing client connects to: names, addresses, permissions, redirects."""

from __future__ import annotations

import asyncio
import socket
from ipaddress import ip_address

import pytest

from beltline.egress.addresses import IPAddress, refusal
from beltline.egress.client import REDIRECTS, OutgoingClient, redirected
from beltline.egress.gate import checked_sockets
from beltline.egress.target import Refused, parse_target
from beltline.sdk import Connection, HttpFailed
from tests.unit.egress.conftest import MakeNames, Server, answer, failure, open_to_loopback


def private(server: Server, host: str = "127.0.0.1") -> Connection:
    """A connection that opens the server's own address."""
    return Connection(
        name="inner",
        kind="http",
        address=server.url("/", host),
        options={"private_addresses": "allow"},
    )


# Addresses


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:{port}/", "http://[::1]:{port}/", "http://[::ffff:7f00:1]:{port}/"]
)
async def test_a_private_address_in_the_url_is_refused(
    strict: OutgoingClient, server: Server, url: str
) -> None:
    error = await failure(strict.request("GET", url.format(port=server.port)))
    assert error.permanent
    assert "loopback" in str(error)
    assert "private_addresses: allow" in str(error)
    assert server.heads == []


async def test_a_name_with_a_private_address_is_refused(names: MakeNames, server: Server) -> None:
    async with OutgoingClient(resolver=lambda: names(inner=["127.0.0.1"])) as client:
        error = await failure(client.request("GET", server.url("/", "inner.example")))
    assert error.permanent
    assert "127.0.0.1 of inner.example is a loopback address" in str(error)
    assert server.heads == []


async def test_one_private_address_among_public_ones_refuses_the_name(
    names: MakeNames, server: Server
) -> None:
    resolver = names(mixed=["127.0.0.1", "10.0.0.1"])
    async with OutgoingClient(resolver=lambda: resolver, policy=open_to_loopback) as client:
        error = await failure(client.request("GET", server.url("/", "mixed.example")))
    assert error.permanent
    assert "10.0.0.1 of mixed.example" in str(error)
    assert server.heads == []


async def test_the_name_stays_in_the_host_header(names: MakeNames, server: Server) -> None:
    server.answers["/"] = answer()
    resolver = names(shop=["127.0.0.1"])
    async with OutgoingClient(resolver=lambda: resolver, policy=open_to_loopback) as client:
        await client.request("GET", server.url("/", "shop.example"))
    assert f"Host: shop.example:{server.port}\r\n" in server.heads[0]
    assert resolver.asked == ["shop.example"]


async def test_the_name_stays_in_tls(names: MakeNames) -> None:
    hello = asyncio.get_running_loop().create_future()

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not hello.done():
            hello.set_result(await reader.read(4096))
        writer.close()

    listening = await asyncio.start_server(listen, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    resolver = names(shop=["127.0.0.1"])
    async with OutgoingClient(resolver=lambda: resolver, policy=open_to_loopback) as client:
        error = await failure(client.request("GET", f"https://shop.example:{port}/"))
    assert b"shop.example" in await hello
    assert not error.permanent
    listening.close()


def test_the_last_gate_looks_at_the_address_that_is_connected_to() -> None:
    open_socket = checked_sockets(refusal)
    with pytest.raises(Refused, match="loopback"):
        open_socket((socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", 80)))
    with pytest.raises(Refused, match="metadata"):
        open_socket((socket.AF_INET6, socket.SOCK_STREAM, 0, "", ("fd00:ec2::254", 80, 0, 0)))
    open_socket((socket.AF_INET, socket.SOCK_STREAM, 0, "", ("1.1.1.1", 80))).close()


async def test_an_answer_of_the_resolver_that_changes_is_caught(
    names: MakeNames, server: Server
) -> None:
    """A second look-up that leads elsewhere meets the same check."""
    resolver = names(rebound=["127.0.0.1"])
    passed: list[IPAddress] = []

    def first_alone(address: IPAddress, *, private_allowed: bool) -> str | None:
        del private_allowed
        passed.append(address)
        return None if len(passed) == 1 else "a loopback address"

    async with OutgoingClient(resolver=lambda: resolver, policy=first_alone) as client:
        error = await failure(client.request("GET", server.url("/", "rebound.example")))
    assert error.permanent
    assert passed == [ip_address("127.0.0.1")] * 2  # the resolver's answer, then the socket's
    assert server.heads == []


async def test_a_connection_opens_its_own_private_address(
    strict: OutgoingClient, server: Server
) -> None:
    server.answers["/a"] = answer(body=b"inside")
    given = await strict.request("GET", server.url("/a"), connection=private(server))
    assert given.body == b"inside"


async def test_the_permission_does_not_outlast_the_request(
    strict: OutgoingClient, server: Server
) -> None:
    """A kept-alive connection to a private address is not used by a request without permission."""
    server.answers["/a"] = answer()
    await strict.request("GET", server.url("/a"), connection=private(server))
    await failure(strict.request("GET", server.url("/a")))
    assert len(server.heads) == 1


async def test_a_connection_opens_no_address_but_its_own(
    strict: OutgoingClient, server: Server
) -> None:
    elsewhere = Connection(
        name="inner",
        kind="http",
        address="http://127.0.0.1:1/",
        options={"private_addresses": "allow"},
    )
    without_address = Connection(name="inner", kind="http", options={"private_addresses": "allow"})
    other_word = Connection(
        name="inner", kind="http", address=server.url(), options={"private_addresses": True}
    )
    for connection in (elsewhere, without_address, other_word):
        error = await failure(strict.request("GET", server.url(), connection=connection))
        assert error.permanent
        assert "'inner'" in str(error)
    assert server.heads == []


async def test_no_connection_opens_the_metadata_service(strict: OutgoingClient) -> None:
    connection = Connection(
        name="cloud",
        kind="http",
        address="http://169.254.169.254/",
        options={"private_addresses": "allow"},
    )
    error = await failure(
        strict.request("GET", "http://169.254.169.254/latest/", connection=connection)
    )
    assert error.permanent
    assert "metadata" in str(error)
    assert "allow" not in str(error)


# Redirects


async def test_a_redirect_is_followed_with_the_headers_of_its_origin(
    client: OutgoingClient, server: Server
) -> None:
    server.answers["/a"] = answer(302, Location="/b?c=d")
    server.answers["/b"] = answer(body=b"there")
    given = await client.request("GET", server.url("/a"), headers={"Authorization": "Bearer t"})
    assert given.body == b"there"
    assert server.paths == ["/a", "/b?c=d"]
    assert "Authorization: Bearer t" in server.heads[1]


async def test_credentials_do_not_follow_to_another_host(names: MakeNames, server: Server) -> None:
    server.answers["/a"] = answer(307, Location=server.url("/b", "other.example"))
    server.answers["/b"] = answer()
    sent = {"Authorization": "Bearer t", "X-Api-Key": "k", "Accept": "text/plain"}
    resolver = names(shop=["127.0.0.1"], other=["127.0.0.1"])
    async with OutgoingClient(resolver=lambda: resolver, policy=open_to_loopback) as client:
        await client.request("GET", server.url("/a", "shop.example"), headers=sent)
    assert "Bearer t" in server.heads[0]
    assert "Bearer t" not in server.heads[1]
    assert "X-Api-Key" not in server.heads[1]
    assert "Accept: text/plain" in server.heads[1]


async def test_a_redirect_to_a_private_address_is_refused(names: MakeNames, server: Server) -> None:
    server.answers["/a"] = answer(302, Location="http://10.0.0.1/latest")
    resolver = names(shop=["127.0.0.1"])
    async with OutgoingClient(resolver=lambda: resolver, policy=open_to_loopback) as client:
        error = await failure(client.request("GET", server.url("/a", "shop.example")))
    assert error.permanent
    assert "10.0.0.1 is a private address" in str(error)


async def test_a_redirect_does_not_inherit_a_permission(
    strict: OutgoingClient, server: Server
) -> None:
    server.answers["/a"] = answer(302, Location="http://127.0.0.1:1/")
    error = await failure(strict.request("GET", server.url("/a"), connection=private(server)))
    assert error.permanent
    assert "loopback" in str(error)


@pytest.mark.parametrize(
    "location",
    ["ftp://shop.example/", "http://anna@shop.example/", "http://0x7f000001/", "http://[::1/"],
)
async def test_a_redirect_to_an_unusual_place_is_refused(
    client: OutgoingClient, server: Server, location: str
) -> None:
    server.answers["/a"] = answer(302, Location=location)
    error = await failure(client.request("GET", server.url("/a")))
    assert error.permanent
    assert len(server.heads) == 1


def test_a_redirect_does_not_leave_tls() -> None:
    secure = parse_target("https://shop.example/a")
    assert redirected(secure, "/b").origin == "https://shop.example:443"
    with pytest.raises(HttpFailed, match="https to http"):
        redirected(secure, "http://shop.example/a")


async def test_redirects_in_a_circle_end(client: OutgoingClient, server: Server) -> None:
    server.answers["/a"] = answer(302, Location="/a")
    error = await failure(client.request("GET", server.url("/a")))
    assert error.permanent
    assert len(server.heads) == REDIRECTS + 1


async def test_the_redirect_of_a_post_is_given_as_it_is(
    client: OutgoingClient, server: Server
) -> None:
    server.answers["/a"] = answer(302, Location="/b")
    given = await client.request("POST", server.url("/a"), body=b"x")
    assert (given.status, given.headers["location"]) == (302, "/b")
    assert len(server.heads) == 1
