"""Why a store could not be opened, for the operator: each message says what to do."""


class StoreUnavailable(Exception):
    """The operator: the store cannot be opened; the message says what to do."""


class StoreUnreachable(StoreUnavailable):
    """The server of the store does not answer: waiting may help."""


class StoreInUse(StoreUnavailable):
    """Another process serves this store."""


class StoreTooNew(StoreUnavailable):
    """The store was written by a newer version than this one."""


class NotAStore(StoreUnavailable):
    """What the address leads to is not a store of the hub, or it is damaged."""
