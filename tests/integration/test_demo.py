"""The demonstration as a person runs it: started, ended, started again, refused, broken.

Every look at it is a round trip to one of its programs, and the test has a time limit.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

HOME = Path(__file__).parents[2] / "examples" / "lead-intake"
PHONE = "8 912 345-67-89"  # of a contact that the portal knows, whose deal 1 is open

Start = Callable[..., subprocess.Popen[str]]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A copy of the home whose portal has a free port."""
    copy = tmp_path / "lead-intake"
    shutil.copytree(HOME, copy, ignore=shutil.ignore_patterns("data", "__pycache__"))
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    crm = copy / "connections" / "crm.yaml"
    crm.write_text(crm.read_text("utf-8").replace(":8081/", f":{port}/"), "utf-8")
    return copy


@pytest.fixture
def start(home: Path) -> Iterator[Start]:
    """Starts the demonstration until it is told to stop."""
    started: list[subprocess.Popen[str]] = []

    def begin(*options: str) -> subprocess.Popen[str]:
        running = subprocess.Popen(
            _command(home, *options), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        started.append(running)
        return running

    yield begin
    for running in started:
        if running.poll() is None:
            running.send_signal(signal.SIGTERM)
        running.communicate(timeout=60)


def _command(home: Path, *options: str) -> list[str]:
    script = str(HOME / "demo.py")
    return [sys.executable, script, "--home", str(home), "--ports", "0,0", *options]


def _run(home: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        _command(home, *options), capture_output=True, text=True, timeout=90, check=False
    )


def _addresses(demo: subprocess.Popen[str]) -> tuple[dict[str, str], str]:
    """What it prints at its start: addresses by what is there, and the text itself."""
    assert demo.stdout is not None
    text = ""
    while "runs list" not in text:
        line = demo.stdout.readline()
        assert line, f"it ended: {text}"
        text += line
    return dict(
        re.findall(r"^  (Landing page|Portal|Hub) +(http://[^/]+)/", text, re.MULTILINE)
    ), text


def _ask(address: str, path: str, form: dict[str, str] | None = None) -> tuple[int, str]:
    """One request, a POST with `form`; gives the status and the text, or where it leads."""
    connection = HTTPConnection(address.removeprefix("http://"), timeout=30)
    try:
        if form is None:
            connection.request("GET", path)
        else:
            kind = {"Content-Type": "application/x-www-form-urlencoded"}
            connection.request("POST", path, urlencode(form), kind)
        answer = connection.getresponse()
        text = answer.read().decode()
        return answer.status, answer.headers["location"] or text
    finally:
        connection.close()


def _ledger(portal: str, method: str) -> list[dict[str, Any]]:
    calls: list[dict[str, Any]] = json.loads(_ask(portal, f"/ledger?method={method}")[1])["calls"]
    return calls


def test_leads_arrive_and_a_second_start_goes_on_where_the_first_was(
    home: Path, start: Start
) -> None:
    first = _run(home, "--once", "5")
    assert first.returncode == 0, first.stderr
    assert "5 of 5 completed" in first.stdout
    assert "A first start." in first.stdout
    assert "the hub keeps only its hash" in first.stdout
    second = _run(home, "--once", "2")
    assert second.returncode == 0, second.stderr
    assert "2 of 2 completed" in second.stdout

    demo = start("--no-trickle")
    at, text = _addresses(demo)
    assert "It goes on with what is in" in text
    assert "told at the first start" in text
    messages = [call["params"]["MESSAGE"] for call in _ledger(at["Portal"], "im.message.add")]
    assert len(messages) == 7, "seven leads, each of them once"
    assert {call["status"] for call in _ledger(at["Portal"], "im.message.add")} == {200}
    ways = first.stdout + second.stdout
    for step, method in (
        (r"bitrix-add-lead(?:-of-contact)? >", "crm.lead.add"),
        (r"comment-on-deal >", "crm.timeline.comment.add"),
    ):
        taken = len(re.findall(step, ways))
        assert taken, f"some lead takes the way of {method}"
        assert len(_ledger(at["Portal"], method)) == taken


def test_a_lead_of_the_landing_page_reaches_the_portal_once(home: Path, start: Start) -> None:
    demo = start("--no-trickle")
    at, _ = _addresses(demo)
    form = _ask(at["Landing page"], "/?lang=ru")[1]
    assert "Задайте нам вопрос" in form
    found = re.search(r'name="lead_id" value="([0-9a-f]{32})"', form)
    assert found
    fields = {"lead_id": found[1], "name": "<b>Иван</b>", "phone": PHONE, "question": "When?"}

    status, page = _ask(at["Landing page"], "/?lang=en", {**fields, "phone": ""})
    assert (status, "phone number or an e-mail" in page) == (422, True)
    assert 'value="&lt;b&gt;Иван' in page, "what was typed is kept, as text"

    answers = {_ask(at["Landing page"], "/?lang=en", fields) for _ in range(3)}
    assert len(answers) == 1, "a repeat gets the first's answer"
    status, thanks = answers.pop()
    assert status == 303
    page = _ask(at["Landing page"], thanks)[1]
    id = thanks.partition("request=")[2].partition("&")[0]
    assert f"runs show {id} --home" in page
    assert at["Portal"] in page

    while not _ledger(at["Portal"], "im.message.add"):
        pass
    comments = _ledger(at["Portal"], "crm.timeline.comment.add")
    assert [one["params"]["fields"]["ENTITY_ID"] for one in comments] == [1]
    demo.send_signal(signal.SIGINT)
    assert demo.wait(timeout=60) == 0
    assert not (home / "data" / "beltline.db-wal").exists(), "the hub has closed its store"


def test_a_child_that_dies_ends_the_demonstration(home: Path, start: Start) -> None:
    demo = start()
    _addresses(demo)
    assert demo.stdout is not None
    while "lead 1 of" not in (line := demo.stdout.readline()):
        assert line, "it ended"
    assert ": accepted as " in line, "leads trickle in by themselves"
    hub = int((home / "data" / "beltline.db.lock").read_text("ascii"))
    os.kill(hub, signal.SIGKILL)
    _, errors = demo.communicate(timeout=60)
    assert demo.returncode == 1
    assert "the hub was killed by signal 9" in errors
    assert "beltline listens on" in errors, "with its last lines"


def test_a_taken_port_of_the_portal_is_refused_with_what_to_do(home: Path) -> None:
    crm = (home / "connections" / "crm.yaml").read_text("utf-8")
    found = re.search(r":(\d+)/rest/1/$", crm, re.MULTILINE)
    assert found
    with socket.create_server(("127.0.0.1", int(found[1]))):
        done = _run(home, "--once", "1")
    assert done.returncode == 1
    assert f"Port {found[1]} is taken" in done.stderr
    assert "crm.yaml" in done.stderr


def test_secrets_stand_in_a_file_of_their_owner(home: Path) -> None:
    done = _run(home, "--once", "0")
    assert done.returncode == 0, done.stderr
    file = home / "data" / "demo.json"
    assert file.stat().st_mode & 0o777 == 0o600
    for secret in json.loads(file.read_bytes()).values():
        assert isinstance(secret, int) or secret not in done.stdout + done.stderr


def test_the_home_checks_without_a_warning() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "beltline", "check", "--strict", str(HOME)],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stdout
