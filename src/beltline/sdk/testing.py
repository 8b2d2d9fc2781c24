"""For the tests of modules: a context that is given, with nothing behind it, and no hub.

async def test_it_greets() -> None:
    assert await answer(module, {"name": "Anna"}, given()) == {"text": "Good day, Anna!"}

async def test_a_busy_service_is_asked_again() -> None:
    http = PreparedHttp(answered(503))
    assert isinstance(await answer(module, {"name": "Anna"}, given(http)), Retry)
"""

from __future__ import annotations

import hashlib
import importlib.util
import inspect
import json
import sys
import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any, get_origin

import msgspec

from beltline.sdk.bounds import Bounds
from beltline.sdk.connection import Connection
from beltline.sdk.context import Context, HttpFailed, HttpResponse
from beltline.sdk.declaration import Module
from beltline.sdk.files import FileRef, NoFile
from beltline.sdk.outcome import Reject, Retry

# Small ones, so that a test passes each of them cheaply.
BOUNDS = Bounds(
    result_bytes=65_536,
    module_rows=100,
    module_file_bytes=65_536,
    module_unpacked_bytes=262_144,
    module_cells=1_000,
    xml_nodes=100,
    request_depth=20,
)


class Sent(msgspec.Struct, frozen=True):
    """One request that a handler sent."""

    method: str
    url: str
    headers: dict[str, str]
    body: bytes | None
    timeout_s: float
    connection: Connection | None

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body or b"null")


class PreparedHttp:
    """Gives the prepared answers one after another, and keeps what was sent."""

    def __init__(self, *answers: HttpResponse | HttpFailed) -> None:
        self.answers = list(answers)
        self.sent: list[Sent] = []

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        timeout_s: float = 30.0,
        connection: Connection | None = None,
    ) -> HttpResponse:
        """The next prepared answer."""
        self.sent.append(Sent(method, url, dict(headers or {}), body, timeout_s, connection))
        next_one = self.answers.pop(0)
        if isinstance(next_one, HttpFailed):
            raise next_one
        return next_one


class Memory:
    """A key-value store in memory; it keeps the times to live, and lets nothing expire."""

    def __init__(self) -> None:
        self.values: dict[tuple[str, str], Any] = {}
        self.ttls: dict[tuple[str, str], float | None] = {}

    async def get(self, space: str, key: str) -> Any | None:
        """The value, or None."""
        return self.values.get((space, key))

    async def put(self, space: str, key: str, value: Any, *, ttl_s: float | None = None) -> None:
        """Sets the value."""
        self.values[space, key] = value
        self.ttls[space, key] = ttl_s

    async def put_if_absent(
        self, space: str, key: str, value: Any, *, ttl_s: float | None = None
    ) -> Any:
        """Sets the value unless there is one; gives the one that is there then."""
        if (space, key) not in self.values:
            await self.put(space, key, value, ttl_s=ttl_s)
        return self.values[space, key]

    async def delete(self, space: str, key: str) -> bool:
        """Removes the value."""
        return self.values.pop((space, key), None) is not None


class Files:
    """Files in memory; the module under test finds what was kept here."""

    def __init__(self, bounds: Bounds = BOUNDS) -> None:
        self.contents: dict[str, bytes] = {}
        self._bounds = bounds

    async def open(self, ref: FileRef) -> MemoryFile:
        """Begins to read a file."""
        if ref.blob not in self.contents:
            raise NoFile(f"there is no file {ref.blob}")
        return MemoryFile(ref, self.contents[ref.blob], self._bounds)

    async def keep(self, content: bytes, name: str, type: str) -> FileRef:
        """Keeps a file."""
        return self.put(content, name, type)

    def put(
        self, content: bytes, name: str = "", type: str = "application/octet-stream"
    ) -> FileRef:
        """Keeps a file before the module is called."""
        if len(content) > self._bounds.module_file_bytes:
            raise NoFile("the file is too large (limit module_file_bytes)")
        blob = f"sha256:{hashlib.sha256(content).hexdigest()}"
        self.contents[blob] = content
        return FileRef(blob=blob, name=name, type=type, bytes=len(content))


