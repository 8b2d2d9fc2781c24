"""All that a module's author imports: `from beltline.sdk import Config, Module, field, Retry`."""

from beltline.sdk.context import (
    Connection,
    Context,
    Http,
    HttpFailed,
    HttpResponse,
    KeyValue,
    Logger,
    Secret,
)
from beltline.sdk.declaration import Answer, BatchHandler, Config, Example, Module, Output, field
from beltline.sdk.duration import Duration, duration_s
from beltline.sdk.outcome import Reject, Retry

__all__ = [
    "Answer",
    "BatchHandler",
    "Config",
    "Connection",
    "Context",
    "Duration",
    "Example",
    "Http",
    "HttpFailed",
    "HttpResponse",
    "KeyValue",
    "Logger",
    "Module",
    "Output",
    "Reject",
    "Retry",
    "Secret",
    "duration_s",
    "field",
]
