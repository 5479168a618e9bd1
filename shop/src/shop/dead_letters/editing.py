"""A letter with another body: only one that its step can read, about the same subject."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from pydantic import ValidationError

from chassis.messaging.envelope import Envelope, Unreadable
from contracts import EVENTS, Event
from shop.dead_letters.letter import STEPS, Letter
from shop.errors import ShopError


def with_body(letter: Letter, body: bytes, event_type: str | None = None) -> Letter:
    """The message to publish in the letter's place. Attributes that nobody could read are made anew from the
    event; `event_type` says which it is when the letter does not.

    Raises ShopError when the step that hears it could not read it.
    """
    envelope = _envelope(letter)
    event = _validated(model_of(letter, event_type), letter, body)
    if envelope is None:
        envelope = _made_anew(letter, event, body)
    elif event.subject != envelope.subject:
        raise ShopError(f"the message is about {envelope.subject}: the edited body must be, too")
    renewed = replace(envelope, data=body, attempts=0, first_seen=None).to_message()
    return replace(
        letter,
        body=body,
        headers={**letter.fresh().headers, **renewed.headers},
        message_id=envelope.id,
        type=renewed.type,
        app_id=renewed.app_id,
        content_type=renewed.content_type,
        timestamp=letter.timestamp or envelope.time,
    )


def model_of(letter: Letter, named: str | None = None) -> type[Event]:
    """What its step reads. Raises ShopError when nobody knows what event it is, `named` or not."""
    envelope = _envelope(letter)
    type_ = envelope.type if envelope else named or letter.event_type
    heard = ", ".join(STEPS[letter.queue].routing_keys())
    if type_ is None:
        raise ShopError(f"the message does not say what event it is: say --type, one of {heard}")
    step = STEPS[letter.queue].find(type_, envelope.version if envelope else 1)
    if step is None:
        raise ShopError(f"{letter.queue} has no step for {type_!r}: it hears {heard}")
    return EVENTS[step.event.type, step.event.version]


def changed(letter: Letter, changes: Sequence[str]) -> bytes:
    """The body with values set: `total.amount=1000`, `lines.0.quantity=2`; a value is JSON, else text."""
    if not isinstance(letter.json, dict | list):
        raise ShopError("the body is no JSON document to change a value in: give a whole one with --file")
    document = json.loads(letter.body)
    for change in changes:
        path, equals, text = change.partition("=")
        if not equals:
            raise ShopError(f"--set wants path=value, as in total.amount=1000, not {change!r}")
        *parents, last = path.split(".")
        _set(_inside(document, parents, path), last, _value(text), path)
    return json.dumps(document, ensure_ascii=False).encode()


def _envelope(letter: Letter) -> Envelope | None:
    try:
        return Envelope.from_message(letter.fresh().to_message())
    except Unreadable:
        return None


def _validated(model: type[Event], letter: Letter, body: bytes) -> Event:
    try:
        event = model.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "body"
        raise ShopError(
            f"{letter.queue} could not read that as {model.type}: {where}: {first['msg']}"
        ) from None
    before = letter.json if isinstance(letter.json, dict) else {}
    if unknown := sorted(set(json.loads(body)) - set(model.model_fields) - set(before)):
        raise ShopError(f"{model.type} has no {', '.join(unknown)}: it has {', '.join(model.model_fields)}")
    return event


def _made_anew(letter: Letter, event: Event, body: bytes) -> Envelope:
    return Envelope(
        type=event.type,
        version=event.version,
        source=letter.publisher or event.publisher,
        subject=event.subject,
        time=letter.timestamp or letter.first_seen or datetime.fromtimestamp(0, UTC),
        data=body,
    )


def _inside(document: Any, parents: Sequence[str], path: str) -> Any:
    for part in parents:
        document = document[_place(document, part, path)]
    return document


def _set(container: Any, last: str, value: Any, path: str) -> None:
    if isinstance(container, dict):
        container[last] = value
    else:
        container[_place(container, last, path)] = value


def _place(container: Any, part: str, path: str) -> Any:
    match container:
        case Mapping() if part in container:
            return part
        case list() if part.isdecimal() and int(part) < len(container):
            return int(part)
        case _:
            raise ShopError(f"the body has no {path}: there is no {part!r} in it")


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
