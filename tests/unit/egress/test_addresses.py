"""Which addresses are connected to: every range at its first and last address, and beside it."""

from __future__ import annotations

from ipaddress import IPv4Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beltline.egress.addresses import refusal

PUBLIC = [
    "1.1.1.1",
    "8.8.8.8",
    "9.255.255.255",
    "11.0.0.0",
    "93.184.216.34",
    "100.63.255.255",
    "100.128.0.0",
    "126.255.255.255",
    "128.0.0.0",
    "168.63.129.15",
    "169.253.255.255",
    "169.255.0.0",
    "172.15.255.255",
    "172.32.0.0",
    "192.0.1.0",
    "192.167.255.255",
    "192.169.0.0",
    "198.17.255.255",
    "198.20.0.0",
    "223.255.255.255",
    "2000::",
    "2001:200::1",
    "2001:4860:4860::8888",
    "2606:4700:4700::1111",
    "2a00:1450:4001:829::200e",
    "::ffff:8.8.8.8",
    "64:ff9b::8.8.8.8",
]
PRIVATE = [
    "127.0.0.0",
    "127.0.0.1",
    "127.255.255.255",
    "10.0.0.0",
    "10.255.255.255",
    "172.16.0.0",
    "172.31.255.255",
    "192.168.0.0",
    "192.168.255.255",
    "100.64.0.0",
    "100.127.255.255",
    "::1",
    "fc00::",
    "fd12:3456:789a::1",
    "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
    "::ffff:127.0.0.1",
    "::ffff:10.1.2.3",
    "::ffff:c0a8:1",
    "64:ff9b::7f00:1",
    "64:ff9b::192.168.1.1",
]
NEVER = [
    "0.0.0.0",  # noqa: S104 - it is refused here
    "0.255.255.255",
    "169.254.0.0",
    "169.254.169.254",
    "169.254.255.255",
    "168.63.129.16",
    "100.100.100.200",
    "192.0.0.0",
    "192.0.0.192",
    "192.0.2.1",
    "192.88.99.1",
    "198.18.0.0",
    "198.19.255.255",
    "198.51.100.7",
    "203.0.113.7",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.254",
    "255.255.255.255",
    "::",
    "::2",
    "::127.0.0.1",
    "::ffff:0.0.0.0",
    "::ffff:169.254.169.254",
    "::ffff:0:127.0.0.1",
    "64:ff9b::169.254.169.254",
    "64:ff9b:1::1",
    "100::1",
    "2001::1",
    "2001:2::1",
    "2001:1ff:ffff::1",
    "2001:db8::1",
    "2002:7f00:1::1",
    "2002:a00:1::1",
    "3fff::1",
    "4000::1",
    "5f00::1",
    "fd00:ec2::254",
    "fd20:ce::254",
    "fe80::1",
    "fe80::1%eth0",
    "2a00:1450:4001:829::200e%eth0",
    "febf:ffff::1",
    "fec0::1",
    "ff02::1",
    "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
]


@pytest.mark.parametrize("text", PUBLIC)
def test_a_public_address_is_connected_to(text: str) -> None:
    assert refusal(ip_address(text)) is None
    assert refusal(ip_address(text), private_allowed=True) is None


@pytest.mark.parametrize("text", PRIVATE)
def test_a_private_address_is_opened_by_a_permission_alone(text: str) -> None:
    assert refusal(ip_address(text)) is not None
    assert refusal(ip_address(text), private_allowed=True) is None


@pytest.mark.parametrize("text", NEVER)
def test_some_addresses_no_permission_opens(text: str) -> None:
    assert refusal(ip_address(text)) is not None
    assert refusal(ip_address(text), private_allowed=True) is not None


def test_the_reason_names_what_the_address_is() -> None:
    assert refusal(ip_address("169.254.169.254")) == "the metadata service of the cloud"
    assert refusal(ip_address("169.254.1.1")) == "a link-local address"
    assert refusal(ip_address("10.0.0.1")) == "a private address"


@given(st.ip_addresses(v=4))
def test_an_address_inside_another_is_judged_as_itself(address: IPv4Address) -> None:
    for around in (f"::ffff:{address}", f"64:ff9b::{address}"):
        assert refusal(ip_address(around)) == refusal(address)


@given(st.ip_addresses(v=4))
def test_nothing_that_python_calls_private_passes(address: IPv4Address) -> None:
    # `is_private` is another's list of the same registry; it may know less, never more.
    # 192.0.0.9 and .10 are anycast addresses that newer versions of Python call public.
    if address.is_private or address.is_multicast or address.is_reserved:
        assert refusal(address) is not None