class MemoryFile:
    """A file that is being read."""

    def __init__(self, ref: FileRef, content: bytes, bounds: Bounds) -> None:
        self.ref = msgspec.structs.replace(ref, bytes=len(content))
        self._content = content
        self._bounds = bounds

    async def pieces(self) -> AsyncIterator[bytes]:
        """The content."""
        yield self._content

    async def read(self) -> bytes:
        """The whole content."""
        if len(self._content) > self._bounds.module_file_bytes:
            raise NoFile("the file is too large (limit module_file_bytes)")
        return self._content


class Lines:
    """A log as a list of (level, message, fields)."""

    def __init__(self) -> None:
        self.written: list[tuple[str, str, dict[str, Any]]] = []

    def info(self, event: str, **fields: Any) -> None:
        """Keeps the line."""
        self.written.append(("info", event, fields))

    def warning(self, event: str, **fields: Any) -> None:
        """Keeps the line."""
        self.written.append(("warning", event, fields))


def given(
    http: PreparedHttp | None = None,
    *,
    memory: Memory | None = None,
    log: Lines | None = None,
    files: Files | None = None,
    connection: Connection | None = None,
    run: str = "run-1",
    attempt: int = 1,
    bounds: Bounds = BOUNDS,
) -> Context:
    """The context of one attempt, which ends in a minute; what is not given stays empty."""
    lines = log or Lines()
    return Context(
        run=run,
        step="step-1",
        visit=1,
        attempt=attempt,
        deadline_ms=round((time.time() + 60) * 1_000),
        connection=connection,
        http=http or PreparedHttp(),
        memory=memory or Memory(),
        log=lambda run, step: lines,
        files=files or Files(bounds),
        bounds=bounds,
    )


def answered(status: int = 200, body: Any = None, **headers: str) -> HttpResponse:
    """An answer whose body is JSON, unless bytes are given."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return HttpResponse(status, {"content-type": "application/json", **names}, raw)


def loaded(file: Path) -> Module[Any, Any]:
    """The module of a file that stands in no package, as in a home's `modules/`."""
    spec = importlib.util.spec_from_file_location(f"beltline_tested_{file.stem}", file)
    assert spec is not None, f"{file} is not a Python file"
    assert spec.loader is not None
    python_module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = python_module  # msgspec looks annotations up there
    spec.loader.exec_module(python_module)
    found = python_module.module
    assert isinstance(found, Module), f"{file} defines no `module = Module(…)`"
    return found


async def wrong_examples(module: Module[Any, Any]) -> list[str]:
    """What the module's own examples promise and a call does not give; empty if they are right.

    Examples without a result depend on the outside: only their parameters are read.
    """
    wrong = []
    for example in module.examples:
        if example.output is None or module.handler is None:
            msgspec.convert(example.config, module.config, strict=True)
            continue
        found = await answer(module, example.config, given())
        if found != example.output:
            wrong.append(f"{example.title}: gives {found!r}, and promises {example.output!r}")
    return wrong


async def answer(module: Module[Any, Any], parameters: Mapping[str, Any], context: Context) -> Any:
    """What a step with these parameters gives: its result as JSON, a `Retry`, or a `Reject`.

    As the hub does it, parameters are read strictly, and a result has to be of the declared type.
    Raises `msgspec.ValidationError` for wrong parameters, and what the handler raises.
    """
    assert module.handler is not None, f"{module.name} is run by the engine itself"
    config = msgspec.convert(dict(parameters), module.config, strict=True)
    outcome: Any = module.handler(config, context)
    if inspect.isawaitable(outcome):
        outcome = await outcome
    if isinstance(outcome, Retry | Reject):
        return outcome
    declared = get_origin(module.output) or module.output
    assert not isinstance(declared, type) or isinstance(outcome, declared), (
        f"the handler gave {type(outcome).__name__}, which {module.name} does not declare"
    )
    return msgspec.json.decode(msgspec.json.encode(outcome))
