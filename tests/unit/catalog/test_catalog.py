"""The catalogue as a value: names, versions, bindings, and a module made ready to be called."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
import pytest

from beltline.catalog.catalog import Binding, Catalog, CatalogError
from beltline.definition.modules import ModuleIndex
from beltline.sdk import Config, Context, Example, Module, Output, field


class GreetConfig(Config):
    name: Annotated[str, field("Name", "Whom to greet.")]
    loud: Annotated[bool, field("Loud", "Whether to shout.")] = False


class GreetOutput(Output):
    text: Annotated[str, field("Text", "The greeting.")]
    note: Annotated[str | None, field("Note", "A note.")] = None


async def greet(config: GreetConfig, _: Context) -> GreetOutput:
    return GreetOutput(text=f"Hello, {config.name}")


def shout(config: dict[str, Any], _: Context) -> dict[str, Any]:
    return config


def make(name: str, version: int = 1, **more: Any) -> Module[Any, Any]:
    return Module(
        **{
            "name": name,
            "version": version,
            "summary": "Greet.",
            "category": "site",
            "icon": "hand",
            "effect": "idempotent",
            "config": GreetConfig,
            "output": GreetOutput,
            "handler": greet,
            "examples": (Example("Anna", {"name": "Anna"}),),
            **more,
        }
    )


def test_a_bare_name_is_the_highest_version() -> None:
    catalog = Catalog([make("greet", 2), make("greet", 10), make("greet", 1)])
    index: ModuleIndex = catalog
    assert index.names() == ["greet"]
    found = index.find("greet"), index.find("greet@2"), index.find("greet@3"), index.find("grete")
    assert [entry.pinned if entry else None for entry in found] == [
        "greet@10",
        "greet@2",
        None,
        None,
    ]


def test_an_entry_tells_what_a_definition_needs() -> None:
    catalog = Catalog([make("crm.add", connection="bitrix24", effect="at-least-once")])
    entry = catalog.find("crm.add")
    assert entry is not None
    assert (entry.effect, entry.connection_kind) == ("at-least-once", "bitrix24")
    assert [problem.place for problem in entry.check({"name": 1}, ("w",))] == [("w", "name")]


def test_two_modules_of_one_name_and_version_are_refused() -> None:
    with pytest.raises(CatalogError, match="greet@1"):
        Catalog([make("greet"), make("greet")])
    with pytest.raises(CatalogError, match="greet@1"):
        Catalog([make("greet")]).extended([make("greet")])


@pytest.mark.parametrize(
    "name", ["", "Greet", "greet me", "greet@1", "-greet", "greet-", "a..b", "a/b", "1a", "a" * 300]
)
def test_an_unusual_name_is_refused(name: str) -> None:
    with pytest.raises(CatalogError, match="not allowed"):
        Catalog([make(name)])


def test_a_version_counts_from_one() -> None:
    with pytest.raises(CatalogError, match="version"):
        Catalog([make("greet", 0)])


def test_a_binding_gives_a_module_another_name() -> None:
    plain = Catalog([make("crm.find-deal", 1), make("crm.find-deal", 2), make("greet")])
    bound = plain.bound({"find-deal": Binding("crm.find-deal"), "old": Binding("crm.find-deal@1")})
    pinned = {name: entry.pinned for name in bound.names() if (entry := bound.find(name))}
    assert pinned == {
        "crm.find-deal": "crm.find-deal@2",
        "find-deal": "crm.find-deal@2",
        "greet": "greet@1",
        "old": "crm.find-deal@1",
    }
    assert plain.find("find-deal") is None
    assert bound.module("find-deal") is plain.module("crm.find-deal@2")


def test_a_binding_can_put_one_module_in_place_of_another() -> None:
    bound = Catalog([make("greet"), make("welcome")]).bound({"greet": Binding("welcome")})
    entry = bound.find("greet")
    assert entry is not None
    assert entry.pinned == "welcome@1"
    # A step that was published before stays with what it is pinned to.
    assert bound.invocation("greet@1") is not None


def test_a_binding_may_go_by_another_binding() -> None:
    bound = (
        Catalog([make("greet")]).bound({"hello": Binding("greet")}).bound({"hi": Binding("hello")})
    )
    entry = bound.find("hi")
    assert entry is not None
    assert entry.pinned == "greet@1"


def test_a_binding_to_nothing_is_refused() -> None:
    with pytest.raises(CatalogError, match=r"\[modules.hello\].*'gret'.*did you mean 'greet'"):
        Catalog([make("greet")]).bound({"hello": Binding("gret")})


def test_a_catalogue_can_be_restricted() -> None:
    whole = Catalog([make("a"), make("a", 2), make("b")]).bound(
        {"x": Binding("a"), "y": Binding("b")}
    )
    less = whole.restricted({"a"})
    assert less.names() == ["a", "x"]
    assert [module.pinned for module in less] == ["a@1", "a@2"]
    assert len(whole) == 3
    with pytest.raises(CatalogError, match="'c'"):
        whole.restricted({"c"})


async def test_an_invocation_reads_calls_and_writes() -> None:
    invocation = Catalog([make("greet")]).invocation("greet@1")
    assert invocation is not None
    assert invocation.is_async
    config = invocation.decode({"name": "Anna"})
    assert config == GreetConfig(name="Anna")
    handler: Any = invocation.module.handler
    result = await handler(config, None)
    assert invocation.fits(result)
    assert msgspec.to_builtins(result) == {"text": "Hello, Anna", "note": None}


def test_a_plain_function_is_told_from_a_coroutine() -> None:
    plain = make("shout", config=dict[str, Any], output=dict[str, Any], handler=shout)
    invocation = Catalog([plain]).invocation("shout@1")
    assert invocation is not None
    assert not invocation.is_async
    given = {"a": 1}
    assert invocation.decode(given) is given


@pytest.mark.parametrize("params", [{}, {"name": 1}, {"name": "x", "lod": True}, [], None, "x"])
def test_parameters_are_read_strictly(params: Any) -> None:
    invocation = Catalog([make("greet")]).invocation("greet@1")
    assert invocation is not None
    with pytest.raises(msgspec.ValidationError):
        invocation.decode(params)


def test_plain_parameters_are_an_object() -> None:
    invocation = Catalog([make("shout", config=dict[str, Any])]).invocation("shout@1")
    assert invocation is not None
    with pytest.raises(msgspec.ValidationError):
        invocation.decode([1])


@pytest.mark.parametrize("result", [None, {"text": "x"}, GreetConfig(name="x"), "x"])
def test_a_result_of_another_type_is_refused(result: Any) -> None:
    invocation = Catalog([make("greet")]).invocation("greet@1")
    assert invocation is not None
    assert not invocation.fits(result)


# How modules are carried

ADDRESS = "http://127.0.0.1:9000/calls"


def test_a_binding_says_how_the_name_is_carried() -> None:
    catalog = Catalog([make("greet"), make("shout")]).bound(
        {"greet": Binding(transport=ADDRESS, concurrency=3), "call": Binding(use="shout")}
    )
    entry = catalog.find("greet")
    assert entry is not None
    assert (entry.pinned, entry.transport) == ("greet@1", "http")
    remote = catalog.remote("greet@1", "greet@1")
    assert remote is not None
    assert (remote.name, remote.address, remote.concurrency) == ("greet", ADDRESS, 3)
    assert catalog.remotes() == [remote]
    shout = catalog.find("call")
    assert shout is not None
    assert shout.transport == "event"


def test_the_word_of_the_step_counts_before_the_name_of_its_module() -> None:
    other = "http://127.0.0.1:9001/"
    catalog = Catalog([make("greet")]).bound(
        {
            "greet": Binding(transport=ADDRESS),
            "here": Binding(use="greet", transport="event"),
            "there": Binding(use="greet", transport=other),
            "again": Binding(use="greet"),
        }
    )
    addresses = {
        name: one.address if (one := catalog.remote(name, "greet@1")) else "event"
        for name in ("greet", "here", "there", "again")
    }
    assert addresses == {"greet": ADDRESS, "here": "event", "there": other, "again": ADDRESS}


def test_a_name_that_takes_the_place_of_a_module_does_not_carry_that_module() -> None:
    catalog = Catalog([make("greet"), make("shout")]).bound(
        {"greet": Binding(use="shout", transport=ADDRESS)}
    )
    assert catalog.remote("greet", "shout@1") is not None
    assert catalog.remote("greet@1", "greet@1") is None
    assert catalog.remote("shout", "shout@1") is None


@pytest.mark.parametrize("scheme", ["nats", "tls", "amqp", "amqps", "redis", "rediss"])
def test_a_name_can_be_bound_to_a_broker(scheme: str) -> None:
    catalog = Catalog([make("greet")]).bound({"greet": Binding(transport=f"{scheme}://10.0.0.5")})
    remote = catalog.remote("greet", "greet@1")
    assert remote is not None
    assert (remote.transport, remote.address) == ("queue", f"{scheme}://10.0.0.5")


def test_an_address_that_cannot_be_read_is_not_repeated_with_its_password() -> None:
    wrong = Binding(transport="ftp://me:s3cret@127.0.0.1")
    with pytest.raises(CatalogError, match="has the transport: write event") as raised:
        Catalog([make("greet")]).bound({"greet": wrong})
    assert "s3cret" not in str(raised.value)


def test_a_name_with_an_address_and_no_module_takes_and_gives_anything() -> None:
    catalog = Catalog().bound({"far": Binding(transport=ADDRESS)})
    entry = catalog.find("far")
    assert entry is not None
    assert (entry.pinned, entry.effect, entry.transport) == ("far@1", "at-least-once", "http")
    assert entry.check({"any": [1]}, ()) == []
    invocation = catalog.invocation("far@1")
    assert invocation is not None
    for result in ({"a": 1}, [1], "text", None):
        assert invocation.fits(invocation.read(result))


@pytest.mark.parametrize(
    ("name", "binding", "says"),
    [
        ("greet", Binding(), "neither use nor transport"),
        ("far", Binding(transport="event"), "no module has this name"),
        ("greet", Binding(transport="ftp://127.0.0.1"), "write event, the address of a worker"),
        ("greet", Binding(transport="http://"), "write event, the address of a worker"),
        ("greet", Binding(transport="http://[::1"), "write event, the address of a worker"),
        ("greet", Binding(transport="nats://h", concurrency=3), "give --concurrency to"),
        ("far", Binding(transport=ADDRESS, secret="s3cret"), "write the name of a secret"),
        ("pause", Binding(use="wait", transport=ADDRESS), "run by the engine itself"),
        ("call", Binding(transport=ADDRESS), "run by the engine itself"),
    ],
)
def test_a_binding_that_leads_nowhere_is_refused(name: str, binding: Binding, says: str) -> None:
    with pytest.raises(CatalogError, match=says):
        Catalog([make("greet"), make("wait"), make("call")]).bound({name: binding})
