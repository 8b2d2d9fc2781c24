"""Connection files: where an outside system is, its secret by name, and what it bears."""

from __future__ import annotations

import pytest

from beltline.definition.connection import (
    CheckedConnection,
    ConnectionFile,
    ConnectionLimits,
    read_connection,
)
from beltline.definition.secret import SecretRef

HEAD = "connection: crm\nkind: bitrix24\n"


def check(text: str) -> CheckedConnection:
    return read_connection(text, name="crm", file="c.yaml", kinds=["bitrix24", "http"])


def test_a_connection_of_the_design() -> None:
    checked = check(
        HEAD + "address: https://example.bitrix24.ru/rest/1/\n"
        'secret: "${BITRIX24_WEBHOOK}"\nlimits: {rate: 2/s, burst: 50, batch: 50}\n'
        "private_addresses: allow\n"
    )
    assert checked.findings == []
    assert checked.connection == ConnectionFile(
        "crm",
        "bitrix24",
        "https://example.bitrix24.ru/rest/1/",
        SecretRef("BITRIX24_WEBHOOK"),
        ConnectionLimits(rate_per_s=2.0, burst=50, batch=50),
        "allow",
    )


def test_only_name_and_kind_are_needed() -> None:
    assert check(HEAD).connection == ConnectionFile("crm", "bitrix24")


@pytest.mark.parametrize(
    ("rate", "per_second"), [("2/s", 2.0), ("30/m", 0.5), ("0.5/s", 0.5), ("86400/d", 1.0)]
)
def test_rates(rate: str, per_second: float) -> None:
    connection = check(HEAD + f"limits: {{rate: {rate}, concurrency: 4}}").connection
    assert connection is not None
    assert connection.limits == ConnectionLimits(rate_per_s=per_second, concurrency=4)


@pytest.mark.parametrize(
    ("rest", "line"),
    [
        ("adress: x", 'c.yaml:3:1: unknown key "adress" in a connection. Did you mean "address"?'),
        ("address: example.org", "c.yaml:3:10: address must be a whole address"),
        ("address: 'https://a b/'", "c.yaml:3:10: address must be a whole address"),
        ("address: https://u:p@example.org/", "c.yaml:3:10: an address must not hold a name"),
        ("address: https://example.org:99999/", "c.yaml:3:10: this is no address"),
        ("address: 5", "c.yaml:3:10: address must be a text, not a number"),
        ("secret: abc", "c.yaml:3:9: secret must name a secret, not hold it"),
        ("secret: [a]", "c.yaml:3:9: secret must name a secret, not be a list"),
        ("limits: 5", "c.yaml:3:9: limits must be an object of keys, not a number"),
        ("limits: {rate: 5}", "c.yaml:3:16: rate must be a number per time"),
        ("limits: {rate: 0/s}", "c.yaml:3:16: rate must be a number per time"),
        ("limits: {burst: 5}", "c.yaml:3:17: burst needs a rate"),
        ("limits: {quota: 5000/h}", "c.yaml:3:17: quota must be a number per day"),
        ("limits: {quota: 0/d}", "c.yaml:3:17: quota must be a number per day"),
        ("limits: {quota: 5/d, timezone: Moskau}", "c.yaml:3:32: there is no time zone"),
        ("outage: never", 'c.yaml:3:9: outage can be wait or fail, not "never"'),
        ("outage: 5", "c.yaml:3:9: outage can be wait or fail, not a number"),
        ("limits: {burst: 0}", "c.yaml:3:17: burst must be at least 1"),
        ("limits: {rat: 2/s}", 'c.yaml:3:10: unknown key "rat" in limits. Did you mean "rate"?'),
        ("private_addresses: true", "c.yaml:3:20: private_addresses can be allow or deny"),
        ("private_addresses: yes", 'c.yaml:3:20: private_addresses can be allow or deny, not "y'),
    ],
)
def test_a_mistake_has_its_place(rest: str, line: str) -> None:
    checked = check(HEAD + rest)
    assert checked.connection is None
    assert len(checked.findings) == 1
    assert str(checked.findings[0]).startswith(line)


def test_names_and_kinds() -> None:
    found = [str(finding) for finding in check("connection: erp\nkind: bitrix42\n").findings]
    assert found[0].startswith('c.yaml:1:13: the connection is named "erp", its file "crm"')
    assert found[1].endswith('Did you mean "bitrix24"?')
    assert len(check("{}").findings) == 2
    assert check("[]").connection is None
    assert check("a: [").connection is None
