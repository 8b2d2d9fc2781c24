"""The numbers of a decision: waits after failures, the ends of waits, hashes of parameters."""

from __future__ import annotations

from hashlib import blake2b

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beltline.core.backoff import backoff_ms
from beltline.core.canonical import hash_of
from beltline.core.duration import DurationError
from beltline.core.engine_steps.wait import wait_until
from beltline.core.limits import LIMITS
from beltline.core.model import RetryPolicy

NOON = 1_700_000_000_000

POLICIES = st.builds(
    RetryPolicy,
    attempts=st.integers(1, LIMITS.retry_attempts),
    first_ms=st.integers(0, 10**9),
    factor=st.floats(1, 100),
    max_ms=st.integers(0, 10**9),
)


@given(POLICIES, st.integers(1, LIMITS.retry_attempts), st.text(max_size=20))
def test_a_wait_stays_within_its_last_fifth_and_its_bounds(
    policy: RetryPolicy, failures: int, seed: str
) -> None:
    wait = backoff_ms(policy, failures, seed)
    full = min(policy.first_ms * policy.factor ** min(failures - 1, 64), policy.max_ms)
    full = min(full, LIMITS.retry_wait_ms)
    assert 0.8 * full - 1 <= wait <= full + 1
    assert wait == backoff_ms(policy, failures, seed)


def test_waits_of_many_runs_are_spread() -> None:
    waits = {backoff_ms(RetryPolicy(), 1, f"run-{number}/a/1") for number in range(1_000)}
    assert min(waits) < 820
    assert max(waits) > 980
    assert len(waits) > 180


@pytest.mark.parametrize(
    ("value", "until"),
    [
        ({"for": "5m"}, NOON + 300_000),
        ({"for": "0s"}, NOON),
        ({"until": "2023-11-14T23:13:20+00:00"}, NOON + 3_600_000),
        ({"until": "2001-01-01T00:00:00Z"}, NOON),
    ],
)
def test_a_wait_ends_after_a_length_or_at_a_moment(value: object, until: int) -> None:
    assert wait_until(value, NOON) == until


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({}, "`for`"),
        (None, "`for`"),
        ({"for": "1h", "until": "2023-11-14T23:13:20Z"}, "`for`"),
        ({"for": 90}, "`for`"),
        ({"until": "tomorrow"}, "not a moment"),
        ({"until": "2023-11-14T23:13:20"}, "no offset"),
        ({"for": "4000d"}, "wait_ms"),
    ],
)
def test_a_wait_that_says_no_time_is_refused_in_words(value: object, words: str) -> None:
    with pytest.raises(DurationError, match=words):
        wait_until(value, NOON)


def test_the_hash_of_parameters_does_not_depend_on_the_order_of_keys() -> None:
    assert hash_of({"b": 1, "a": [1.5, None]}) == hash_of({"a": [1.5, None], "b": 1})
    expected = blake2b(b'{"a":[1.5,null],"b":1}', digest_size=16).hexdigest()
    assert hash_of({"b": 1, "a": [1.5, None]}) == (expected, "")


def test_what_json_cannot_carry_has_no_hash_but_a_reason() -> None:
    digest, why = hash_of({"x": "\ud800"})
    assert digest == ""
    assert "JSON" in why
