"""Lengths of time in modules mean the same as in definitions."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from beltline.core.duration import DurationError, parse_duration_ms
from beltline.sdk import Duration, duration_s

PARTS = st.lists(
    st.tuples(st.integers(0, 9_999), st.sampled_from(["ms", "s", "m", "h", "d", "w"])), min_size=1
)


@given(PARTS)
def test_both_grammars_read_the_same_length(parts: list[tuple[int, str]]) -> None:
    text = "".join(f"{number}{unit}" for number, unit in parts)
    assert duration_s(text) * 1000 == pytest.approx(parse_duration_ms(text))
    assert msgspec.convert(text, Duration) == text


@given(st.one_of(st.text(max_size=8), st.text("0123456789.smhdw ", max_size=8)))
def test_both_grammars_refuse_the_same_texts(text: str) -> None:
    if not text.isascii():
        return  # digits of other scripts: the definition's grammar may read them
    try:
        milliseconds = parse_duration_ms(text)
    except DurationError:
        with pytest.raises(ValueError, match="no length of time"):
            duration_s(text)
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert(text, Duration)
    else:
        assert duration_s(text) * 1000 == pytest.approx(milliseconds, abs=0.5)
