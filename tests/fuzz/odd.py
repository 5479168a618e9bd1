"""Messages that nobody can read, that are odd and yet fine, and that can be read and not be done."""

import gzip
import json
import math
from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID, uuid4

from aio_pika import Message

from contracts import Event
from tests.fuzz.events import NO_TEXT, enveloped, good

Change = Callable[[Message], None]
_PREFIX = "cloudEvents:"
_REQUIRED = ("specversion", "id", "type", "source", "subject", "time", "dataschema")


def _header(name: str, value: Any) -> Change:
    def change(message: Message) -> None:
        message.headers = {**message.headers, name: value}

    return change


def _attribute(name: str, value: Any) -> Change:
    return _header(_PREFIX + name, value)


def _body(rewrite: Callable[[bytes], bytes]) -> Change:
    def change(message: Message) -> None:
        message.body = rewrite(message.body)

    return change


def _instead(body: bytes) -> Change:
    return _body(lambda _: body)


def _without(name: str) -> Change:
    def change(message: Message) -> None:
        message.headers = {key: value for key, value in message.headers.items() if key != _PREFIX + name}

    return change


def _id(pattern: str) -> Change:
    """Another id than its type and subject make."""

    def change(message: Message) -> None:
        subject = str(message.headers[_PREFIX + "subject"])
        id_ = pattern.format(type=message.type, subject=subject, SUBJECT=subject.upper())
        _attribute("id", id_)(message)

    return change


def _no_headers(message: Message) -> None:
    message.headers = {}


def _too_many_headers(message: Message) -> None:
    message.headers = {"much": "x" * 120_000}


def _members(**given: Any) -> Change:
    return _body(lambda body: json.dumps({**json.loads(body), **given}).encode())


def _subject_member(value: Any) -> Change:
    """The first member of every event is its subject's id."""

    def rewrite(body: bytes) -> bytes:
        members = json.loads(body)
        return json.dumps({**members, next(iter(members)): value}).encode()

    return _body(rewrite)


def _twice(body: bytes) -> bytes:
    first = next(iter(json.loads(body)))
    return body.rstrip()[:-1] + f', "{first}": "{uuid4()}"}}'.encode()


UNREADABLE: dict[str, Change] = {
    "an empty body": _instead(b""),
    "half a body": _body(lambda body: body[: len(body) // 2]),
    "a body without its end": _body(lambda body: body[:-1]),
    "two bodies": _body(lambda body: body * 2),
    "UTF-16": _body(lambda body: body.decode().encode("utf-16")),
    "Latin-1": _instead('{"order_id": "é"}'.encode("latin-1")),
    "gzip": _body(gzip.compress),
    "null": _instead(b"null"),
    "a list": _instead(b"[]"),
    "a text": _instead(b'"order"'),
    "NaN": _instead(b"NaN"),
    "100,000 lists in each other": _instead(b"[" * 100_000),
    "100,000 objects in each other": _instead(b'{"order_id":' * 100_000),
    "4 MiB of nothing": _instead(b" " * 4 * 1024 * 1024),
    "4 MiB of garbage": _instead(b"\xff" * 4 * 1024 * 1024),
    "4 MiB of text for an id": _subject_member("x" * 4 * 1024 * 1024),
    "an id that is null": _subject_member(None),
    "an id that is a list": _subject_member([str(uuid4())]),
    "an id that is a number": _subject_member(7),
    "an id of half a surrogate pair": _subject_member("\ud800"),
    "an id with a NUL": _subject_member("\0"),
    "another subject's body": _subject_member(str(uuid4())),
    "the same member twice": _body(_twice),
    "no headers": _no_headers,
    **{f"no {name}": _without(name) for name in _REQUIRED},
    **{f"a number for {name}": _attribute(name, 7) for name in _REQUIRED},
    **{f"no UTF-8 for {name}": _attribute(name, NO_TEXT) for name in _REQUIRED},
    "a table for the type": _attribute("type", {"type": "order.created"}),
    "a version of the future": _attribute("dataschema", "urn:event:order.created:99"),
    "a version that is no number": _attribute("dataschema", "urn:event:order.created:one"),
    "a version below zero": _attribute("dataschema", "urn:event:order.created:-1"),
    "a version of 5,000 digits": _attribute("dataschema", "9" * 5_000),
    "CloudEvents 0.3": _attribute("specversion", "0.3"),
    "an unknown type": _attribute("type", "order.lost"),
    "a type with a NUL": _attribute("type", "order\0created"),
    "a subject that is no UUID": _attribute("subject", "nobody"),
    "another subject": _attribute("subject", str(uuid4())),
    "no moment": _attribute("time", "yesterday"),
    "a moment without an offset": _attribute("time", "2026-01-01T00:00:00"),
    "a moment before all time": _attribute("time", "0001-01-01T00:00:00+14:00"),
    "a moment after all time": _attribute("time", "9999-12-31T23:59:59-14:00"),
    "the id of another event of its subject": _id("saga.ended/{subject}"),
    "the id of the same event of another subject": _id(f"{{type}}/{uuid4()}"),
    "its own id in capitals": _id("{type}/{SUBJECT}"),
    "its own id and then some": _id("{type}/{subject}/"),
    "the id of an event that was published before": _id(f"order.cancelled/{UUID(int=1)}"),
    "an id without text": _attribute("id", ""),
    "an id of 300 characters": _attribute("id", "x" * 300),
    "an id of 100 KB": _attribute("id", "x" * 100_000),
    "a source of 300 characters": _attribute("source", "x" * 300),
    **{
        f"attempts of {value!r}": _header("attempts", value)
        for value in ("many", "3", -1, -5, 2**62, math.inf, math.nan, 1.5, True, [1], {"n": 1}, None)
    },
    "120 KB of headers": _too_many_headers,
}
"""What is wrong, and how a good message is made so."""

TOLERATED: dict[str, Change] = {
    "a member of a newer release": _members(voucher={"code": ["x"]}),
    "a cause that is a number": _attribute("causationid", 7),
    "a cause of 100 KB": _attribute("causationid", "x" * 100_000),
    "a trace of 100 KB": _attribute("traceparent", "x" * 100_000),
    "a trace that is none": _attribute("traceparent", "00-" + "\0" * 52),
    "a first sight that is a number": _header("first-seen", 7),
    "headers of somebody else": _header("x-death", [{"count": 3}]),
}
"""What is odd in a message that is good all the same."""


def with_nul(model: type[Event]) -> Iterator[Message]:
    """An event for each text in the model, which has a NUL there: JSON can say it, PostgreSQL keeps none."""
    for path in _texts(json.loads(good(model).model_dump_json())):
        changed = json.loads(good(model).model_dump_json())
        inside = changed
        for step in path[:-1]:
            inside = inside[step]
        inside[path[-1]] = "a\0b"
        try:
            yield enveloped(model.model_validate_json(json.dumps(changed))).to_message()
        except ValueError:
            continue  # the contract does not allow it, as with a currency


def _texts(document: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    inside = document.items() if isinstance(document, dict) else enumerate(document)
    for step, value in inside:
        if isinstance(value, str):
            yield (*path, step)
        elif isinstance(value, dict | list):
            yield from _texts(value, (*path, step))
