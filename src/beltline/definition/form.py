"""`form`: the page with a form that a source shows at its own address, made of its schema.

What a page without script can show: texts and numbers, choices, dates, files, and groups of them.
Other properties are found when the file is read, so that a page never lacks a field that its
schema asks for.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from beltline.core.limits import LIMITS
from beltline.core.problem import Place
from beltline.definition.finding import Report
from beltline.definition.request_schema import RequestSchema
from beltline.definition.shape import check_keys, read_object, read_text

FILE_FORMAT = "file"  # the `format` of an object that is a file which was sent along
_KEYS = ("title", "thanks")
_LONG_TEXT = 200  # a text that may be longer gets several lines

Control = Literal[
    "text", "lines", "email", "tel", "url", "date", "time", "number", "integer", "checkbox",
    "choice", "choices", "file", "group",
]  # fmt: skip

_TEXT_CONTROLS: dict[str, Control] = {
    "email": "email",
    "idn-email": "email",
    "phone": "tel",
    "tel": "tel",
    "uri": "url",
    "url": "url",
    "date": "date",
    "lines": "lines",
}


class FormField(msgspec.Struct, frozen=True):
    """One field. `name` is the one that its value is sent under, with brackets; `path` the same
    as a JSON pointer. `bounds` are attributes of the control, such as `{"max": "10"}`; `options`
    the values to choose from; `fields` those of a group.
    """

    name: str
    path: str
    control: Control
    label: str
    hint: str = ""
    required: bool = False
    default: str = ""
    options: tuple[str, ...] = ()
    bounds: dict[str, str] = {}
    fields: tuple[FormField, ...] = ()


class FormPage(msgspec.Struct, frozen=True):
    """The page: `thanks` is what it says once a request was taken in; empty: its own words."""

    title: str
    intro: str
    thanks: str
    fields: tuple[FormField, ...]

    @property
    def sends_files(self) -> bool:
        """Whether any field is a file."""
        return _has_file(self.fields)


def _has_file(fields: tuple[FormField, ...]) -> bool:
    return any(field.control == "file" or _has_file(field.fields) for field in fields)


def read_form_page(
    report: Report, value: Any, schema: RequestSchema | None, *, is_given: bool, source: str
) -> FormPage | None:
    """Reads the key `form`: true, or an object; None where there is no form, or a wrong one, which
    is reported. `is_given` says whether the source has a schema, be it a wrong one.
    """
    at: Place = ("form",)
    if value is False:
        return None
    told = {} if value is True else read_object(report, value, at, "form")
    if told is None:
        return None
    check_keys(report, told, _KEYS, at, "form")
    title, thanks = (read_text(report, told.get(key, ""), (*at, key), key) or "" for key in _KEYS)
    if schema is None:
        if not is_given:
            report.error(at, "a form is made of the schema, and there is none", "Add `schema:`.")
        return None
    data = schema.followed(schema.data)
    if not isinstance(data.get("properties"), dict) or not data["properties"]:
        report.error(("schema",), "a form needs properties in the schema, one for each field")
        return None
    fields = _Fields(report, schema).of(data, ("schema",), (), "")
    intro = data.get("description", "")
    shown = title or data.get("title", "") or source
    return FormPage(str(shown), str(intro), thanks, fields)


class _Fields:
    """Makes fields of properties, and reports those that a page cannot show."""

    def __init__(self, report: Report, schema: RequestSchema) -> None:
        self._report = report
        self._schema = schema
        self._made = 0

    def of(
        self, schema: dict[str, Any], at: Place, above: tuple[str, ...], path: str
    ) -> tuple[FormField, ...]:
        """The fields of an object's properties; `above` are the names that lead to it."""
        required = schema.get("required", [])
        fields = []
        for name, one in schema["properties"].items():
            where = (*at, "properties", name)
            self._made += 1
            if self._made > LIMITS.form_page_fields:
                self._refuse(where, f"it has more than {LIMITS.form_page_fields} fields already"
                             " (limit form_page_fields)")  # fmt: skip
                break
            part = self._schema.followed(one)
            if part.get("readOnly") is True:
                continue
            if not name or "[" in name or "]" in name:
                self._refuse(where, "a field's name must not be empty or hold brackets")
            else:
                below = f"{path}/{name.replace('~', '~0').replace('/', '~1')}"
                field = self._field(part, where, (*above, name), below)
                if field is None:
                    continue
                is_required = name in required and field.control not in ("group", "choices")
                if is_required and field.control == "checkbox" and part.get("const") is not True:
                    self._refuse(
                        where,
                        "a box that is not ticked sends nothing. Take it out of `required`, or add"
                        " `const: true` where it must be ticked",
                    )
                fields.append(msgspec.structs.replace(field, required=is_required))
        return tuple(fields)

    def _field(
        self, schema: dict[str, Any], at: Place, names: tuple[str, ...], path: str
    ) -> FormField | None:
        name = names[0] + "".join(f"[{one}]" for one in names[1:])
        field = FormField(
            name,
            path,
            "text",
            str(schema.get("title") or names[-1]),
            str(schema.get("description", "")),
            default=_text(schema.get("default")),
        )
        kind = schema.get("type")
        if "enum" in schema:
            options = self._options(schema["enum"], at)
            return _changed(field, "choice", options=options)
        if kind == "string":
            return _text_field(field, schema)
        if kind in ("integer", "number"):
            return _changed(field, kind, bounds=_number_bounds(schema, kind))
        if kind == "boolean":
            return _changed(field, "checkbox")
        if kind == "object" and schema.get("format") == FILE_FORMAT:
            return _changed(field, "file")
        if kind == "object" and isinstance(schema.get("properties"), dict):
            if len(names) > LIMITS.form_levels:
                self._refuse(
                    at, f"groups stand more than {LIMITS.form_levels} deep (limit form_levels)"
                )
                return None
            return _changed(field, "group", fields=self.of(schema, at, names, path))
        if kind == "array":
            return self._choices(field, schema, at)
        self._refuse(at, "a page can show texts, numbers, choices, dates, files and groups")
        return None

    def _choices(self, field: FormField, schema: dict[str, Any], at: Place) -> FormField | None:
        items = self._schema.followed(schema.get("items"))
        if "enum" not in items:
            self._refuse(at, "of lists a page can show those whose items are an enum")
            return None
        options = self._options(items["enum"], (*at, "items"))
        return _changed(field, "choices", name=f"{field.name}[]", options=options)

    def _options(self, values: list[Any], at: Place) -> tuple[str, ...]:
        for index, value in enumerate(values):
            if not isinstance(value, str | int | float) or isinstance(value, bool):
                self._report.error((*at, "enum", index), "a form offers texts and numbers only")
        return tuple(_text(value) for value in values)

    def _refuse(self, at: Place, why: str) -> None:
        self._report.error(at, f"a form cannot show this property: {why}")


def _text_field(field: FormField, schema: dict[str, Any]) -> FormField:
    control = _TEXT_CONTROLS.get(schema.get("format", ""), "text")
    if control == "text" and schema.get("maxLength", 0) > _LONG_TEXT:
        control = "lines"
    bounds = {}
    if control != "date":
        for key in ("minLength", "maxLength"):
            if key in schema:
                bounds[key.lower()] = _text(schema[key])
    return _changed(field, control, bounds=bounds)


def _number_bounds(schema: dict[str, Any], kind: str) -> dict[str, str]:
    bounds = {"step": "1" if kind == "integer" else "any"}
    if "minimum" in schema:
        bounds["min"] = _text(schema["minimum"])
    if "maximum" in schema:
        bounds["max"] = _text(schema["maximum"])
    return bounds


def _changed(field: FormField, control: Control, **changes: Any) -> FormField:
    return msgspec.structs.replace(field, control=control, **changes)


def _text(value: Any) -> str:
    """A default or an option as a browser sends it."""
    if isinstance(value, bool):
        return "true" if value else ""
    return value if isinstance(value, str) else "" if value is None else f"{value}"
