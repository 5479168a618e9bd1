"""A dead letter: its content, why it was dead-lettered, and the message that a replay publishes."""

import base64
import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, Self
from uuid import UUID

from aio_pika import DeliveryMode, Message
from aio_pika.abc import AbstractIncomingMessage

from chassis.messaging.envelope import COPIES
from chassis.saga.steps import Step
from chassis.saga.topology import EVENTS_EXCHANGE
from shop.services import PARTICIPANTS

# Headers that a service adds to a dead letter; without them the retries start over.
FAILURE_HEADERS = frozenset({"failed-service", "failed-step", "error", "attempts", "first-seen"})
ID_LENGTH = 16
_ATTRIBUTES = ("message_id", "type", "app_id", "content_type", "timestamp")
_DELIVERY_COUNT = "x-delivery-count"  # changes whenever it is read
STEPS = {steps.queue: steps for participant in PARTICIPANTS for steps in participant.steps}


@dataclass(frozen=True)
class DeadLetter:
    """A message in `<queue>.dead`. Anything but the queue and the body may be missing."""

    queue: str
    body: bytes
    headers: Mapping[str, Any]
    message_id: str | None = None
    type: str | None = None
    app_id: str | None = None
    content_type: str | None = None
    timestamp: datetime | None = None
    user_id: str | None = None

    @classmethod
    def from_message(cls, queue: str, message: AbstractIncomingMessage) -> Self:
        headers = {k: v for k, v in message.headers.items() if k != _DELIVERY_COUNT}
        attributes = {name: getattr(message, name) for name in (*_ATTRIBUTES, "user_id")}
        return cls(queue, message.body, headers, **attributes)

    @cached_property
    def id(self) -> str:
        """Copies of a dead letter share it; a message that is dead-lettered again gets another."""
        marks = (self.queue, self.message_id, self.first_failed_at, self.attempts)
        return hashlib.sha256(repr(marks).encode() + self.body).hexdigest()[:ID_LENGTH]

    @property
    def key(self) -> str:
        """Identifies the message when it is dead-lettered again: type and subject, as an event's id is made,
        whatever id the message claims. Without those it gets an id when it is replayed."""
        subject = _uuid(self._text("cloudEvents:subject"))
        if self.event_type and subject:
            return f"{self.event_type}/{subject}"
        return self.message_id or f"letter/{self.id}"

    @property
    def publisher(self) -> str | None:
        """The publisher, if the broker itself dead-lettered the message, whose source nobody has verified.

        A service that dead-letters a message writes the verified source into its headers.
        """
        if self.user_id is not None:
            return self.user_id
        if self._x_death.get("exchange") != EVENTS_EXCHANGE:
            return None
        return STEPS[self.queue].publisher(self.event_type or "")

    @property
    def event_type(self) -> str | None:
        return self._text("cloudEvents:type") or self.type

    @property
    def order_id(self) -> str | None:
        """The order (or account) that it is about, if body or subject name one."""
        stated = self.json.get("order_id") if isinstance(self.json, dict) else None
        return _uuid(stated) or _uuid(self._text("cloudEvents:subject"))

    @property
    def failed_step(self) -> str | None:
        """The step that failed; `decode` if it could not be decoded, None if the broker dead-lettered it."""
        return self._text("failed-step")

    @property
    def reason(self) -> str:
        if error := self._text("error"):
            return error
        if self._x_death.get("reason") == "delivery_limit":
            return "delivered repeatedly, never acknowledged: delivery limit reached"
        return f"dead-lettered by the broker: {self._x_death.get('reason', 'no reason given')}"

    @property
    def attempts(self) -> int:
        stamped = self.headers.get("attempts")
        return stamped if isinstance(stamped, int) else 1

    @property
    def first_failed_at(self) -> datetime | None:
        """When it first failed, or when the broker dead-lettered it."""
        if value := self._text("first-seen"):
            try:
                return _aware(datetime.fromisoformat(value))
            except ValueError:
                return None
        died = self._x_death.get("time")
        return _aware(died) if isinstance(died, datetime) else None

    @property
    def step(self) -> Step | None:
        """The step of its queue that handles its event type and version, if there is one."""
        version = (self._text("cloudEvents:dataschema") or "").rpartition(":")[2]
        return STEPS[self.queue].find(self.event_type or "", int(version) if version.isdecimal() else 1)

    @cached_property
    def json(self) -> Any:
        """The body's JSON value; None if it is not JSON."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            return None

    def as_published(self) -> Self:
        """The message before it was dead-lettered: without failure headers and without the broker's.

        We publish with the operator's rights: CC and BCC are dropped, and the source is the true publisher.
        """
        left_out = FAILURE_HEADERS | COPIES
        kept = {k: v for k, v in self.headers.items() if k not in left_out and not k.startswith("x-")}
        if self.publisher is not None:
            kept["cloudEvents:source"] = f"/{self.publisher}"
        return replace(self, headers=kept, message_id=self.key)

    def to_message(self) -> Message:
        return Message(
            self.body,
            headers=_as_header(self.headers),
            delivery_mode=DeliveryMode.PERSISTENT,
            **{name: getattr(self, name) for name in _ATTRIBUTES},
        )

    def document(self) -> dict[str, Any]:
        """The whole message as JSON; a binary body is in `body_base64`."""
        return {
            **{name: plain(getattr(self, name)) for name in _ATTRIBUTES},
            "headers": plain(self.headers),
            **_body(self.body),
        }

    @property
    def _x_death(self) -> Mapping[str, Any]:
        deaths = self.headers.get("x-death")
        return deaths[0] if isinstance(deaths, list) and deaths and isinstance(deaths[0], dict) else {}

    def _text(self, header: str) -> str | None:
        value = self.headers.get(header)
        return value if isinstance(value, str) else None


def body_of(document: Mapping[str, Any]) -> bytes:
    """The body of a message that `DeadLetter.document` recorded."""
    if "body_base64" in document:
        return base64.b64decode(document["body_base64"])
    text: str = document["body"]
    return text.encode()


def plain(value: Any) -> Any:
    """A header's value as JSON that PostgreSQL accepts, for display."""
    match value:
        case Mapping():
            return {str(plain(str(key))): plain(inner) for key, inner in value.items()}
        case list():
            return [plain(inner) for inner in value]
        case str():
            return value.replace("\0", "\N{SYMBOL FOR NULL}")
        case bytes() | bytearray():
            return value.hex()
        case float() if not math.isfinite(value):
            return str(value)
        case datetime():
            return value.isoformat()
        case bool() | int() | float() | None:
            return value
        case _:
            return str(value)


def _body(body: bytes) -> dict[str, str]:
    try:
        text = body.decode()
    except UnicodeDecodeError:
        text = "\0"
    return {"body_base64": base64.b64encode(body).decode()} if "\0" in text else {"body": text}


def _as_header(value: Any) -> Any:
    """A header as aio-pika can write it: it reads text that is not UTF-8 as bytes, but writes only
    bytearrays."""
    match value:
        case bytes():
            return bytearray(value)
        case list():
            return [_as_header(inner) for inner in value]
        case Mapping():
            return {name: _as_header(inner) for name, inner in value.items()}
        case _:
            return value


def _uuid(value: object) -> str | None:
    try:
        return str(UUID(value)) if isinstance(value, str) else None
    except ValueError:
        return None


def _aware(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
