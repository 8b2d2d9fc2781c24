"""What a URL leads to, and the ways of writing one that are refused."""

from __future__ import annotations

import pytest

from beltline.egress.target import Refused, parse_target

ACCEPTED = [
    ("http://shop.example", "http://shop.example:80"),
    ("https://shop.example/a?b=c", "https://shop.example:443"),
    ("HTTPS://SHOP.Example:8443/", "https://shop.example:8443"),
    ("http://localhost:9000/rest/1/", "http://localhost:9000"),
    ("https://93.184.216.34/", "https://93.184.216.34:443"),
    ("https://[2606:4700:4700::1111]:8443/x", "https://[2606:4700:4700::1111]:8443"),
    ("http://[::ffff:127.0.0.1]/", "http://[::ffff:7f00:1]:80"),
    ("https://xn--80ak6aa92e.example/", "https://xn--80ak6aa92e.example:443"),
    ("https://магазин.рф/заказ", "https://xn--80aairftm.xn--p1ai:443"),
    ("https://bücher.example/", "https://xn--bcher-kva.example:443"),
    ("https://shop.example/@anna", "https://shop.example:443"),
    ("https://shop.example/?mail=anna@site.example", "https://shop.example:443"),
    ("https://shop.example/a%20b%2Fc", "https://shop.example:443"),
    ("https://1and1.example/", "https://1and1.example:443"),
    ("https://0xcafe.example/", "https://0xcafe.example:443"),
]
REFUSED = [
    # Schemes.
    ("", "only http and https"),
    ("/path", "only http and https"),
    ("shop.example", "only http and https"),
    ("//shop.example/", "only http and https"),
    ("ftp://shop.example/", "only http and https"),
    ("file:///etc/passwd", "only http and https"),
    ("gopher://shop.example:70/_x", "only http and https"),
    ("javascript:alert(1)", "only http and https"),
    ("data:text/plain,x", "only http and https"),
    ("unix:///run/docker.sock", "only http and https"),
    ("ws://shop.example/", "only http and https"),
    # No host.
    ("http://", "no host"),
    ("http:///path", "no host"),
    ("https:shop.example", "no host"),
    # User names, and what looks like one.
    ("http://anna@shop.example/", "user name"),
    ("http://anna:secret@shop.example/", "user name"),
    ("http://:secret@shop.example/", "user name"),
    ("http://@shop.example/", "user name"),
    ("http://shop.example@127.0.0.1/", "user name"),
    ("http://shop.example%40127.0.0.1/", "number"),
    ("http://%31%32%37.0.0.1/", "number"),
    ("http://shop.example:80@127.0.0.1:22/", "user name"),
    # Characters that parsers read differently.
    ("http://shop.example\\@127.0.0.1/", "backslash"),
    ("http:\\\\127.0.0.1\\", "backslash"),
    ("http://shop.example /", "space"),
    (" http://shop.example/", "space"),
    ("http://shop.example/\r\nHost: other", "control"),
    ("http://shop.example/\tx", "control"),
    ("http://shop\x00.example/", "control"),
    # Numbers that stand for addresses.
    ("http://2130706433/", "number"),
    ("http://017700000001/", "number"),
    ("http://0x7f000001/", "number"),
    ("http://0x7f.0.0.1/", "number"),
    ("http://0177.0.0.1/", "number"),
    ("http://127.1/", "number"),
    ("http://127.0.1/", "number"),
    ("http://0/", "number"),
    ("http://127.0.0.01/", "number"),
    ("http://127.0.0.1./", "number"),
    ("http://169.254.43518/", "number"),
    ("http://0xa9fea9fe/", "number"),
    ("http://1.2.3.4.5/", "number"),
    ("http://256.0.0.1/", "number"),
    ("http://shop.example.0x7f/", "number"),
    # Ports and brackets.
    ("http://shop.example:0/", "port 0"),
    ("http://shop.example:65536/", "cannot be read"),
    ("http://shop.example:http/", "cannot be read"),
    ("http://[::1/", "cannot be read"),
    ("http://::1/", "cannot be read"),
    ("http://[shop.example]/", "cannot be read"),
    # Names that no name server knows, but some parser may unpack.
    ("http://127.0.0.1%2eshop.example/", "no host name"),
    ("http://127.0.0.1%00.shop.example/", "no host name"),
    ("http://shop$.example/", "no host name"),
]


@pytest.mark.parametrize(("url", "origin"), ACCEPTED)
def test_the_origin_of_a_url(url: str, origin: str) -> None:
    assert parse_target(url).origin == origin


@pytest.mark.parametrize(("url", "reason"), REFUSED)
def test_an_unusual_url_is_refused(url: str, reason: str) -> None:
    with pytest.raises(Refused, match=reason):
        parse_target(url)


@pytest.mark.parametrize(
    "url", ["http://１２７.０.０.１/", "http://127。0。0。1/", "http://①②⑦.0.0.1/"]
)
def test_digits_of_other_scripts_become_plain_before_the_host_is_looked_at(url: str) -> None:
    assert parse_target(url).host == "127.0.0.1"


@pytest.mark.parametrize("url", [url for url, _ in REFUSED if len(url) > 8])
def test_a_refusal_does_not_repeat_path_or_user(url: str) -> None:
    with pytest.raises(Refused) as refused:
        parse_target(url + "SECRET")
    assert "SECRET" not in str(refused.value)
    assert "secret" not in str(refused.value).replace("give the secret", "")
    assert refused.value.__cause__ is None
    assert refused.value.__suppress_context__ or refused.value.__context__ is None


def test_a_fragment_is_not_sent() -> None:
    assert str(parse_target("https://shop.example/a#secret").url) == "https://shop.example/a"
