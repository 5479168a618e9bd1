"""A dead letter as an operator sees it: what it says, why it died, and what may be published in its place."""

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
from shop.participants import PARTICIPANTS

# What a service writes on a message that it buries; without it the retries start anew.
STAMPS = frozenset({"failed-service", "failed-step", "error", "attempts", "first-seen"})
ID_LENGTH = 16
_LOOKS = "x-delivery-count"  # every look changes it
STEPS = {steps.queue: steps for participant in PARTICIPANTS for steps in participant.steps}


@dataclass(frozen=True)
class Letter:
    """A message in the dead letters of `queue`. Anything but the queue and the body may be missing."""

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
    def of(cls, queue: str, message: AbstractIncomingMessage) -> Self:
        return cls(
            queue,
            message.body,
            {k: v for k, v in message.headers.items() if k != _LOOKS},
            message.message_id,
            message.type,
            message.app_id,
            message.content_type,
            message.timestamp,
            message.user_id,
        )

    @cached_property
    def id(self) -> str:
        """Two copies of a letter have the same, a message that dies again has another."""
        marks = (self.queue, self.message_id, self.first_seen, self.attempts)
        return hashlib.sha256(repr(marks).encode() + self.body).hexdigest()[:ID_LENGTH]

    @property
    def key(self) -> str:
        """What ties it to its earlier deaths: its event's id, which is its type and subject, whatever it
        says; without those it is given one when replayed."""
        subject = _uuid(self._text("cloudEvents:subject"))
        if self.event_type and subject:
            return f"{self.event_type}/{subject}"
        return self.message_id or f"letter/{self.id}"

    @property
    def publisher(self) -> str | None:
        """Who published it, where nobody has checked what it says: the broker itself gave it up as it came.
        A service writes the true source on what it buries."""
        if self.user_id is not None:
            return self.user_id
        if self._death.get("exchange") != EVENTS_EXCHANGE:
            return None
        return STEPS[self.queue].publisher(self.event_type or "")

    @property
    def event_type(self) -> str | None:
        return self._text("cloudEvents:type") or self.type

    @property
    def order_id(self) -> str | None:
        """The order (or the account) that it is about, if it says so anywhere."""
        stated = self.json.get("order_id") if isinstance(self.json, dict) else None
        return _uuid(stated) or _uuid(self._text("cloudEvents:subject"))

    @property
    def step(self) -> str | None:
        """The step that failed, `decode` when it could not be read, None when the broker gave it up."""
        return self._text("failed-step")

    @property
    def reason(self) -> str:
        if told := self._text("error"):
            return told
        if self._death.get("reason") == "delivery_limit":
            return "delivered again and again and never answered"
        return f"given up by the broker: {self._death.get('reason', 'no reason given')}"

    @property
    def attempts(self) -> int:
        stamped = self.headers.get("attempts")
        return stamped if isinstance(stamped, int) else 1

    @property
    def first_seen(self) -> datetime | None:
        """When it first failed; of those given up by the broker, when they were."""
        if stamped := self._text("first-seen"):
            try:
                return _aware(datetime.fromisoformat(stamped))
            except ValueError:
                return None
        died = self._death.get("time")
        return _aware(died) if isinstance(died, datetime) else None

    @property
    def hears(self) -> Step | None:
        """The step of its queue that is for events of its type, if there is one."""
        version = (self._text("cloudEvents:dataschema") or "").rpartition(":")[2]
        return STEPS[self.queue].find(self.event_type or "", int(version) if version.isdecimal() else 1)

    @cached_property
    def json(self) -> Any:
        """The body's JSON value; None when it is no JSON."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            return None

    def fresh(self) -> Self:
        """The same message as it was before it died: no stamps, nothing that the broker wrote on it, and with
        our rights no copies for whom its sender liked, and no source but who published it."""
        left_out = STAMPS | COPIES
        kept = {k: v for k, v in self.headers.items() if k not in left_out and not k.startswith("x-")}
        if self.publisher is not None:
            kept["cloudEvents:source"] = f"/{self.publisher}"
        return replace(self, headers=kept, message_id=self.key)

    def to_message(self) -> Message:
        return Message(
            self.body,
            headers={name: _writable(value) for name, value in self.headers.items()},
            content_type=self.content_type,
            delivery_mode=DeliveryMode.PERSISTENT,
            message_id=self.message_id,
            type=self.type,
            timestamp=self.timestamp,
            app_id=self.app_id,
        )

    def document(self) -> dict[str, Any]:
        """The whole message as JSON; a body that is no text is in `body_base64`."""
        return {
            "message_id": self.message_id,
            "type": self.type,
            "app_id": self.app_id,
            "content_type": self.content_type,
            "timestamp": self.timestamp and self.timestamp.isoformat(),
            "headers": plain(self.headers),
            **_body(self.body),
        }

    @property
    def _death(self) -> Mapping[str, Any]:
        deaths = self.headers.get("x-death")
        return deaths[0] if isinstance(deaths, list) and deaths and isinstance(deaths[0], dict) else {}

    def _text(self, header: str) -> str | None:
        value = self.headers.get(header)
        return value if isinstance(value, str) else None


def body_of(document: Mapping[str, Any]) -> bytes:
    """The body of a message that `Letter.document` wrote down."""
    if "body_base64" in document:
        return base64.b64decode(document["body_base64"])
    text: str = document["body"]
    return text.encode()


def plain(value: Any) -> Any:
    """A header's value as JSON that PostgreSQL takes, for people to read."""
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


def _writable(value: Any) -> Any:
    """A header as the client library takes it: it reads text that is no UTF-8 as bytes, but writes only
    bytearrays."""
    match value:
        case bytes():
            return bytearray(value)
        case list():
            return [_writable(inner) for inner in value]
        case dict():
            return {name: _writable(inner) for name, inner in value.items()}
        case _:
            return value


def _uuid(value: object) -> str | None:
    try:
        return str(UUID(value)) if isinstance(value, str) else None
    except ValueError:
        return None


def _aware(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
