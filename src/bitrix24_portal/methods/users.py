"""`user.current`, `user.get`, `user.search`: the few people of the portal."""

from __future__ import annotations

from typing import Any

from bitrix24_portal.context import Answer, Context
from bitrix24_portal.fields import iso_moment
from bitrix24_portal.php_forms import php_list
from bitrix24_portal.registry import Method, Params, params
from bitrix24_portal.tables import USERS, User

_REGISTERED_S = 1_700_000_000  # a moment in 2023; the stand-in's people never sign in


def _show(context: Context, user: User) -> dict[str, Any]:
    registered = iso_moment(_REGISTERED_S, context.zone)
    return {
        "ID": str(user.id),
        "ACTIVE": True,
        "NAME": user.name,
        "LAST_NAME": user.last_name,
        "SECOND_NAME": "",
        "EMAIL": user.email,
        "LAST_LOGIN": registered,
        "DATE_REGISTER": registered,
        "TIME_ZONE": "",
        "IS_ONLINE": "N",
        "TIMESTAMP_X": {},
        "LAST_ACTIVITY_DATE": {},
        "PERSONAL_GENDER": "",
        "PERSONAL_WWW": "",
        "PERSONAL_BIRTHDAY": "",
        "PERSONAL_MOBILE": "",
        "PERSONAL_CITY": "",
        "WORK_PHONE": "",
        "WORK_POSITION": user.position,
        "UF_EMPLOYMENT_DATE": "",
        "UF_DEPARTMENT": [1],
        "USER_TYPE": "employee",
    }


def _current(context: Context, _given: Params) -> Answer:
    user = next((one for one in USERS if one.id == context.user_id), USERS[0])
    return Answer(_show(context, user))


def _matches(shown: dict[str, Any], name: str, wanted: object, *, part: bool) -> bool:
    values = {str(one).casefold() for one in php_list(wanted)}
    if name in {"FIND", "NAME_SEARCH"}:
        text = f"{shown['NAME']} {shown['LAST_NAME']} {shown['WORK_POSITION']}".casefold()
        return any(value in text for value in values)
    held = str(shown[name]).casefold()
    if part and name != "ID":
        return any(value in held for value in values)
    return held in values or (isinstance(shown[name], bool) and bool(values & {"y", "1"}))


def _search(context: Context, given: Params, *, part: bool) -> Answer:
    asked = given.get("FILTER")
    shown = [_show(context, user) for user in USERS]
    if isinstance(asked, dict):
        for key, wanted in asked.items():
            name = str(key).upper().lstrip("=%@")
            if name in shown[0] or name in {"FIND", "NAME_SEARCH"}:
                shown = [one for one in shown if _matches(one, name, wanted, part=part)]
            if not shown:
                break
    order = str(given.get("sort", "ID")).upper()
    if shown and order in shown[0]:
        shown.sort(key=lambda one: str(one[order]))
    if str(given.get("order", "ASC")).upper() == "DESC":
        shown.reverse()
    selected = {str(name).upper() for name in given.get("select", [])}
    if selected and "*" not in selected:
        shown = [{name: one[name] for name in one if name in selected | {"ID"}} for one in shown]
    return Answer(shown, total=len(shown))


def _get(context: Context, given: Params) -> Answer:
    return _search(context, given, part=False)


def _find(context: Context, given: Params) -> Answer:
    return _search(context, given, part=True)


_LIST = "sort:string order:string FILTER:any ADMIN_MODE:any select:array start:integer"
METHODS = (
    Method("user.current", _current),
    Method("user.get", _get, params(f"{_LIST} IMAGE_RESIZE:string")),
    Method("user.search", _find, params(_LIST)),
)
