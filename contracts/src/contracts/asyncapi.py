"""The AsyncAPI 3 document: the exchange, its messages, who publishes and who consumes each.

Source: https://www.asyncapi.com/docs/reference/specification/v3.0.0
"""

from collections.abc import Mapping, Sequence
from inspect import getdoc
from typing import Any

from contracts.event import EVENTS, Event
from contracts.schema import file_name

_ATTRIBUTES: dict[str, dict[str, str]] = {
    "specversion": {"const": "1.0"},
    "id": {"type": "string", "description": "`<type>/<subject>`: every repeat of an event has the same."},
    "type": {"type": "string", "description": "Also the routing key."},
    "source": {"type": "string", "description": "`/<service>`."},
    "subject": {"type": "string", "format": "uuid"},
    "time": {"type": "string", "format": "date-time"},
    "dataschema": {"type": "string", "description": "`urn:event:<type>:<version>`."},
}
_OPTIONAL_ATTRIBUTES = {
    "causationid": {"type": "string", "description": "Id of the message that caused this one."},
    "traceparent": {"type": "string", "description": "W3C Trace Context."},
}
_HEADERS = {
    "type": "object",
    "required": [f"cloudEvents:{name}" for name in _ATTRIBUTES],
    "properties": {f"cloudEvents:{n}": schema for n, schema in (_ATTRIBUTES | _OPTIONAL_ATTRIBUTES).items()},
}
_EXCHANGE = {"name": "events", "type": "topic", "durable": True, "autoDelete": False, "vhost": "/"}


def asyncapi(
    publishers: Mapping[str, Sequence[str]], consumers: Mapping[str, Sequence[str]], queues: Mapping[str, str]
) -> dict[str, Any]:
    """`publishers` maps an event type to the services that publish it, `consumers` to the queues that are
    bound to it, `queues` maps a queue to its service."""
    events = sorted(EVENTS.values(), key=lambda event: (event.type, event.version))
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Saga Shop events",
            "version": "1.0.0",
            "description": "A choreographed checkout: every service consumes and publishes events.",
            "license": {"name": "MIT"},
        },
        "defaultContentType": "application/json",
        "channels": {
            event.type: {
                "address": event.type,
                "messages": {_message(event): {"$ref": f"#/components/messages/{_message(event)}"}},
                "bindings": {"amqp": {"is": "routingKey", "exchange": _EXCHANGE, "bindingVersion": "0.3.0"}},
            }
            for event in events
        },
        "operations": {
            **{
                f"{publisher}.publishes.{event.type}": _operation("send", event)
                for event in events
                for publisher in publishers[event.type]
            },
            **{
                f"{queue}.consumes.{event.type}": {
                    **_operation("receive", event),
                    "summary": f"{queues[queue]} consumes it from queue `{queue}`",
                }
                for event in events
                for queue in consumers.get(event.type, ())
            },
        },
        "components": {"messages": {_message(event): _component(event) for event in events}},
    }


def _message(event: type[Event]) -> str:
    return f"{event.__name__}.v{event.version}"


def _operation(action: str, event: type[Event]) -> dict[str, Any]:
    channel = f"#/channels/{event.type}"
    return {
        "action": action,
        "channel": {"$ref": channel},
        "messages": [{"$ref": f"{channel}/messages/{_message(event)}"}],
    }


def _component(event: type[Event]) -> dict[str, Any]:
    return {
        "name": event.type,
        "title": event.__name__,
        "summary": (getdoc(event) or "").split("\n")[0],
        "contentType": "application/json",
        "headers": _HEADERS,
        "payload": {"$ref": f"schemas/{file_name(event)}"},
        "bindings": {"amqp": {"messageType": event.type, "bindingVersion": "0.3.0"}},
    }
