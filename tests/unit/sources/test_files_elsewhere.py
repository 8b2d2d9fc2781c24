"""Files behind SFTP, by Debian's own server, and in a bucket: the same rules as in a folder."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from beltline.core.limits import TINY
from beltline.sdk import Connection
from beltline.sources.door import FeedTrouble
from tests.servers.processes import NoServer
from tests.servers.s3 import BUCKET, KEY_ID, S3Service, s3_service
from tests.servers.sshd import SshServer, sshd
from tests.unit.api.stage import Stage
from tests.unit.sources.looking import Looking, connection_of

HEAD = "source: drop\nkind: files\nprocess: lead\nevery: 10s\nsettle: none\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshServer]:
    try:
        with sshd(tmp_path_factory.mktemp("sshd")) as running:
            yield running
    except NoServer as missing:
        pytest.skip(str(missing))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "far"
    path.mkdir()
    return path


def by_sftp(
    stage: Stage,
    server: SshServer,
    folder: Path,
    rest: str = "",
    *,
    host_key: str = "",
    account: Connection | None = None,
) -> Looking:
    text = (
        f'{HEAD}sftp: {{connection: far, folder: "{folder}",'
        f' host_key: "{host_key or server.host_key}"}}\n{rest}'
    )
    account = account or connection_of("far", server.address, server.user, server.user_key)
    return Looking(stage, text, folder.parent, account, limits=TINY)


def names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


async def test_sftp_brings_rows_and_moves_files(
    stage: Stage, server: SshServer, folder: Path
) -> None:
    (folder / "a.csv").write_text("n\n1\n2\n3\n")
    (folder / "b.csv").write_text("n\n4,5\n")
    (folder / "deep.csv").mkdir()
    (folder / "link.csv").symlink_to("/etc/passwd")
    drop = by_sftp(stage, server, folder, 'each: row\npattern: "*.csv"\n')
    await drop.look()
    assert await drop.bodies() == [{"n": "1"}, {"n": "2"}, {"n": "3"}]
    assert names(folder) == [
        *("deep.csv", "done", "done/a.csv"),
        *("failed", "failed/b.csv", "failed/b.csv.reason.txt", "link.csv"),
    ]
    note = (folder / "failed/b.csv.reason.txt").read_text()
    assert note == "row 1: line 2 has 2 cells, and the first line names 1\n"
    (folder / "a.csv").write_text("n\n9\n")
    await drop.look()  # the name is taken in done/, so that it gets another one
    assert len(names(folder / "done")) == 2
    assert (folder / "done/a.csv").read_text() == "n\n1\n2\n3\n"
    assert (await drop.bodies())[-1] == {"n": "9"}


async def test_sftp_deletes_and_keeps(stage: Stage, server: SshServer, folder: Path) -> None:
    (folder / "a.json").write_text("[1]")
    kept = by_sftp(stage, server, folder, "then: keep\n")
    await kept.look()
    await kept.look()
    assert await kept.bodies() == [[1]]
    assert names(folder) == ["a.json"]
    gone = by_sftp(stage, server, folder, "then: delete\n")
    gone.door._store = kept.door._store
    await gone.look()
    assert names(folder) == []
    assert await kept.bodies() == [[1]]


async def test_another_server_is_not_trusted(stage: Stage, server: SshServer, folder: Path) -> None:
    other = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl"
    with pytest.raises(FeedTrouble, match="does not have the key"):
        await by_sftp(stage, server, folder, host_key=other).look()


async def test_sftp_says_what_is_wrong(stage: Stage, server: SshServer, folder: Path) -> None:
    account = connection_of("far", server.address, server.user, "wrong")
    with pytest.raises(FeedTrouble, match="Permission denied"):
        await by_sftp(stage, server, folder, account=account).look()
    account = connection_of("far", server.address, "", "x")
    with pytest.raises(FeedTrouble, match="and a user"):
        await by_sftp(stage, server, folder, account=account).look()
    with pytest.raises(FeedTrouble, match="No such file"):
        await by_sftp(stage, server, folder / "gone").look()
    account = connection_of("far", "sftp://127.0.0.1:9", "me", "x")
    with pytest.raises(FeedTrouble, match=r"sftp://127\.0\.0\.1:9"):
        await by_sftp(stage, server, folder, account=account).look()


# A bucket


@pytest.fixture
async def service() -> AsyncIterator[S3Service]:
    async with s3_service() as running:
        yield running


def by_s3(
    stage: Stage, service: S3Service, home: Path, rest: str = "", *, user: str = KEY_ID
) -> Looking:
    text = f"{HEAD}s3: {{connection: far, bucket: {BUCKET}, prefix: in}}\n{rest}"
    account = connection_of("far", service.address, user, "s3cret-key")
    return Looking(stage, text, home, account)


async def test_a_bucket_brings_rows_and_moves_objects(
    stage: Stage, service: S3Service, tmp_path: Path
) -> None:
    for n in range(5):
        service.put(f"in/{n}.csv", f"n\n{n}\n".encode())
    service.put("in/bad.csv", b"n\n1,2\n")
    service.put("in/deep/x.csv", b"n\n7\n")
    service.put("other.csv", b"n\n8\n")
    drop = by_s3(stage, service, tmp_path, 'each: row\npattern: "*.csv"\n')
    await drop.look()
    assert await drop.bodies() == [{"n": str(n)} for n in range(5)]
    assert sorted(service.objects) == [
        *("in/deep/x.csv", *(f"in/done/{n}.csv" for n in range(5))),
        *("in/failed/bad.csv", "in/failed/bad.csv.reason.txt", "other.csv"),
    ]
    service.put("in/0.csv", b"n\n9\n")
    await drop.look()
    assert service.objects["in/done/0.csv"].body == b"n\n0\n"
    assert (await drop.bodies())[-1] == {"n": "9"}


async def test_an_object_that_was_copied_and_not_deleted_is_known(
    stage: Stage, service: S3Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    service.put("in/a.json", b"[1]")
    drop = by_s3(stage, service, tmp_path)

    async def away(*given: object) -> None:
        raise OSError("the line broke")

    with monkeypatch.context() as patch:
        patch.setattr("obstore.delete_async", away)
        with pytest.raises(FeedTrouble, match=r"a\.json: the line broke"):
            await drop.look()
    assert set(service.objects) == {"in/a.json", "in/done/a.json"}
    drop.again()
    await drop.look()
    assert await drop.bodies() == [[1]]
    assert "in/a.json" not in service.objects


async def test_a_bucket_says_what_is_wrong(
    stage: Stage, service: S3Service, tmp_path: Path
) -> None:
    with pytest.raises(FeedTrouble, match="the bucket cannot be listed") as caught:
        await by_s3(stage, service, tmp_path, user="AKIAOTHER").look()
    assert "s3cret-key" not in str(caught.value)
    with pytest.raises(FeedTrouble, match="the id of an access key"):
        await by_s3(stage, service, tmp_path, user="").look()
