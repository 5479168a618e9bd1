"""Editing a dead letter: only to a message that its step can decode, about the same subject.

Amounts, lines, quantities, currency and ids are compared with the order's own row, because money and stock
follow them.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from pydantic import ValidationError

from chassis.messaging.envelope import Envelope, Unreadable
from contracts import EVENTS, Event, format_amount_with_code
from order.operations import Order, created
from shop.dead_letters.dead_letter import STEPS, DeadLetter
from shop.errors import ShopError

_GUARDED = {"amount", "currency", "quantity", "unit_price", "sku", "wanted", "available"}
_ABSENT = object()

Facts = Mapping[str, Any]  # by path, `total.amount`


def with_body(dead_letter: DeadLetter, body: bytes, event_type: str | None = None) -> DeadLetter:
    """The message to publish instead. Attributes that cannot be decoded are rebuilt from the event;
    `event_type` names its type if the message does not.

    Raises ShopError when the step that consumes it could not decode it.
    """
    envelope = _envelope(dead_letter)
    event = _validated(model_of(dead_letter, event_type), dead_letter, body)
    if envelope is None:
        envelope = Envelope(
            type=event.type,
            version=event.version,
            source=dead_letter.publisher or event.publisher,
            subject=event.subject,
            time=dead_letter.timestamp or dead_letter.first_failed_at or datetime.fromtimestamp(0, UTC),
            data=body,
        )
    elif event.subject != envelope.subject:
        raise ShopError(f"the message is about {envelope.subject}: the edited body must be, too")
    renewed = replace(envelope, data=body, attempts=0, first_failed_at=None).to_message()
    return replace(
        dead_letter,
        body=body,
        headers={**dead_letter.as_published().headers, **renewed.headers},
        message_id=envelope.id,
        type=renewed.type,
        app_id=renewed.app_id,
        content_type=renewed.content_type,
        timestamp=dead_letter.timestamp or envelope.time,
    )


def model_of(dead_letter: DeadLetter, named: str | None = None) -> type[Event]:
    """The event's model. Raises ShopError when its type is unknown, `named` or not."""
    envelope = _envelope(dead_letter)
    type_ = envelope.type if envelope else named or dead_letter.event_type
    consumed = ", ".join(STEPS[dead_letter.queue].routing_keys())
    if type_ is None:
        raise ShopError(f"the message does not name its event type: pass --type, one of {consumed}")
    step = STEPS[dead_letter.queue].find(type_, envelope.version if envelope else 1)
    if step is None:
        raise ShopError(f"{dead_letter.queue} has no step for {type_!r}: it consumes {consumed}")
    return EVENTS[step.event.type, step.event.version]


def with_values(dead_letter: DeadLetter, changes: Sequence[str]) -> bytes:
    """The body with values set: `total.amount=1000`, `lines.0.quantity=2`; a value is JSON, else text."""
    if not isinstance(dead_letter.json, dict | list):
        raise ShopError("the body is not a JSON document: pass a complete one with --file")
    document = json.loads(dead_letter.body)
    for change in changes:
        path, equals, text = change.partition("=")
        if not equals:
            raise ShopError(f"--set takes path=value, as in total.amount=1000, not {change!r}")
        *parents, last = path.split(".")
        container = document
        for part in parents:
            container = container[_index(container, part, path)]
        container[last if isinstance(container, dict) else _index(container, last, path)] = _value(text)
    return json.dumps(document, ensure_ascii=False).encode()


def _envelope(dead_letter: DeadLetter) -> Envelope | None:
    try:
        return Envelope.from_message(dead_letter.as_published().to_message())
    except Unreadable:
        return None


def _validated(model: type[Event], dead_letter: DeadLetter, body: bytes) -> Event:
    try:
        event = model.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "body"
        raise ShopError(
            f"{dead_letter.queue} could not decode that as {model.type}: {where}: {first['msg']}"
        ) from None
    before = dead_letter.json if isinstance(dead_letter.json, dict) else {}
    if unknown := sorted(set(json.loads(body)) - set(model.model_fields) - set(before)):
        raise ShopError(f"{model.type} has no {', '.join(unknown)}: it has {', '.join(model.model_fields)}")
    return event


def _index(container: Any, part: str, path: str) -> Any:
    match container:
        case Mapping() if part in container:
            return part
        case list() if part.isdecimal() and int(part) < len(container):
            return int(part)
        case _:
            raise ShopError(f"the body has no {path}: {part!r} does not exist")


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def contradictions(before: DeadLetter, after: DeadLetter, order: Order | None) -> list[str]:
    """A sentence for each guarded value that the edit changes to something other than the order's.

    `order` is None if it does not exist: then every changed value is named.
    """
    old, new = dict(_facts(before.json)), dict(_facts(after.json))
    own = dict(_facts(created(order).model_dump(mode="json"))) if order else {}
    changed = [path for path in {**old, **new} if old.get(path, _ABSENT) != new.get(path, _ABSENT)]
    return [
        _sentence(path, after, order, own, old, new)
        for path in changed
        if path not in own or own[path] != new.get(path, _ABSENT)
    ]


def _sentence(path: str, after: DeadLetter, order: Order | None, own: Facts, old: Facts, new: Facts) -> str:
    label = path.removesuffix(".amount")
    edited = f"the edited message has {_shown(path, new)}"
    if order is None:
        return f"order {after.order_id} does not exist: there is nothing to compare {label} with; {edited}"
    if path not in own:
        return f"order {order.order_id} has no {label}; the original has {_shown(path, old)}, {edited}"
    return f"order {order.order_id} has {label} {_shown(path, own)}; {edited}"


def _shown(path: str, facts: Facts) -> str:
    value = facts.get(path, _ABSENT)
    if value is _ABSENT:
        return "no such value"
    currency = facts.get(f"{path.removesuffix('amount')}currency")
    if path.endswith(".amount") and isinstance(value, int) and isinstance(currency, str):
        return format_amount_with_code(value, currency)
    return str(value)


def _facts(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    match value:
        case dict():
            for name, inner in value.items():
                yield from _facts(inner, (*path, name))
        case list():
            for number, inner in enumerate(value):
                yield from _facts(inner, (*path, str(number)))
        case _ if path and (path[-1] in _GUARDED or path[-1].endswith("_id")):
            yield ".".join(path), value
