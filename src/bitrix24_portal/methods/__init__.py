"""The methods of the portal, a file for each family; together they are the registry."""

from bitrix24_portal.methods import (
    activities,
    categories,
    comments,
    duplicates,
    handlers,
    items,
    messages,
    older,
    service,
    statuses,
    tasks,
    users,
)
from bitrix24_portal.registry import Method, Registry

_FAMILIES = (
    older.METHODS,
    items.METHODS,
    duplicates.METHODS,
    comments.METHODS,
    activities.METHODS,
    statuses.METHODS,
    categories.METHODS,
    messages.METHODS,
    tasks.METHODS,
    users.METHODS,
    handlers.METHODS,
)


def all_methods() -> Registry:
    """Every method that the portal answers, except `batch`, which calls the others."""
    methods: list[Method] = [method for family in _FAMILIES for method in family]
    return Registry([*methods, *service.listing(methods)])
