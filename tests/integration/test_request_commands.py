"""`beltline request`: what came in is seen from the command line, and used as test data."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from beltline.engine.ids import id_of
from beltline.engine.verdict_store import Verdict
from beltline.settings import open_home
from beltline.stores import open_store
from tests.conformance.store_rows import accept, held, key

PROCESS = 'process: deal\nsteps:\n  - {id: one, module: set, with: {a: "{{ request.name }}"}}\n'
SOURCE = "source: calls\nkind: webhook\nprocess: deal\nverify: {bearer: '${CALLS}'}\n"


def refused(number: int, body: bytes | None, of: bytes | None = None) -> Verdict:
    return Verdict(
        key(number),
        "calls",
        "refused" if of is None else "duplicate",
        401,
        "unverified-sender",
        "the token is wrong",
        of,
        b'{"headers":{},"headers_not_kept":[]}',
        None,
        "application/x-www-form-urlencoded",
        "",
        body,
    )


@pytest.fixture
async def home(tmp_path: Path) -> Path:
    """A home with a request that waits, a repeat of it, and two refused ones."""
    for name, text in (("processes/deal", PROCESS), ("sources/calls", SOURCE)):
        path = tmp_path / f"{name}.yaml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    (tmp_path / "beltline.toml").touch()
    (tmp_path / "data").mkdir()
    beltline(tmp_path, "publish")
    store = await open_store(open_home(tmp_path).store_url)
    await accept(store, held(1, "calls", process="deal", body=b'{"name":"Anna"}'))
    await store.keep_verdicts(
        [refused(2, None, key(1)), refused(3, b"name=Boris"), refused(4, None)]
    )
    await store.settle_verdict(key(3), key(9), "vera")
    await store.close()
    return tmp_path


def beltline(home: Path, *words: str, code: int = 0, sent: str = "") -> str:
    done = subprocess.run(
        [sys.executable, "-m", "beltline", *words, "--home", str(home)],
        capture_output=True,
        text=True,
        check=False,
        input=sent,
    )
    assert done.returncode == code, done.stderr
    return done.stdout if code == 0 else done.stderr


def test_requests_are_listed_with_their_verdicts(home: Path) -> None:
    rows = json.loads(beltline(home, "request", "list", "--json"))
    assert [(row["id"], row["verdict"]) for row in rows] == [
        (id_of(key(4)), "refused"),
        (id_of(key(3)), "refused"),
        (id_of(key(2)), "duplicate"),
        (id_of(key(1)), "accepted"),
    ]
    assert rows[0]["why"] == "401 unverified-sender: the token is wrong"
    assert rows[1]["why"].startswith(f"accepted by vera as {id_of(key(9))}; was 401")
    assert rows[2]["why"] == f"of {id_of(key(1))}"
    assert rows[3]["why"] == "deal: held"
    narrowed = beltline(home, "request", "list", "--verdict", "duplicate", "--source", "calls")
    assert "duplicate" in narrowed
    assert "refused" not in narrowed


def test_a_request_is_test_data(home: Path) -> None:
    assert json.loads(beltline(home, "request", "show", id_of(key(2)))) == {"name": "Anna"}
    data = beltline(home, "request", "show", id_of(key(3)))
    done = json.loads(beltline(home, "run", "deal", "--data", "-", sent=data))
    assert done["document"]["one"] == {"a": "Boris"}


def test_what_is_not_there_is_told(home: Path) -> None:
    assert "is not kept" in beltline(home, "request", "show", id_of(key(4)), code=1)
    assert "no such request" in beltline(home, "request", "show", id_of(key(5)), code=1)
    (home / "sources" / "calls.yaml").unlink()
    assert "no source 'calls'" in beltline(home, "request", "show", id_of(key(3)), code=1)
