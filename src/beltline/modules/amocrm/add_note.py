"""Add a note to a lead, contact or company."""

from __future__ import annotations

from typing import Annotated, Literal

from beltline.modules.amocrm.client import KIND, Id, amo_handler, call, embedded, entry_id, rejected
from beltline.sdk import Config, Context, Example, Module, Output, field

PLURALS = {"lead": "leads", "contact": "contacts", "company": "companies"}


class AddNoteConfig(Config):
    """What to note, and where."""

    id: Annotated[Id, field("Entry", "The id of the entry.", examples=["{{ find-lead.id }}"])]
    text: Annotated[
        str,
        field("Text", "The note.", examples=["A call from {{ request.phone }}"], min_length=1),
    ]
    entity: Annotated[
        Literal["lead", "contact", "company"],
        field("Kind of entry", "What the id belongs to."),
    ] = "lead"


class AddNoteOutput(Output):
    """The note."""

    id: Annotated[int, field("Id", "The id of the note.")]


@amo_handler
async def add_note(config: AddNoteConfig, context: Context) -> AddNoteOutput:
    """Adds the note. amoCRM cannot tell a repeated one from a new one."""
    kind = PLURALS[config.entity]
    path = f"/{kind}/{entry_id(config.id, 'id')}/notes"
    note = {"note_type": "common", "params": {"text": config.text}}
    added = embedded(await call(context, "POST", path, body=[note]), "notes")
    if not added:
        raise rejected(f"{path}: the answer tells of no note")
    return AddNoteOutput(id=int(added[0]["id"]))


module = Module(
    name="amocrm.add-note",
    version=1,
    summary="Add a note to a lead, contact or company.",
    description="After a lost answer a repeated attempt may add the note a second time.",
    category="crm",
    icon="message-square",
    effect="at-least-once",
    on_repeat="amoCRM cannot tell a repeated note from a new one: it adds it again.",
    connection=KIND,
    config=AddNoteConfig,
    output=AddNoteOutput,
    handler=add_note,
    examples=(
        Example("On a lead", {"id": "410", "text": "A call from the site."}),
        Example("On a contact", {"id": 84, "entity": "contact", "text": "Asked to call back."}),
    ),
)
