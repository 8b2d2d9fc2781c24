"""The contract of workers by queue as an AsyncAPI document, made from the code.

It tells authors of workers in other languages, and their generators, where calls wait, what one
looks like, and where its answer goes. The schemas are those of `engine/contract.py` and
`engine/answer_event.py`.
"""

from __future__ import annotations

from typing import Any

import msgspec

from beltline.engine.answer_event import ANSWERS, AnswerEvent
from beltline.engine.contract import EVENT_MEDIA, CallEvent

CONTRACT_VERSION = "1.0.0"
_TEMPLATE = "#/components/schemas/{name}"
_ABOUT = (
    "A worker takes calls of its modules from a broker (NATS JetStream, RabbitMQ or Redis Streams),"
    " sends the answer to the place that the call names, and then acknowledges the call. What is"
    " not acknowledged comes again, with the same key and attempt. The page worker-contract tells"
    " it in words."
)


def asyncapi_document() -> dict[str, Any]:
    """The document (AsyncAPI 3.0), as plain JSON data."""
    kinds: list[Any] = [CallEvent, AnswerEvent, *ANSWERS]
    (call, event, *answers), schemas = msgspec.json.schema_components(kinds, ref_template=_TEMPLATE)
    schemas["StepAnswer"]["properties"]["answer"] = {
        "description": "Result, retry, reject, or problem.",
        "oneOf": answers,
    }
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Workers of Beltline by queue",
            "version": CONTRACT_VERSION,
            "description": _ABOUT,
        },
        "defaultContentType": EVENT_MEDIA,
        "channels": {
            "calls": {
                "address": "{prefix}.calls.{module}",
                "description": "A subject of NATS, a queue of RabbitMQ, a stream of Redis.",
                "messages": {"call": {"$ref": "#/components/messages/call"}},
                "parameters": {
                    "prefix": {
                        "description": "What hubs and workers that belong together share.",
                        "default": "beltline",
                    },
                    "module": {"description": "The name of the module, without its version."},
                },
            },
            "results": {
                "address": None,
                "description": "The place of one hub: each call names it in `results`.",
                "messages": {"answer": {"$ref": "#/components/messages/answer"}},
            },
        },
        "operations": {
            "doStep": {
                "action": "receive",
                "title": "Do one attempt of a step",
                "channel": {"$ref": "#/channels/calls"},
                "messages": [{"$ref": "#/channels/calls/messages/call"}],
                "reply": {
                    "address": {"location": "$message.payload#/data/results"},
                    "channel": {"$ref": "#/channels/results"},
                    "messages": [{"$ref": "#/channels/results/messages/answer"}],
                },
            }
        },
        "components": {
            "messages": {
                "call": _message("A call of a worker", call),
                "answer": _message("The answer of a worker", event),
            },
            "schemas": schemas,
        },
    }


def _message(title: str, payload: dict[str, Any]) -> dict[str, Any]:
    return {
        "title": title,
        "contentType": EVENT_MEDIA,
        "correlationId": {"location": "$message.payload#/data/ticket"},
        "payload": payload,
    }
