"""CloudEvents 1.0 in AMQP binary mode: attributes as headers, data as the body.

Source: https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/amqp-protocol-binding.md
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar
from uuid import UUID

from aio_pika import DeliveryMode, Message
from aio_pika.abc import AbstractMessage

from chassis.telemetry.logs import valid_traceparent

T = TypeVar("T")

# The broker also routes a message to the keys in these headers. A republished copy must not carry them.
COPIES = frozenset({"CC", "BCC"})
_PREFIX = "cloudEvents:"
_MAX_SHORT = 255  # bytes
_ID = re.compile(r"[a-z_.]{1,100}/[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
# What AMQP can encode.
_EARLIEST, _LATEST = datetime(1970, 1, 1, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC)


class Unreadable(Exception):
    """A message that cannot be decoded; no retry would help."""


@dataclass(frozen=True, slots=True)
class Envelope:
    """One event as it is transported.

    Its id is `<type>/<subject>`, so that no event can carry the id of another one.

    `source`: the service that published it.
    `data`: the event as JSON.
    `causation_id`: the id of the message that led to this event.
    `traceparent`: the W3C trace context.
    `attempts`: the number of times that the step for it failed.
    `first_failed_at`: when the step failed for the first time; the header `first-seen`.
    """

    type: str
    version: int
    source: str
    subject: UUID
    time: datetime
    data: bytes
    causation_id: str | None = None
    traceparent: str | None = None
    attempts: int = 0
    first_failed_at: str | None = None

    @property
    def id(self) -> str:
        """The CloudEvents id: the same over retries, restarts and repeats."""
        return f"{self.type}/{self.subject}"

    def to_message(self, login: str | None = None, **extra_headers: Any) -> Message:
        """A persistent AMQP message. AMQP's own properties repeat some attributes, for the management UI.

        `login`: the broker's user who publishes it. The broker refuses a message that names another user
            (406), so a consumer can trust it. Republished copies of another service's event name none.
        """
        source = login or self.source
        headers: dict[str, Any] = {
            "cloudEvents:specversion": "1.0",
            "cloudEvents:id": self.id,
            "cloudEvents:type": self.type,
            "cloudEvents:source": f"/{source}",
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
            headers["first-seen"] = self.first_failed_at
        return Message(
            self.data,
            headers={**headers, **extra_headers},
            content_type="application/json",
            delivery_mode=DeliveryMode.PERSISTENT,
            message_id=self.id,
            type=self.type,
            timestamp=self.time,
            user_id=login,
            app_id=source,
        )

    @classmethod
    def from_message(cls, message: AbstractMessage) -> "Envelope":
        """The envelope of an AMQP message; see `read`."""
        return cls.read(message.headers, message.body)

    @classmethod
    def read(cls, headers: Mapping[str, Any], body: bytes) -> "Envelope":
        """The envelope in these headers. Raises `Unreadable` when an attribute is missing or malformed.

        Every envelope that this returns can be encoded by `to_message`. An error names the attribute and
        never its value.
        """
        if _attribute(headers, "specversion", str) != "1.0":
            raise Unreadable("not a CloudEvent of version 1.0")
        envelope = cls(
            type=_attribute(headers, "type", str),
            version=_attribute(headers, "dataschema", _version),
            source=_attribute(headers, "source", _short).removeprefix("/"),
            subject=_attribute(headers, "subject", UUID),
            time=_attribute(headers, "time", _moment),
            data=body,
            causation_id=_cause(headers.get("cloudEvents:causationid")),
            traceparent=valid_traceparent(headers.get("cloudEvents:traceparent")),
            attempts=_count(headers.get("attempts", 0)),
            first_failed_at=_optional(headers, "first-seen"),
        )
        if _attribute(headers, "id", _short) != envelope.id:
            raise Unreadable("the id is not its type and subject")
        return envelope


def _attribute(headers: Mapping[str, Any], name: str, read: Callable[[str], T]) -> T:
    value = headers.get(_PREFIX + name)
    if not isinstance(value, str):
        raise Unreadable(f"not a CloudEvent: {name} is missing or no text")
    try:
        return read(value)
    except ValueError:
        raise Unreadable(f"not a CloudEvent: {name} makes no sense") from None


def _short(text: str) -> str:
    """Some attributes are repeated in AMQP's properties, which are limited to 255 bytes."""
    if not 0 < len(text.encode()) <= _MAX_SHORT:
        raise ValueError
    return text


def _version(dataschema: str) -> int:
    return int(dataschema.rpartition(":")[2])


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None or not _EARLIEST <= moment <= _LATEST:
        raise ValueError
    return moment


def _count(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 1_000_000:
        raise Unreadable("attempts is no count")
    return value


def _cause(value: Any) -> str | None:
    """The value if it is an event's id; otherwise `None`, because it is shown to operators."""
    return value if isinstance(value, str) and _ID.fullmatch(value) else None


def _optional(headers: Mapping[str, Any], name: str) -> str | None:
    """The header if it is a short text, otherwise `None`: it only informs, and no event is refused for it."""
    value = headers.get(name)
    return value if isinstance(value, str) and len(value) <= _MAX_SHORT else None
