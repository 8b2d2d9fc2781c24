"""What is stored of a request: its body, and what the hub itself knows about it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from beltline.core.limits import PRODUCTION, TINY
from beltline.definition.source import read_source
from beltline.definition.webhook import WebhookWay
from beltline.engine.ids import id_of
from beltline.engine.records import NewRequest
from beltline.sources.refusal import RequestRefused
from beltline.sources.request import new_request
from beltline.sources.verification import Received
from beltline.sources.webhook import Webhook

KEY = bytes(range(16))
AT = 1_764_000_000_123
JSON = (b"content-type", b"application/json")


def webhook(more: str = "", verify: str = "none") -> Webhook:
    text = f"source: form\nkind: webhook\nprocess: lead\nverify: {verify}\n{more}"
    checked = read_source(text, name=None, file="form.yaml", processes=None)
    assert checked.source is not None, checked.findings
    assert isinstance(checked.source.way, WebhookWay)
    return Webhook(checked.source, checked.source.way, {"KEY": "k"}.get)


def read(source: Webhook, body: Any, *headers: tuple[bytes, bytes]) -> NewRequest:
    raw = body if isinstance(body, bytes) else msgspec.json.encode(body)
    taken = source.read(Received([JSON, *headers], raw, AT), KEY, PRODUCTION)
    return new_request(source.source, taken.offered, held=False, limits=PRODUCTION)


def test_a_request_is_stored_compact_with_what_the_hub_knows() -> None:
    request = read(webhook(), b' {"b": 1,  "a": "\\u0410"} ', (b"user-agent", b"form/1"))
    assert (request.key, request.source, request.process) == (KEY, "form", "lead")
    assert request.body == '{"b":1,"a":"А"}'.encode()
    assert msgspec.json.decode(request.meta) == {
        "id": id_of(KEY),
        "source": "form",
        "time": "2025-11-24T16:00:00.123+00:00",
        "headers": {"content-type": "application/json", "user-agent": "form/1"},
    }
    assert request.identity is None


def test_nothing_of_a_body_reaches_meta() -> None:
    request = read(webhook(), {"meta": {"id": "x"}, "id": "y", "source": "z", "headers": {"a": 1}})
    assert msgspec.json.decode(request.meta)["id"] == id_of(KEY)
    assert msgspec.json.decode(request.meta)["source"] == "form"


def test_headers_that_prove_a_sender_are_never_stored() -> None:
    proofs = [
        (b"authorization", b"Bearer canary"),
        (b"cookie", b"canary"),
        (b"proxy-authorization", b"canary"),
        (b"x-api-key", b"canary"),
        (b"x-signature", b"canary"),
        (b"webhook-signature", b"canary"),
        (b"x-hub-signature-256", b"canary"),
    ]
    assert b"canary" not in read(webhook(), {}, *proofs).meta


def test_a_signature_under_the_name_of_a_kept_header_is_not_stored_either() -> None:
    verify = '{hmac: {header: X-Request-ID, secret: "${KEY}"}}'
    import hmac  # noqa: PLC0415 - the only test that signs

    signature = hmac.new(b"k", b"{}", "sha256").hexdigest().encode()
    request = read(webhook(verify=verify), b"{}", (b"x-request-id", signature))
    assert signature not in request.meta
    assert b"x-request-id" in read(webhook(), b"{}", (b"x-request-id", signature)).meta


def test_headers_past_their_limit_are_refused_by_its_name() -> None:
    with pytest.raises(RequestRefused) as caught:
        read(webhook(), {}, (b"user-agent", b"x" * PRODUCTION.request_header_bytes))
    assert caught.value.status == 431
    assert "request_header_bytes" in caught.value.detail


@pytest.mark.parametrize("encoding", [b"br", b"zstd", b"identity, gzip", b"gzip, gzip"])
def test_other_encodings_are_not_unpacked(encoding: bytes) -> None:
    with pytest.raises(RequestRefused) as caught:
        read(webhook(), b"\x1f\x8b", (b"content-encoding", encoding))
    assert caught.value.status == 415


def test_an_unverified_body_is_not_read() -> None:
    source = webhook(verify='{bearer: {secret: "${KEY}"}}')
    with pytest.raises(RequestRefused) as caught:
        read(source, b"not json at all")
    assert caught.value.status == 401


# Identity

BY_LEAD = 'identity: {by: "{{ request.lead_id }}", window: 1h}\n'


@pytest.mark.parametrize(
    ("value", "identity"),
    [("x-1", "x-1"), (17, "17"), ("17", "17"), (17.0, "17"), (1.5, "1.5"), (True, "true"),
     ([1, "a"], '[1,"a"]'), ({"b": 1, "a": 2}, '{"a":2,"b":1}'), (0, "0"),
     (2**64 - 1, str(2**64 - 1))],
)  # fmt: skip
def test_the_identity_is_the_value_as_text(value: Any, identity: str) -> None:
    request = read(webhook(BY_LEAD), {"lead_id": value})
    assert request.identity == identity
    assert request.identity_until == AT + 3_600_000


@pytest.mark.parametrize("body", [{}, {"lead_id": None}, {"lead_id": ""}, [], "text", None])
def test_a_request_without_a_value_for_its_identity_is_refused(body: Any) -> None:
    with pytest.raises(RequestRefused) as caught:
        read(webhook(BY_LEAD), body)
    assert caught.value.status == 422


@pytest.mark.parametrize("letter", ["x", "é"])
def test_an_identity_past_its_limit_is_refused_by_its_name(letter: str) -> None:
    most = PRODUCTION.identity_bytes // len(letter.encode())
    assert read(webhook(BY_LEAD), {"lead_id": letter * most}).identity == letter * most
    with pytest.raises(RequestRefused) as caught:
        read(webhook(BY_LEAD), {"lead_id": letter * (most + 1)})
    assert caught.value.status == 422
    assert "identity_bytes" in caught.value.detail


def test_an_identity_may_be_made_of_several_values_and_of_meta() -> None:
    source = webhook('identity: {by: "{{ meta.headers.idempotency-key }}/{{ request.a }}"}\n')
    assert read(source, {"a": 1}, (b"idempotency-key", b"k")).identity == "k/1"


def test_the_same_body_hashes_alike_whatever_the_order_of_its_keys() -> None:
    source = webhook(BY_LEAD)
    one = read(source, b'{"lead_id":1,"a":[1,2]}')
    assert one.body_hash == read(source, b'{ "a": [1, 2], "lead_id": 1 }').body_hash
    assert one.body_hash != read(source, b'{"lead_id":1,"a":[2,1]}').body_hash
    assert len(one.body_hash) == 16


def test_depth_is_bounded_by_the_limits_given() -> None:
    with pytest.raises(RequestRefused, match="request_depth"):
        webhook().read(Received([JSON], b"[" * 9 + b"]" * 9, AT), KEY, TINY)
