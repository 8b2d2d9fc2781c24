"""Modules from entry points and from a home's folder, and what is said of those that fail."""

from __future__ import annotations

import sys
from importlib.metadata import EntryPoint
from pathlib import Path

from beltline.catalog.discovery import GROUP, installed, of_home

GREET = '''
"""Greet."""
from typing import Annotated
from beltline.sdk import Config, Context, Example, Module, Output, field


class GreetConfig(Config):
    name: Annotated[str, field("Name", "Whom to greet.")]


class GreetOutput(Output):
    text: Annotated[str, field("Text", "The greeting.")]


async def greet(config: GreetConfig, context: Context) -> GreetOutput:
    return GreetOutput(text=config.name)


module = Module(
    name="NAME", version=1, summary="Greet.", category="site", icon="hand", effect="EFFECT",
    config=GreetConfig, output=GreetOutput, handler=greet, examples=(),
)
'''


def write(folder: Path, file: str, text: str) -> None:
    (folder / file).write_text(text, encoding="utf-8")


def greet(name: str = "greet", effect: str = "idempotent") -> str:
    return GREET.replace("NAME", name).replace("EFFECT", effect)


def points(**values: str) -> list[EntryPoint]:
    return [EntryPoint(name=name, value=value, group=GROUP) for name, value in values.items()]


def test_a_module_is_found_by_its_entry_point() -> None:
    found = installed(points(set="beltline.modules.set:module"))
    assert [module.name for module in found.modules] == ["set"]
    assert found.failures == ()


def test_an_entry_point_that_fails_does_not_hide_the_others() -> None:
    found = installed(
        points(
            gone="beltline.modules.gone:module",
            without="beltline.modules.set:nothing",
            other="beltline.modules.set:Any",
            alias="beltline.modules.set:module",
            map="beltline.modules.map:module",
        )
    )
    assert [module.name for module in found.modules] == ["map"]
    words = [failure.message for failure in found.failures]
    assert "ModuleNotFoundError" in words[0]
    assert "AttributeError" in words[1]
    assert "a Module is wanted" in words[2]
    assert "named 'set'" in words[3]


def test_the_modules_of_a_home(tmp_path: Path) -> None:
    write(tmp_path, "one.py", greet("one"))
    write(tmp_path, "many.py", greet("many") + "modules = [module]\ndel module\n")
    write(tmp_path, "_shared.py", "raise RuntimeError('not a module of its own')")
    write(tmp_path, "notes.txt", "no Python")
    found = of_home(tmp_path)
    assert [module.name for module in found.modules] == ["many", "one"]
    assert found.failures == ()


def test_a_home_without_the_folder_has_no_modules(tmp_path: Path) -> None:
    assert of_home(tmp_path / "modules").modules == ()


def test_a_file_that_fails_is_told_with_its_line(tmp_path: Path) -> None:
    write(tmp_path, "a_syntax.py", "x = 1\ny = = 2\n")
    write(tmp_path, "b_raises.py", "def f():\n    raise ValueError('no')\n\nf()\n")
    write(tmp_path, "c_empty.py", "x = 1\n")
    write(tmp_path, "d_other.py", "modules = ['x']\n")
    write(tmp_path, "e_pure.py", greet("quick", "pure"))
    write(tmp_path, "f_sound.py", greet("sound"))
    before = set(sys.modules)
    found = of_home(tmp_path)
    assert [module.name for module in found.modules] == ["sound"]
    said = {Path(failure.source).name: failure for failure in found.failures}
    assert (said["a_syntax.py"].line, said["b_raises.py"].line) == (2, 2)
    assert "SyntaxError" in said["a_syntax.py"].message
    assert str(said["b_raises.py"]) == f"{tmp_path / 'b_raises.py'}:2: ValueError: no"
    assert "neither" in said["c_empty.py"].message
    assert "not a str" in said["d_other.py"].message
    assert "declared pure" in said["e_pure.py"].message
    left = {name.rpartition("_")[2] for name in set(sys.modules) - before}
    assert not left & {"syntax", "raises"}


def test_two_homes_may_have_files_of_one_name(tmp_path: Path) -> None:
    for home in ("a", "b"):
        (tmp_path / home).mkdir()
        write(tmp_path / home, "greet.py", greet(home))
    first, second = of_home(tmp_path / "a"), of_home(tmp_path / "b")
    assert (first.modules[0].name, second.modules[0].name) == ("a", "b")
    assert first.modules[0].config is not second.modules[0].config
