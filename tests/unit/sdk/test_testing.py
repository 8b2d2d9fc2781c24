"""The kit for tests of modules: it does as the hub does, and finds what is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import msgspec
import pytest

from beltline.sdk import Config, Context, Example, FileRef, HttpFailed, Module, NoFile, Retry, field
from beltline.sdk.testing import (
    BOUNDS,
    Files,
    Lines,
    PreparedHttp,
    answer,
    answered,
    given,
    loaded,
    wrong_examples,
)


class DoubleConfig(Config):
    """A number."""

    number: Annotated[int, field("Number", "A number.")]


def made(handler: Any, *examples: Example, output: Any = dict) -> Module[Any, Any]:
    return Module(
        name="double",
        version=1,
        summary="Double it.",
        category="site",
        icon="x",
        effect="idempotent",
        config=DoubleConfig,
        output=output,
        handler=handler,
        examples=examples,
    )


def double(config: DoubleConfig, context: Context) -> dict[str, int]:
    return {"number": 2 * config.number}


async def test_examples_are_held_to_what_they_promise() -> None:
    right = Example("two", {"number": 2}, {"number": 4})
    wrong = Example("three", {"number": 3}, {"number": 7})
    outside = Example("four", {"number": 4})
    assert await wrong_examples(made(double, right, outside)) == []
    told = await wrong_examples(made(double, right, wrong))
    assert told == ["three: gives {'number': 6}, and promises {'number': 7}"]
    with pytest.raises(msgspec.ValidationError):
        await wrong_examples(made(double, Example("five", {"numbr": 5})))


async def test_a_result_of_another_type_and_loose_parameters_are_found() -> None:
    with pytest.raises(AssertionError, match="does not declare"):
        await answer(made(double, output=list), {"number": 1}, given())
    with pytest.raises(msgspec.ValidationError):
        await answer(made(double), {"number": "1"}, given())


async def test_what_goes_out_is_prepared_and_kept() -> None:
    async def asks(config: DoubleConfig, context: Context) -> dict[str, Any] | Retry:
        context.log.warning("asks", number=config.number)
        try:
            found = await context.http.request("POST", "https://site.example", body=b"[1]")
        except HttpFailed:
            return Retry("it broke")
        return {"status": found.status, "left": context.time_left_s() > 50}

    http, lines = PreparedHttp(answered(201), HttpFailed("broken")), Lines()
    context = given(http, log=lines)
    assert await answer(made(asks), {"number": 1}, context) == {"status": 201, "left": True}
    assert await answer(made(asks), {"number": 1}, context) == Retry("it broke")
    assert http.sent[0].json == [1]
    assert lines.written[0] == ("warning", "asks", {"number": 1})


async def test_files_in_memory_have_the_bounds_of_the_real_ones() -> None:
    files = Files()
    kept = await files.keep(b"abc", "x.txt", "text/plain")
    assert await (await files.open(kept)).read() == b"abc"
    with pytest.raises(NoFile):
        await files.open(FileRef(blob="sha256:" + "0" * 64))
    with pytest.raises(NoFile, match="module_file_bytes"):
        files.put(bytes(BOUNDS.module_file_bytes + 1))


def test_a_file_without_a_module_is_told(tmp_path: Path) -> None:
    (tmp_path / "nothing.py").write_text("module = 1\n")
    with pytest.raises(AssertionError, match="defines no"):
        loaded(tmp_path / "nothing.py")
