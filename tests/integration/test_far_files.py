"""Files behind SFTP and in buckets, by modules: at Debian's own sshd, and at a service of S3."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from beltline.catalog.connection_tests import check_connection
from beltline.clients.sftp import FILES
from beltline.sdk import Connection, Reject, Retry, Secret
from beltline.sdk.testing import BOUNDS
from tests.integration.module_calls import Calls
from tests.servers.processes import NoServer
from tests.servers.s3 import BUCKET, KEY_ID, S3Service, s3_service
from tests.servers.sshd import SshServer, sshd

OTHER_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl"
NO_HTTP: Any = None


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshServer]:
    try:
        with sshd(tmp_path_factory.mktemp("sshd")) as running:
            yield running
    except NoServer as missing:
        pytest.skip(str(missing))


@pytest.fixture
async def service() -> AsyncIterator[S3Service]:
    async with s3_service() as running:
        yield running


def far(server: SshServer, host_key: str | None = None, secret: str = "") -> Connection:
    options = {
        "user": server.user,
        "host_key": server.host_key if host_key is None else host_key,
    }
    key = Secret(secret or server.user_key)
    return Connection("far", "sftp", server.address, key, options)


def bucket(service: S3Service, user: str = KEY_ID) -> Connection:
    return Connection("store", "s3", service.address, Secret("s3cret-key"), {"user": user})


def names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


# SFTP


async def test_a_file_is_put_whole_and_over_the_old_one(
    call: Calls, server: SshServer, tmp_path: Path
) -> None:
    (tmp_path / "a.csv").write_text("old and longer than the new one")
    content = bytes(range(256)) * 250
    ref = call.files.put(content, "a.csv")
    put = await call("sftp.put", far(server), path=f"{tmp_path}/a.csv", file={"blob": ref.blob})
    assert put == {"path": f"{tmp_path}/a.csv", "bytes": len(content)}
    assert (tmp_path / "a.csv").read_bytes() == content
    deep = f"{tmp_path}/x/y/b.txt"
    assert isinstance(await call("sftp.put", far(server), path=deep, text="я"), Reject)
    await call("sftp.put", far(server), path=deep, text="я", make_folders=True)
    assert (tmp_path / "x/y/b.txt").read_text() == "я"
    assert names(tmp_path) == ["a.csv", "x", "x/y", "x/y/b.txt"]
    assert len(call.opened()) == 1  # one line for all calls


async def test_a_put_that_breaks_off_leaves_the_old_file_and_a_repeat_mends_it(
    call: Calls, server: SshServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.csv").write_text("old")
    where = f"{tmp_path}/a.csv"

    async def lost(*given: object) -> None:
        raise asyncssh.SFTPConnectionLost("it broke")

    with monkeypatch.context() as patch:
        patch.setattr(asyncssh.SFTPClient, "posix_rename", lost)
        broken = await call("sftp.put", far(server), path=where, text="new")
    assert broken == Retry("the line broke: it broke", None)
    assert (tmp_path / "a.csv").read_text() == "old"
    [part] = [one for one in names(tmp_path) if one != "a.csv"]
    assert (part[0], part.endswith(".part")) == (".", True)
    listed = await call("sftp.list", far(server), folder=str(tmp_path))
    assert [one["name"] for one in listed["files"]] == ["a.csv"]  # a half is not listed
    assert await call("sftp.put", far(server), path=where, text="new") == {
        "path": where,
        "bytes": 3,
    }
    assert names(tmp_path) == ["a.csv"]
    assert (tmp_path / "a.csv").read_text() == "new"


async def test_a_file_is_fetched_and_kept(call: Calls, server: SshServer, tmp_path: Path) -> None:
    (tmp_path / "prices.csv").write_bytes(b"n\n1\n")
    got = await call("sftp.get", far(server), path=f"{tmp_path}/prices.csv")
    assert (got["file"]["name"], got["file"]["bytes"]) == ("prices.csv", 4)
    assert call.files.contents[got["file"]["blob"]] == b"n\n1\n"
    assert got["modified"].endswith("+00:00")
    missing = f"{tmp_path}/none.csv"
    assert await call("sftp.get", far(server), path=missing) == Reject(
        f"there is no file {missing}"
    )
    assert await call("sftp.get", far(server), path=missing, optional=True) == {
        "file": None,
        "modified": None,
    }
    (tmp_path / "large").write_bytes(b"x" * (BOUNDS.module_file_bytes + 1))
    large = await call("sftp.get", far(server), path=f"{tmp_path}/large")
    assert isinstance(large, Reject)
    assert f"more than {BOUNDS.module_file_bytes} bytes" in large.reason


async def test_files_are_listed_in_order_and_bounded(
    call: Calls, server: SshServer, tmp_path: Path
) -> None:
    for n in (2, 0, 1):
        (tmp_path / f"{n}.csv").write_text("x" * n)
    (tmp_path / "deep.csv").mkdir()
    (tmp_path / ".hidden.csv").write_text("x")
    (tmp_path / "link.csv").symlink_to("/etc/passwd")
    (tmp_path / "a.txt").write_text("x")
    listed = await call("sftp.list", far(server), folder=str(tmp_path), pattern="*.csv", limit=2)
    assert [(one["name"], one["bytes"]) for one in listed["files"]] == [("0.csv", 0), ("1.csv", 1)]
    assert (listed["count"], listed["more"]) == (2, True)
    whole = await call("sftp.list", far(server), folder=str(tmp_path), pattern="*.csv")
    assert (whole["count"], whole["more"]) == (3, False)
    gone = await call("sftp.list", far(server), folder=f"{tmp_path}/gone")
    assert isinstance(gone, Reject)


async def test_a_server_has_to_be_the_one_that_is_expected(call: Calls, server: SshServer) -> None:
    other = await call("sftp.list", far(server, OTHER_KEY))
    assert isinstance(other, Reject)
    assert "does not have the key" in other.reason
    none = await call("sftp.list", far(server, ""))
    assert isinstance(none, Reject)
    assert "needs `host_key`" in none.reason
    wrong = await call("sftp.list", far(server, secret="wr0ng"))
    assert isinstance(wrong, Reject)
    assert ("Permission denied" in wrong.reason, "wr0ng" in wrong.reason) == (True, False)
    away = Connection("far", "sftp", "sftp://127.0.0.1:9", Secret("x"), far(server).options)
    assert isinstance(await call("sftp.list", away), Retry)


@pytest.mark.parametrize("path", ["../a", "/in/../../etc/x", "in/./a", "a\nb", "in/"])
async def test_a_path_leads_nowhere_else(call: Calls, path: str) -> None:
    with pytest.raises(Exception, match="`path`"):
        await call("sftp.put", None, path=path, text="x")


async def test_a_line_that_broke_is_opened_again(
    call: Calls, server: SshServer, tmp_path: Path
) -> None:
    await call("sftp.list", far(server), folder=str(tmp_path))
    [opening] = call.opened()
    await (await opening).close()
    assert isinstance(await call("sftp.list", far(server), folder=str(tmp_path)), Retry)
    assert (await call("sftp.list", far(server), folder=str(tmp_path)))["count"] == 0


async def test_the_connection_to_a_server_of_files(server: SshServer) -> None:
    good = await check_connection(far(server), NO_HTTP)
    assert (good.ok, "with the key that is expected" in good.found) == (True, True)
    other = await check_connection(far(server, OTHER_KEY), NO_HTTP)
    assert (other.ok, "may be another server" in other.found) == (False, True)
    assert FILES.is_shared


# S3


async def test_objects_are_put_fetched_and_listed(call: Calls, service: S3Service) -> None:
    account = bucket(service)
    for key, text in (("in/b.json", "[2]"), ("in/a.json", "[1]"), ("in/deep/c.json", "[3]")):
        put = await call("s3.put", account, bucket=BUCKET, key=key, text=text)
        assert put == {"path": key, "bytes": 3}
    await call("s3.put", account, bucket=BUCKET, key="in/a.json", text="[1, 1]")
    got = await call("s3.get", account, bucket=BUCKET, key="in/a.json")
    assert call.files.contents[got["file"]["blob"]] == b"[1, 1]"
    assert (got["file"]["name"], got["modified"][:10]) == ("a.json", "2026-01-01")
    listed = await call("s3.list", account, bucket=BUCKET, prefix="/in/", limit=1)
    assert [(one["name"], one["bytes"]) for one in listed["files"]] == [("a.json", 6)]
    assert listed["more"]
    whole = await call("s3.list", account, bucket=BUCKET, prefix="in", pattern="b*")
    assert ([one["name"] for one in whole["files"]], whole["more"]) == (["b.json"], False)
    assert len(call.opened()) == 1


async def test_objects_that_are_missing_or_too_large(call: Calls, service: S3Service) -> None:
    account = bucket(service)
    missing = await call("s3.get", account, bucket=BUCKET, key="none")
    assert missing == Reject(f"there is no object none in {BUCKET}")
    none = await call("s3.get", account, bucket=BUCKET, key="none", optional=True)
    assert none == {"file": None, "modified": None}
    service.put("large", b"x" * (BOUNDS.module_file_bytes + 1))
    large = await call("s3.get", account, bucket=BUCKET, key="large")
    assert isinstance(large, Reject)
    assert "more than" in large.reason


async def test_what_a_service_refuses_ends_the_visit(call: Calls, service: S3Service) -> None:
    for account, name in ((bucket(service, "AKIAOTHER"), BUCKET), (bucket(service), "nobucket")):
        refused = await call("s3.put", account, bucket=name, key="a", text="x")
        assert isinstance(refused, Reject), refused
        assert "s3cret-key" not in refused.reason
    missing = await call("s3.get", bucket(service), bucket="nobucket", key="a", optional=True)
    assert missing == Reject("a: the service answers NoSuchBucket")
    listed = await call("s3.list", bucket(service, "AKIAOTHER"), bucket=BUCKET)
    assert listed == Reject("the bucket: the service answers InvalidAccessKeyId")
    none = Connection("store", "s3", service.address, None, {})
    refused = await call("s3.put", none, bucket=BUCKET, key="a", text="x")
    assert isinstance(refused, Reject)
    assert "the id of an access key" in refused.reason
    away = Connection("store", "s3", "http://127.0.0.1:9", Secret("x"), {"user": KEY_ID})
    assert isinstance(await call("s3.put", away, bucket=BUCKET, key="a", text="x"), Retry)
    assert service.objects == {}


@pytest.mark.parametrize("key", ["/a", "a/", "a//b", "a/../b", "a\nb"])
async def test_a_key_is_a_plain_one(call: Calls, key: str) -> None:
    with pytest.raises(Exception, match="`key`"):
        await call("s3.put", None, bucket=BUCKET, key=key, text="x")


async def test_the_connection_to_a_service_of_s3(service: S3Service) -> None:
    good = await check_connection(bucket(service), NO_HTTP)
    assert (good.ok, good.found) == (True, "the service knows the key")
    wrong = await check_connection(bucket(service, "AKIAOTHER"), NO_HTTP)
    assert (wrong.ok, "does not take the key" in wrong.found) == (False, True)
    assert "s3cret-key" not in wrong.found
    assert service.calls == []  # it asked for nothing of a bucket that is there
