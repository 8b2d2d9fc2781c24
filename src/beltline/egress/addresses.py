"""Which IP addresses the hub connects to: a pure function of the address.

A request that a stranger filled in can name an address. Were the hub to connect to whatever it is
told, it would hand the stranger the networks that it stands in: the database beside it, the cloud's
metadata service with its keys. So only addresses of the public internet are allowed, and a
connection may open the private ones for its own address.

The tables are written out, not taken from `ipaddress.is_global`, whose answers differ between
versions of Python. For IPv6 they work the other way round: only 2000::/3 is in public use, and
everything beside it is refused.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

IPAddress = IPv4Address | IPv6Address

# Never, whatever a connection allows: no service of a company answers there.
_NEVER_V4 = (
    ("169.254.169.254/32", "the metadata service of the cloud"),
    ("168.63.129.16/32", "the metadata service of the cloud"),  # Azure: a public one
    ("100.100.100.200/32", "the metadata service of the cloud"),  # Alibaba: within 100.64.0.0/10
    ("192.0.0.192/32", "the metadata service of the cloud"),  # Oracle
    ("0.0.0.0/8", "an address of this host alone"),
    ("169.254.0.0/16", "a link-local address"),
    ("192.0.0.0/24", "an address reserved for protocols"),
    ("192.0.2.0/24", "an address reserved for documentation"),
    ("198.51.100.0/24", "an address reserved for documentation"),
    ("203.0.113.0/24", "an address reserved for documentation"),
    ("192.88.99.0/24", "an address of a 6to4 relay"),
    ("198.18.0.0/15", "an address reserved for benchmarks"),
    ("224.0.0.0/4", "a multicast address"),
    ("255.255.255.255/32", "the broadcast address"),
    ("240.0.0.0/4", "a reserved address"),
)
_PRIVATE_V4 = (
    ("127.0.0.0/8", "a loopback address"),
    ("10.0.0.0/8", "a private address"),
    ("172.16.0.0/12", "a private address"),
    ("192.168.0.0/16", "a private address"),
    ("100.64.0.0/10", "an address behind a carrier's NAT"),
)
_NEVER_V6 = (
    ("fd00:ec2::254/128", "the metadata service of the cloud"),  # Amazon: within fc00::/7
    ("fd20:ce::254/128", "the metadata service of the cloud"),  # Google
    ("::/128", "the unspecified address"),
    ("fe80::/10", "a link-local address"),
    ("ff00::/8", "a multicast address"),
    ("2001::/32", "a Teredo address"),
    ("2001:db8::/32", "an address reserved for documentation"),
    ("2001::/23", "an address reserved for protocols"),
    ("2002::/16", "a 6to4 address"),
    ("3fff::/20", "an address reserved for documentation"),
)
_PRIVATE_V6 = (
    ("::1/128", "a loopback address"),
    ("fc00::/7", "a private address"),
)

_V4_NEVER = tuple((IPv4Network(network), what) for network, what in _NEVER_V4)
_V4_PRIVATE = tuple((IPv4Network(network), what) for network, what in _PRIVATE_V4)
_V6_NEVER = tuple((IPv6Network(network), what) for network, what in _NEVER_V6)
_V6_PRIVATE = tuple((IPv6Network(network), what) for network, what in _PRIVATE_V6)
_V6_PUBLIC = IPv6Network("2000::/3")
_NAT64 = IPv6Network("64:ff9b::/96")


def refusal(address: IPAddress, *, private_allowed: bool = False) -> str | None:
    """What the address is that the hub must not connect to it, or None where it may.

    `private_allowed` opens loopback, private networks and those behind a carrier's NAT; never the
    metadata services, link-local, multicast or reserved addresses. An IPv4 address inside an IPv6
    one (mapped, NAT64) is judged as the IPv4 address that it leads to.
    """
    if isinstance(address, IPv6Address):
        inner = _inner(address)
        if inner is None:
            return _refusal_v6(address, private_allowed)
        address = inner
    for network, what in _V4_NEVER:
        if address in network:
            return what
    if not private_allowed:
        for network, what in _V4_PRIVATE:
            if address in network:
                return what
    return None


def _inner(address: IPv6Address) -> IPv4Address | None:
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    return None


def _refusal_v6(address: IPv6Address, private_allowed: bool) -> str | None:
    if address.scope_id is not None:
        return "an address that is bound to one network interface"
    for network, what in _V6_NEVER:
        if address in network:
            return what
    for network, what in _V6_PRIVATE:
        if address in network:
            return None if private_allowed else what
    return None if address in _V6_PUBLIC else "an address outside the public internet"
