"""CloudEvents 1.0 in AMQP binary mode: attributes as headers, data as the body.

Source: https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/amqp-protocol-binding.md
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar
from uuid import UUID

from aio_pika import DeliveryMode, Message
from aio_pika.abc import AbstractMessage

T = TypeVar("T")

# By these headers a sender has the broker make copies for others: whoever passes a message on drops them.
COPIES = frozenset({"CC", "BCC"})
_PREFIX = "cloudEvents:"
_SHORT = 255  # bytes
_EPOCH, _FAR = datetime(1970, 1, 1, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC)  # what AMQP can hold


class Unreadable(Exception):
    """A message that no retry can make readable."""


@dataclass(frozen=True, slots=True)
class Envelope:
    """One event on its way.

    `causation_id` is the id of the message that led to this one; `attempts` counts the deliveries that
    failed in a step; `first_seen` is when the first of them did.
    """

    id: str
    type: str
    version: int
    source: str
    subject: UUID
    time: datetime
    data: bytes
    causation_id: str | None = None
    traceparent: str | None = None
    attempts: int = 0
    first_seen: str | None = None

    def to_message(self, **extra_headers: Any) -> Message:
        """A persistent AMQP message, its attributes mirrored where the management UI shows them."""
        headers: dict[str, Any] = {
            "cloudEvents:specversion": "1.0",
            "cloudEvents:id": self.id,
            "cloudEvents:type": self.type,
            "cloudEvents:source": f"/{self.source}",
            "cloudEvents:subject": str(self.subject),
            "cloudEvents:time": self.time.isoformat(),
            "cloudEvents:dataschema": f"urn:event:{self.type}:{self.version}",
        }
        if self.causation_id is not None:
            headers["cloudEvents:causationid"] = self.causation_id
        if self.traceparent is not None:
            headers["cloudEvents:traceparent"] = self.traceparent
        if self.attempts:
            headers["attempts"] = self.attempts
            headers["first-seen"] = self.first_seen
        return Message(
            self.data,
            headers={**headers, **extra_headers},
            content_type="application/json",
            delivery_mode=DeliveryMode.PERSISTENT,
            message_id=self.id,
            type=self.type,
            timestamp=self.time,
            app_id=self.source,
        )

    @classmethod
    def from_message(cls, message: AbstractMessage) -> "Envelope":
        """Raises `Unreadable` when an attribute is missing or makes no sense.

        What comes out can be written again with `to_message`, whatever came in. An error names the
        attribute and never its value.
        """
        headers = message.headers
        if _attribute(headers, "specversion", str) != "1.0":
            raise Unreadable("not a CloudEvent of version 1.0")
        return cls(
            id=_attribute(headers, "id", _short),
            type=_attribute(headers, "type", str),
            version=_attribute(headers, "dataschema", _version),
            source=_attribute(headers, "source", _short).removeprefix("/"),
            subject=_attribute(headers, "subject", UUID),
            time=_attribute(headers, "time", _moment),
            data=message.body,
            causation_id=_optional(headers, "cloudEvents:causationid"),
            traceparent=_optional(headers, "cloudEvents:traceparent"),
            attempts=_count(headers.get("attempts", 0)),
            first_seen=_optional(headers, "first-seen"),
        )


def _attribute(headers: dict[str, Any], name: str, read: Callable[[str], T]) -> T:
    value = headers.get(_PREFIX + name)
    if not isinstance(value, str):
        raise Unreadable(f"not a CloudEvent: {name} is missing or no text")
    try:
        return read(value)
    except ValueError:
        raise Unreadable(f"not a CloudEvent: {name} makes no sense") from None


def _short(text: str) -> str:
    """AMQP's own properties, which mirror some attributes, hold no more."""
    if not 0 < len(text.encode()) <= _SHORT:
        raise ValueError
    return text


def _version(dataschema: str) -> int:
    return int(dataschema.rpartition(":")[2])


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None or not _EPOCH <= moment <= _FAR:
        raise ValueError
    return moment


def _count(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 1_000_000:
        raise Unreadable("attempts is no count")
    return value


def _optional(headers: dict[str, Any], name: str) -> str | None:
    """Left out where it is odd: an event is not refused for what only explains it."""
    value = headers.get(name)
    return value if isinstance(value, str) and len(value) <= _SHORT else None
