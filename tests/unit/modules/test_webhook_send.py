"""Webhooks that go out: what receivers verify, what a repeat has in common, what is tried again."""

from __future__ import annotations

import base64
from typing import Any

import msgspec
import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from beltline.definition.secret import SecretRef
from beltline.definition.verify import VerifyStandardWebhooks
from beltline.modules.webhook_send import WebhookSendConfig, WebhookSendOutput, send
from beltline.sdk import Connection, HttpFailed, HttpResponse, Reject, Retry, Secret
from beltline.sources.verification import Received, verifier_of
from tests.unit.modules.fakes import KEY, PreparedHttp, Sent, answered, context

OLD, NEW, OTHER = (
    f"whsec_{base64.b64encode(bytes([number]) * 32).decode()}" for number in (1, 2, 3)
)
CONFIG = WebhookSendConfig(type="order.paid", data={"order": 42, "кто": "Анна"})


def account(secret: str = OLD) -> Connection:
    return Connection(
        name="partner", kind="webhook", address="https://p.example/in", secret=Secret(secret)
    )


async def sent(secret: str = OLD, config: WebhookSendConfig = CONFIG, attempt: int = 1) -> Sent:
    http = PreparedHttp(answered(204, b""))
    given = context(http, connection=account(secret), attempt=attempt)
    assert await send(config, given) == WebhookSendOutput(id=KEY, status=204)
    [request] = http.sent
    return request


async def test_a_receiver_with_the_library_of_the_specification_verifies_it() -> None:
    request = await sent()
    assert (request.method, request.url) == ("POST", "https://p.example/in")
    assert request.headers["webhook-id"] == KEY
    body: Any = Webhook(OLD).verify(request.body or b"", request.headers)
    assert body == {"type": "order.paid", "data": {"order": 42, "кто": "Анна"}}
    with pytest.raises(WebhookVerificationError):
        Webhook(OTHER).verify(request.body or b"", request.headers)


async def test_a_source_of_another_hub_verifies_it() -> None:
    request = await sent()
    verify = verifier_of(VerifyStandardWebhooks(SecretRef("S")), lambda name: OLD)
    headers = tuple(
        (name.lower().encode(), value.encode()) for name, value in request.headers.items()
    )
    at = int(request.headers["webhook-timestamp"]) * 1_000
    verify(Received(headers, request.body or b"", at))


async def test_while_a_secret_is_exchanged_both_are_good() -> None:
    request = await sent(f"{NEW}\n{OLD}\n")
    for secret in (OLD, NEW):
        Webhook(secret).verify(request.body or b"", request.headers)
    assert len(request.headers["webhook-signature"].split(" ")) == 2


async def test_a_repeat_has_the_same_id_and_body() -> None:
    config = WebhookSendConfig(type="a", data=None, timestamp="2026-03-01T12:00:00Z")
    first, second = await sent(config=config), await sent(config=config, attempt=2)
    assert first.body == second.body
    assert first.body == b'{"type":"a","timestamp":"2026-03-01T12:00:00Z","data":null}'
    assert first.headers["webhook-id"] == second.headers["webhook-id"]


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (answered(400, b"no"), Retry("the receiver answered with the status 400: no")),
        (answered(500, b""), Retry("the receiver answered with the status 500")),
        (
            answered(429, b"", retry_after="120"),
            Retry("the receiver answered with the status 429", after_s=120.0),
        ),
        (answered(410, b"bye"), Reject("the receiver wants no more webhooks (410): bye")),
        (
            answered(301, b"", location="https://elsewhere.example"),
            Reject("the receiver has moved (301): change the connection's address"),
        ),
        (HttpFailed("no connection to https://p.example:443: refused"), None),
        (HttpFailed("127.0.0.1 is a loopback address", permanent=True), None),
    ],
)
async def test_what_an_answer_means(
    answer: HttpResponse | HttpFailed, outcome: Retry | Reject | None
) -> None:
    given = await send(CONFIG, context(PreparedHttp(answer), connection=account()))
    if isinstance(answer, HttpFailed):
        outcome = Reject(str(answer)) if answer.permanent else Retry(str(answer))
    assert given == outcome


@pytest.mark.parametrize("secret", ["", "hunter2", "whsec_", "whsec_c2hvcnQ=", f"{OLD}\nhunter2"])
async def test_a_secret_that_is_no_key_is_the_operator_s(secret: str) -> None:
    given = await send(CONFIG, context(PreparedHttp(), connection=account(secret)))
    assert isinstance(given, Reject)
    assert "must be whsec_ and 24 to 64 bytes as base64" in given.reason
    assert "hunter2" not in given.reason


async def test_it_needs_a_connection_with_an_address() -> None:
    for connection in (None, Connection(name="x", kind="webhook", secret=Secret(OLD))):
        given = await send(CONFIG, context(PreparedHttp(), connection=connection))
        assert isinstance(given, Reject)
        assert "needs" in given.reason


@pytest.mark.parametrize("type", ["", "order paid", "order..paid", "заказ"])
def test_a_type_is_words_joined_by_dots(type: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"type": type}, WebhookSendConfig)
