"""Whether a request comes from who may send it: over the raw bytes, in constant time, fail closed.

Where a secret is not set or cannot be a key, nothing is accepted: that is the operator's to mend,
and no fault of the sender. A secret of several lines is several secrets that hold at the same
time, so that one can be exchanged without losing a request.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Callable
from functools import partial

import msgspec

from beltline.definition.secret import SecretRef
from beltline.definition.verify import (
    Verify,
    VerifyBasic,
    VerifyBearer,
    VerifyBitrix24,
    VerifyHmac,
    VerifyNone,
    VerifySlack,
    VerifyStandardWebhooks,
)
from beltline.sources.bitrix24_form import token_of
from beltline.sources.headers import Headers, only_value
from beltline.sources.refusal import RequestRefused, SecretMissing

TOLERANCE_S = 300  # what Standard Webhooks asks for: clocks differ, and old messages are replays

_TELEGRAM = b"x-telegram-bot-api-secret-token"

Resolve = Callable[[str], str | None]


class Received(msgspec.Struct, frozen=True):
    """What arrived, before anything of it is believed: `at` is the time here, in Unix ms."""

    headers: Headers
    body: bytes
    at: int


Verifier = Callable[[Received], None]


def verifier_of(verify: Verify, resolve: Resolve) -> Verifier:
    """The check that a source asks for. `resolve` gives a secret by its name, None if it is not
    set; it is asked for every request, so that a new secret holds at once.

    The check returns where the request is genuine. It raises `RequestRefused` (401; 400 for a
    header that stands twice) and `SecretMissing`.
    """
    match verify:
        case VerifyNone():
            return _anybody
        case VerifyBearer():
            return partial(_check_bearer, partial(_secrets, verify.secret, resolve))
        case VerifyHmac():
            return partial(_check_hmac, verify, partial(_secrets, verify.secret, resolve))
        case VerifyStandardWebhooks():
            return partial(_check_standard_webhooks, partial(_secrets, verify.secret, resolve))
        case VerifyBasic():
            return partial(_check_basic, verify.user, partial(_secrets, verify.secret, resolve))
        case VerifySlack():
            return partial(_check_slack, partial(_secrets, verify.secret, resolve))
        case VerifyBitrix24():
            return partial(_check_bitrix24, partial(_secrets, verify.secret, resolve))


def own_headers(verify: Verify) -> frozenset[bytes]:
    """The headers that prove the sender; they are never kept with the request."""
    if isinstance(verify, VerifyHmac):
        return frozenset((verify.header.lower().encode(),))
    return frozenset()


def challenge_of(verify: Verify) -> str:
    """What a 401 says in `WWW-Authenticate`: how the sender proves itself; empty where no scheme of
    HTTP has a name for it.
    """
    if isinstance(verify, VerifyBearer):
        return "Bearer"
    return 'Basic realm="beltline", charset="UTF-8"' if isinstance(verify, VerifyBasic) else ""


def check_telegram(ref: SecretRef, resolve: Resolve, headers: Headers) -> None:
    """The same for updates of a bot: the secret stands in a header. Raises `RequestRefused` (401;
    400 for a header that stands twice) and `SecretMissing`.
    """
    expected = _secrets(ref, resolve)
    given = only_value(headers, _TELEGRAM)
    if not given:
        raise _refused("The header X-Telegram-Bot-Api-Secret-Token is missing.")
    if not _is_one_of(given, expected):
        raise _refused("The secret token is not the one that this source expects.")


def is_secret(ref: SecretRef, resolve: Resolve, given: bytes) -> bool:
    """Whether `given` is one of the secrets that hold now. Raises `SecretMissing`."""
    return _is_one_of(given, _secrets(ref, resolve))


def _secrets(ref: SecretRef, resolve: Resolve) -> list[str]:
    lines = (resolve(ref.name) or "").splitlines()
    secrets = [line.strip() for line in lines if line.strip()]
    if not secrets:
        raise SecretMissing(f"the secret {ref.name} is not set")
    return secrets


_Secrets = Callable[[], list[str]]


def _anybody(received: Received) -> None:
    """`verify: none`: the source says so in as many words."""


def _check_bearer(secrets: _Secrets, received: Received) -> None:
    expected = secrets()
    sent = only_value(received.headers, b"authorization")
    if not sent:
        raise _refused("The header Authorization is missing. Send `Bearer TOKEN`.")
    scheme, _, token = sent.partition(b" ")
    if scheme.lower() != b"bearer":
        raise _refused("The header Authorization is not of the form `Bearer TOKEN`.")
    if not _is_one_of(token.strip(), expected):
        raise _refused("The token is not the one that this source expects.")


def _check_basic(user: str, secrets: _Secrets, received: Received) -> None:
    expected = [f"{user}:{secret}" for secret in secrets()]
    sent = only_value(received.headers, b"authorization")
    if not sent:
        raise _refused("The header Authorization is missing. Send a user and a password.")
    scheme, _, encoded = sent.partition(b" ")
    given = _unbase64(encoded.strip())
    if scheme.lower() != b"basic" or given is None:
        raise _refused("The header Authorization is not of the form `Basic USER:PASSWORD`.")
    if not _is_one_of(given, expected):
        raise _refused("The user and the password are not those that this source expects.")


def _check_hmac(verify: VerifyHmac, secrets: _Secrets, received: Received) -> None:
    keys = secrets()
    sent = only_value(received.headers, verify.header.lower().encode())
    if not sent:
        raise _refused(f"The header {verify.header} with the signature is missing.")
    prefix = verify.prefix.encode()
    encoded = sent.removeprefix(prefix) if sent.startswith(prefix) else b""
    given = _unhex(encoded) if verify.encoding == "hex" else _unbase64(encoded)
    if given is None:
        raise _refused(
            f"The header {verify.header} must hold {verify.prefix}SIGNATURE, an HMAC with"
            f" {verify.algorithm} in {verify.encoding}."
        )
    digests = [hmac.digest(key.encode(), received.body, verify.algorithm) for key in keys]
    if not _any_equal(given, digests):
        raise _refused("The signature does not fit the body and the secret of this source.")


def _check_standard_webhooks(secrets: _Secrets, received: Received) -> None:
    keys = [_webhook_key(secret) for secret in secrets()]
    id = only_value(received.headers, b"webhook-id")
    timestamp = only_value(received.headers, b"webhook-timestamp")
    signatures = only_value(received.headers, b"webhook-signature")
    if not id or not timestamp or not signatures:
        raise _refused("Send the headers webhook-id, webhook-timestamp and webhook-signature.")
    # A dot ends the id in the signed text: with dots in ids, one signature would fit two
    # different messages.
    if b"." in id:
        raise _refused("The header webhook-id must not hold a dot.")
    _check_time(timestamp, "webhook-timestamp", received.at)
    signed = b"%b.%b.%b" % (id, timestamp, received.body)
    expected = [hmac.digest(key, signed, "sha256") for key in keys]
    for signature in signatures.split(b" "):
        version, _, encoded = signature.partition(b",")
        given = _unbase64(encoded) if version == b"v1" else None
        if given is not None and _any_equal(given, expected):
            return
    raise _refused("No v1 signature fits the message and the secret of this source.")


def _check_slack(secrets: _Secrets, received: Received) -> None:
    keys = secrets()
    timestamp = only_value(received.headers, b"x-slack-request-timestamp")
    signature = only_value(received.headers, b"x-slack-signature")
    if not timestamp or not signature:
        raise _refused("Send the headers x-slack-request-timestamp and x-slack-signature.")
    _check_time(timestamp, "x-slack-request-timestamp", received.at)
    version, _, encoded = signature.partition(b"=")
    given = _unhex(encoded) if version == b"v0" else None
    if given is None:
        raise _refused("The header x-slack-signature must hold v0=SIGNATURE.")
    signed = b"v0:%b:%b" % (timestamp, received.body)
    if not _any_equal(given, [hmac.digest(key.encode(), signed, "sha256") for key in keys]):
        raise _refused("The signature does not fit the message and the secret of this source.")


def _check_bitrix24(secrets: _Secrets, received: Received) -> None:
    expected = secrets()
    token = token_of(received.headers, received.body)
    if token is None:
        raise _refused("Send a form with one field auth[application_token].")
    if not _is_one_of(token, expected):
        raise _refused("The application token is not the one that this source expects.")


def _check_time(timestamp: bytes, name: str, at: int) -> None:
    if not timestamp.isdigit() or len(timestamp) > 12:
        raise _refused(f"The header {name} is no time in Unix seconds.")
    if abs(at / 1_000 - int(timestamp)) > TOLERANCE_S:
        raise _refused(f"The header {name} is more than {TOLERANCE_S} s away from the time here.")


def _is_one_of(given: bytes, secrets: list[str]) -> bool:
    """Compares hashes: they have one length, so that the time does not tell that of a secret."""
    expected = [hashlib.sha256(secret.encode()).digest() for secret in secrets]
    return _any_equal(hashlib.sha256(given).digest(), expected)


def _any_equal(given: bytes, expected: list[bytes]) -> bool:
    """Compares with every one, so that the time does not tell which one came near."""
    equal = False
    for one in expected:
        equal |= hmac.compare_digest(given, one)
    return equal


def _unhex(text: bytes) -> bytes | None:
    try:
        return binascii.unhexlify(text) or None
    except binascii.Error:
        return None


def _unbase64(text: bytes) -> bytes | None:
    try:
        return base64.b64decode(text, validate=True) or None
    except binascii.Error:
        return None


def _webhook_key(secret: str) -> bytes:
    key = _unbase64(secret.removeprefix("whsec_").encode())
    if key is None:
        raise SecretMissing(
            "the secret for Standard Webhooks is no base64 text (whsec_…): set it as the sender"
            " gave it"
        )
    return key


def _refused(detail: str) -> RequestRefused:
    return RequestRefused(401, "unverified-sender", detail)
