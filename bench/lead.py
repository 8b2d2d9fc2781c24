"""The work that is measured, the same for the hub and its peers: a lead goes through five steps.

normalise -> find contact (a dictionary in memory, hit for even ids)
-> by condition: set defaults | get the deal by its id -> remember -> notify

None of the steps does anything outside the process, so that what is measured is the engine that
carries a lead from one to the next. Needs the standard library alone: the peers import it too.
"""

from __future__ import annotations

import json
from typing import Any

STEPS = 5
PEOPLE = 20_000  # the leads come from so many people again and again
LEAD_BYTES = 400  # of a lead as JSON


def phone_of(number: int) -> str:
    """The phone of a person, as they type it into a form."""
    person = number % PEOPLE
    return f"+7 (916) {person // 10_000:03d}-{person // 100 % 100:02d}-{person % 100:02d}"


def digits_of(phone: str) -> str:
    """The phone as a key."""
    return "".join(filter(str.isdigit, phone))


def lead(number: int) -> dict[str, Any]:
    """The lead with this number, `LEAD_BYTES` long as JSON."""
    fields = {
        "lead_id": number,
        "name": f"  visitor {number % PEOPLE}  ",
        "phone": phone_of(number),
        "email": f"Visitor.{number % PEOPLE}@Example.com",
        "page": "/landing/spring",
        "comment": "",
    }
    missing = LEAD_BYTES - len(json.dumps(fields, separators=(",", ":")))
    return {**fields, "comment": ("Please call me back about the offer. " * 12)[:missing]}


def lead_json(number: int) -> bytes:
    """The lead as it is sent."""
    return json.dumps(lead(number), separators=(",", ":")).encode()


CONTACTS = {digits_of(phone_of(number)): number + 1 for number in range(0, PEOPLE, 2)}
REMEMBERED: dict[str, Any] = {}


def normalise(name: str, phone: str, email: str) -> dict[str, Any]:
    """The fields of a form, tidied."""
    return {"name": name.strip().title(), "phone": digits_of(phone), "email": email.lower()}


def find_contact(phone: str) -> dict[str, Any]:
    """The contact with this phone, or nothing."""
    contact = CONTACTS.get(phone)
    return {} if contact is None else {"ID": contact, "deal": contact * 10}


def set_defaults(name: str) -> dict[str, Any]:
    """What a new lead is given."""
    return {"TITLE": f"Lead of {name}", "SOURCE_ID": "WEB", "ASSIGNED_BY_ID": 1}


def get_deal(deal: int) -> dict[str, Any]:
    """The deal with this id."""
    return {"ID": deal, "STAGE_ID": "NEW", "OPPORTUNITY": deal % 1_000, "CURRENCY_ID": "RUB"}


def remember(phone: str, lead_id: int) -> dict[str, Any]:
    """Keeps the person's last lead."""
    REMEMBERED[phone] = lead_id
    return {"key": phone}


def notify(name: str, lead_id: int) -> dict[str, Any]:
    """Tells nobody, as there is nobody; gives the message."""
    return {"sent": True, "text": f"{name}: lead {lead_id} is done"}
