"""CloudEvents 1.0 in AMQP binary mode: attributes as headers, data as the body.

Source: https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/amqp-protocol-binding.md
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from aio_pika import DeliveryMode, Message
from aio_pika.abc import AbstractMessage

_PREFIX = "cloudEvents:"


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
        """Raises `Unreadable` when an attribute is missing or makes no sense."""
        headers = message.headers
        try:
            return cls(
                id=_text(headers, "id"),
                type=_text(headers, "type"),
                version=int(_text(headers, "dataschema").rpartition(":")[2]),
                source=_text(headers, "source").removeprefix("/"),
                subject=UUID(_text(headers, "subject")),
                time=datetime.fromisoformat(_text(headers, "time")),
                data=message.body,
                causation_id=_optional(headers, "causationid"),
                traceparent=_optional(headers, "traceparent"),
                attempts=_count(headers),
                first_seen=_first_seen(headers),
            )
        except (KeyError, ValueError, TypeError, AttributeError) as error:
            raise Unreadable(f"not a CloudEvent: {error!r}") from error


def _text(headers: dict[str, Any], name: str) -> str:
    value = headers[_PREFIX + name]
    if not isinstance(value, str):
        raise TypeError(f"{name} is no text")
    return value


def _optional(headers: dict[str, Any], name: str) -> str | None:
    value = headers.get(_PREFIX + name)
    return value if isinstance(value, str) else None


def _count(headers: dict[str, Any]) -> int:
    return int(headers.get("attempts", 0))


def _first_seen(headers: dict[str, Any]) -> str | None:
    value = headers.get("first-seen")
    return value if isinstance(value, str) else None
