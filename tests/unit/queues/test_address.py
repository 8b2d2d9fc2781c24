"""Addresses of brokers: what is read, what is shown, what is refused."""

from __future__ import annotations

import pytest

from beltline.queues.address import AddressError, broker_address


def test_an_address_with_all_that_it_can_have() -> None:
    address = broker_address("amqps://hub%40x@10.0.0.5:5671/crm?prefix=site-2")
    assert (address.kind, address.prefix, address.user) == ("rabbitmq", "site-2", "hub@x")
    assert address.shown == "amqps://10.0.0.5:5671/crm"
    assert address.calls("bitrix24.find-deal") == "site-2.calls.bitrix24.find-deal"
    assert address.results("ab") == "site-2.results.ab"
    account = address.connection("s3cret")
    assert (account.kind, account.address) == ("rabbitmq", "amqps://10.0.0.5:5671/crm")
    assert account.options["user"] == "hub@x"
    assert account.secret is not None
    assert account.secret.reveal() == "s3cret"


def test_the_least_address() -> None:
    address = broker_address("redis://[::1]")
    assert (address.kind, address.prefix, address.shown) == ("redis", "beltline", "redis://[::1]")
    assert address.connection("").secret is None


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ("http://10.0.0.5", "such as nats://127.0.0.1:4222"),
        ("nats://", "such as nats://127.0.0.1:4222"),
        ("nats://me:s3cret@10.0.0.5", "name it as a secret"),
        ("nats://10.0.0.5:port", "no address of a broker"),
        ("nats://10.0.0.5?prefix=a.b", "prefix is up to 40"),
        ("nats://10.0.0.5?prefix=", "prefix is up to 40"),
        ("nats://10.0.0.5?stream=a", "prefix=NAME, and no more"),
    ],
)
def test_what_is_refused_says_what_to_write(wrong: str, says: str) -> None:
    with pytest.raises(AddressError, match=says) as raised:
        broker_address(wrong)
    assert "s3cret" not in str(raised.value)
