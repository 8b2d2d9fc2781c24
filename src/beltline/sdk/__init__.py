"""All that a module's author imports: `from beltline.sdk import Config, Module, field, Retry`."""

from beltline.sdk.bounds import Bounds
from beltline.sdk.client import Client, ClientFailed
from beltline.sdk.connection import Connection, Secret
from beltline.sdk.connection_kind import ConnectionKind
from beltline.sdk.context import (
    AnswerTooLarge,
    Context,
    Http,
    HttpFailed,
    HttpResponse,
    KeyValue,
    Logger,
)
from beltline.sdk.declaration import Answer, BatchHandler, Config, Example, Module, Output
from beltline.sdk.duration import Duration, duration_s
from beltline.sdk.files import FileRef, Files, FilesAway, NoFile, OpenFile
from beltline.sdk.meta import field
from beltline.sdk.outcome import Reject, Retry

__all__ = [
    "Answer",
    "AnswerTooLarge",
    "BatchHandler",
    "Bounds",
    "Client",
    "ClientFailed",
    "Config",
    "Connection",
    "ConnectionKind",
    "Context",
    "Duration",
    "Example",
    "FileRef",
    "Files",
    "FilesAway",
    "Http",
    "HttpFailed",
    "HttpResponse",
    "KeyValue",
    "Logger",
    "Module",
    "NoFile",
    "OpenFile",
    "Output",
    "Reject",
    "Retry",
    "Secret",
    "duration_s",
    "field",
]
