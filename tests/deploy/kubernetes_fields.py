"""Whether a manifest has only fields that Kubernetes knows, by the published models of its API.

Kubernetes drops what it does not know: a probe with a wrong name is no probe. The models of
lightkube are msgspec Structs that drop it too, so that this is a walk along their fields.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

MODULES = {
    "v1": "core_v1",
    "apps/v1": "apps_v1",
    "batch/v1": "batch_v1",
    "policy/v1": "policy_v1",
}


def unknown_fields(manifest: dict[str, Any]) -> list[str]:
    """The paths of what Kubernetes does not know, or knows as another type."""
    version, kind = manifest["apiVersion"], manifest["kind"]
    models = pytest.importorskip(
        f"lightkube.models.{MODULES[version]}",
        reason="the models of Kubernetes are not installed: make setup",
    )
    return list(_unknown(manifest, getattr(models, kind), kind))


def _unknown(value: Any, type_: Any, path: str) -> Iterator[str]:
    inner = [one for one in typing.get_args(type_) if one is not type(None)]
    origin = typing.get_origin(type_)
    if origin in (typing.Union, types.UnionType):
        said = [list(_unknown(value, one, path)) for one in inner]
        yield from [] if [] in said else said[0]
    elif isinstance(type_, type) and issubclass(type_, msgspec.Struct):
        yield from _unknown_in(value, type_, path)
    elif origin is list:
        if not isinstance(value, list):
            yield f"{path}: is no list"
            return
        for number, one in enumerate(value):
            yield from _unknown(one, inner[0], f"{path}[{number}]")
    elif type_ is int and not isinstance(value, int):
        yield f"{path}: {value!r} is no number"
    elif type_ is bool and not isinstance(value, bool):
        yield f"{path}: {value!r} is neither true nor false"
    elif type_ is str and not isinstance(value, str):
        yield f"{path}: {value!r} is no text"


def _unknown_in(value: Any, type_: Any, path: str) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f"{path}: has no fields"
        return
    known = {field.encode_name: field.type for field in msgspec.structs.fields(type_)}
    for name, one in value.items():
        if name not in known:
            yield f"{path}.{name}"
        else:
            yield from _unknown(one, known[name], f"{path}.{name}")
