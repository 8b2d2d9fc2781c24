"""Bodies of all kinds at the door of a hub, and the files that come with them."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
from pathlib import Path
from typing import Any

import msgspec
import pytest

from beltline.core.limits import PRODUCTION, TINY
from beltline.engine.records import Batch, Repeat
from tests.unit.api.calling import Answered
from tests.unit.api.stage import Stage, running_stage
from tests.unit.sources.parts import CONTENT_TYPE, field, file, multipart

PHOTO = b"\x89PNG" + bytes(range(256))
UPLOAD = multipart(field("name", "Anna"), file("photo", "me.png", PHOTO))
BIG = "source: big\nkind: webhook\nprocess: lead\nverify: none\nbody: {most: 4MiB}\n"
BLOB = f"sha256:{hashlib.sha256(PHOTO).hexdigest()}"


async def body_of(stage: Stage, answer: Answered) -> Any:
    assert answer.status == 202, answer.body
    return (await stage.run(answer.json()["run"]))["request"]["body"]


def kept(folder: Path) -> list[Path]:
    return [path for path in (folder / "blobs").rglob("*") if path.is_file()]


async def test_xml_text_and_compressed_json_are_taken_in(stage: Stage) -> None:
    answer = await stage.send("form", b"<lead id='7'/>", content_type="text/xml")
    assert await body_of(stage, answer) == {"lead": {"@id": "7"}}
    answer = await stage.send("form", "Привет".encode(), content_type="text/plain;charset=UTF-8")
    assert await body_of(stage, answer) == {"text": "Привет"}
    packed = gzip.compress(b'{"name": "Anna"}')
    answer = await stage.send("form", packed, ("Content-Encoding", "gzip"))
    assert await body_of(stage, answer) == {"name": "Anna"}


async def test_a_file_is_kept_and_the_document_names_it(stage: Stage, tmp_path: Path) -> None:
    answer = await stage.send("form", UPLOAD, content_type=CONTENT_TYPE)
    photo = {"blob": BLOB, "name": "me.png", "type": "image/png", "bytes": len(PHOTO)}
    assert await body_of(stage, answer) == {"name": "Anna", "photo": photo}
    assert [path.read_bytes() for path in kept(tmp_path)] == [PHOTO]
    run = await stage.run(answer.json()["run"])
    assert str(tmp_path) not in msgspec.json.encode(run).decode()
    got = await stage.ask("GET", f"/api/v1/blobs/{BLOB}", role="viewer")
    assert (got.status, got.body) == (200, PHOTO)
    assert got.headers["content-type"] == "application/octet-stream"
    assert got.headers["content-disposition"] == "attachment"
    assert got.headers["x-content-type-options"] == "nosniff"


async def test_files_are_for_viewers_and_for_nobody_less(stage: Stage) -> None:
    await stage.send("form", UPLOAD, content_type=CONTENT_TYPE)
    assert (await stage.ask("GET", f"/api/v1/blobs/{BLOB}", role=None)).status == 401


@pytest.mark.parametrize("id", ["sha256:" + "0" * 64, "x", "..", "sha256:..%2f..%2fhub.db"])
async def test_a_file_that_is_not_there_is_told(stage: Stage, id: str) -> None:
    assert (await stage.ask("GET", f"/api/v1/blobs/{id}")).status == 404


async def test_a_file_is_durable_before_its_request_is(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = stage.store.commit
    seen: list[list[bytes]] = []

    async def looking(batch: Batch) -> list[Repeat | None]:
        seen.append([path.read_bytes() for path in kept(tmp_path)])
        answers: list[Repeat | None] = await commit(batch)
        return answers

    monkeypatch.setattr(stage.store, "commit", looking, raising=False)
    await stage.send("form", UPLOAD, content_type=CONTENT_TYPE)
    assert seen[0] == [PHOTO]


async def test_where_files_cannot_be_kept_the_sender_is_told_to_come_again(
    stage: Stage, tmp_path: Path
) -> None:
    (tmp_path / "blobs").write_text("in the way")
    answer = await stage.send("form", UPLOAD, content_type=CONTENT_TYPE)
    assert (answer.status, answer.headers["retry-after"]) == (503, "5")
    assert (await stage.ask("GET", f"/api/v1/blobs/{BLOB}")).status == 503
    assert (await stage.ask("GET", "/api/v1/runs")).json()["runs"] == []
    assert (await stage.send("form", {})).status == 202


async def test_nothing_is_kept_of_a_request_that_is_refused(stage: Stage, tmp_path: Path) -> None:
    stage.add_source(
        "source: strict\nkind: webhook\nprocess: lead\nverify: none\nschema: {required: [phone]}\n"
    )
    answer = await stage.send("strict", UPLOAD, content_type=CONTENT_TYPE)
    assert answer.status == 422
    assert kept(tmp_path) == []


# Sizes


async def test_a_source_may_take_larger_bodies_and_only_with_files(stage: Stage) -> None:
    stage.add_source(BIG)
    large = multipart(file("a", "a.bin", bytes(3_000_000)))
    assert (await stage.send("form", large, content_type=CONTENT_TYPE)).status == 413
    answer = await stage.send("big", large, content_type=CONTENT_TYPE)
    assert (await body_of(stage, answer))["a"]["bytes"] == 3_000_000
    in_parts = [large[:1_000_000], large[1_000_000:]]
    assert (await stage.send("big", in_parts, content_type=CONTENT_TYPE)).status == 202
    larger = multipart(file("a", "a.bin", bytes(4_194_304)))
    refused = await stage.send("big", larger, content_type=CONTENT_TYPE)
    assert refused.status == 413
    assert "body.most" in refused.json()["detail"]
    json = b'"' + b"x" * 3_000_000 + b'"'
    for refused in (await stage.send("big", json), await stage.send("big", [json[:9], json[9:]])):
        assert refused.status == 413
        assert "request_body_bytes" in refused.json()["detail"]
    text = multipart(field("a", "x" * 3_000_000))
    refused = await stage.send("big", text, content_type=CONTENT_TYPE)
    assert refused.status == 413
    assert "beside the files" in refused.json()["detail"]


async def test_a_source_may_take_smaller_bodies_only(stage: Stage) -> None:
    stage.add_source(BIG.replace("4MiB", "40B"))
    assert (await stage.send("big", b'"' + b"x" * 38 + b'"')).status == 202
    refused = await stage.send("big", b'"' + b"x" * 39 + b'"')
    assert (refused.status, "body.most" in refused.json()["detail"]) == (413, True)
    packed = gzip.compress(b'"' + b"x" * 100 + b'"')
    assert len(packed) <= 40
    refused = await stage.send("big", packed, ("Content-Encoding", "gzip"))
    assert (refused.status, "body.most" in refused.json()["detail"]) == (413, True)


async def test_few_large_bodies_are_in_memory_at_a_time(tmp_path: Path) -> None:
    limits = msgspec.structs.replace(PRODUCTION, request_body_bytes=1_000, uploads_at_once=1)
    async with running_stage(tmp_path, limits=limits) as stage:
        stage.add_source(BIG)
        large = multipart(file("a", "a.bin", bytes(5_000)))
        reached, go_on = asyncio.Event(), asyncio.Event()
        keep = stage.hub.blobs.keep

        async def slow_keep(contents: Any) -> None:
            reached.set()
            await go_on.wait()
            await keep(contents)

        object.__setattr__(stage.hub.blobs, "keep", slow_keep)
        first = asyncio.ensure_future(stage.send("big", large, content_type=CONTENT_TYPE))
        await reached.wait()
        turned_away = await stage.send("big", large, content_type=CONTENT_TYPE)
        assert (turned_away.status, turned_away.headers["retry-after"]) == (503, "2")
        assert "uploads_at_once" in turned_away.json()["detail"]
        assert (await stage.send("big", {"small": True})).status == 202
        go_on.set()
        assert (await first).status == 202
        assert (await stage.send("big", large, content_type=CONTENT_TYPE)).status == 202


async def test_a_large_body_that_is_refused_gives_its_place_back(tmp_path: Path) -> None:
    limits = msgspec.structs.replace(TINY, request_body_bytes=1_000)
    async with running_stage(tmp_path, limits=limits) as stage:
        stage.add_source(BIG)
        for _ in range(3):
            broken = await stage.send("big", b"x" * 5_000, content_type=CONTENT_TYPE)
            assert broken.status == 400


# Lies


@pytest.mark.parametrize(
    ("body", "headers", "type", "status"),
    [
        (b"{}", [("Content-Length", "3")], "application/json", 400),
        (b"{}", [("Content-Length", "1")], "application/json", 400),
        (b"{}", [("Content-Length", "-2")], "application/json", 400),
        (b"{}", [("Content-Length", "2, 2")], "application/json", 400),
        (b"<a/>", [], "application/json", 400),
        (b"{}", [], "application/xml", 400),
        (b"a=1", [], CONTENT_TYPE, 400),
        (UPLOAD, [], "application/json", 400),
        (UPLOAD, [], CONTENT_TYPE + "x", 400),
        (UPLOAD, [], "multipart/form-data", 400),
        (UPLOAD, [], "multipart/mixed; boundary=x", 415),
        (b'{"a": "\xcf\xf0\xe8"}', [], "application/json", 400),
        (b'{"a": 1}', [], "application/json; charset=windows-1251", 415),
        (b"\xcf\xf0\xe8", [], "text/plain", 400),
        (b"{}", [("Content-Encoding", "gzip")], "application/json", 400),
        (b"{}", [("Content-Encoding", "br")], "application/json", 415),
        (gzip.compress(b"{}", mtime=0), [], "application/json", 400),
        (gzip.compress(b"{}", mtime=0), [("Content-Encoding", "deflate")], "application/json", 400),
        (b"{}", [("Content-Encoding", "gzip"), ("Content-Encoding", "gzip")], "application/json",
         400),
        (b"{}", [("Content-Type", "text/plain")], "application/json", 400),
    ],
)  # fmt: skip
async def test_a_body_that_is_not_what_it_says_is_refused(
    stage: Stage, body: bytes, headers: list[tuple[str, str]], type: str, status: int
) -> None:
    # In parts, so that no true Content-Length stands beside the one of the case.
    answer = await stage.send("form", [body], *headers, content_type=type)
    assert answer.status == status, answer.body
    assert (await stage.ask("GET", "/api/v1/runs")).json()["runs"] == []
