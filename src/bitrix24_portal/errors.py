"""Refusals as the REST API words them: an HTTP status, a code, a description.

The methods of leads, deals, contacts and companies refuse with an empty code, so that only the
description tells the reason; the newer methods and the API itself give a code.
"""

from __future__ import annotations


class RestError(Exception):
    """One refused call. `code` may be empty; `status` is the HTTP status outside a batch."""

    def __init__(self, code: str, description: str, status: int = 400) -> None:
        super().__init__(f"{code}: {description}" if code else description)
        self.code = code
        self.description = description
        self.status = status

    def body(self) -> dict[str, str]:
        """The answer's body: `{"error", "error_description"}`."""
        return {"error": self.code, "error_description": self.description}


def plain(description: str) -> RestError:
    """A refusal of the older methods: status 400 and an empty code."""
    return RestError("", description)


def not_found() -> RestError:
    """What the older methods answer for an id that names nothing."""
    return plain("Not found")


def item_not_found() -> RestError:
    """What `crm.item.*` and `crm.category.*` answer for an id that names nothing."""
    return RestError("NOT_FOUND", "Элемент не найден")


def invalid_argument(description: str) -> RestError:
    """What the newer methods answer for a filter, an order or a value that they cannot take."""
    return RestError("INVALID_ARG_VALUE", description)


def missing_parameter(name: str) -> RestError:
    """What the newer methods answer when a required parameter is not given."""
    return RestError("100", f"Could not find value for parameter {{{name}}}")


def wrong_credentials() -> RestError:
    """No webhook has this user and this code."""
    return RestError("INVALID_CREDENTIALS", "Invalid request credentials", 403)


def no_credentials() -> RestError:
    """The address names neither a user nor a code."""
    return RestError("NO_AUTH_FOUND", "Wrong authorization data", 401)


def unknown_method() -> RestError:
    """The portal has no method of this name."""
    return RestError("ERROR_METHOD_NOT_FOUND", "Method not found!", 404)


def too_many_requests() -> RestError:
    """The leaky bucket of this caller's address is full."""
    return RestError("QUERY_LIMIT_EXCEEDED", "Too many requests", 503)


def operating_limit() -> RestError:
    """The method has used up its working time of the last ten minutes."""
    return RestError("OPERATION_TIME_LIMIT", "Method is blocked due to operation time limit.", 429)
