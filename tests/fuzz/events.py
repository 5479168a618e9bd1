"""A good event of every type, and what arrives when one is published."""

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import aio_pika
from pamqp.header import ContentHeader

from chassis.messaging.envelope import Envelope
from chassis.saga.steps import Steps
from chassis.storage.outbox import envelope
from contracts import EVENTS, Event
from shop.services import PARTICIPANTS

QUEUES: dict[str, Steps] = {steps.queue: steps for p in PARTICIPANTS for steps in p.steps}

_LINE = {"sku": "85123A", "name": "White hanging heart", "quantity": 2, "unit_price": 295}
_TOTAL = {"amount": 590, "currency": "GBP"}
_MEMBERS: dict[str, Any] = {
    "lines": [_LINE],
    "total": _TOTAL,
    "short": [{"sku": "85123A", "wanted": 2, "available": 0}],
    "contact": "sealed",
    "payment_method": "pm_card_visa",
    "payment_id": "pi_1",
    "url": "sealed",
    "expires_at": "2026-11-21T12:00:00Z",
    "return_url": "https://shop.example/return",
    "deadline": "2026-11-21T12:00:00Z",
    "reason": "out_of_stock",
    "was_paid": False,
    "code": "card_declined",
    "restocked": False,
    "amount": _TOTAL,
    "by": "return",
    "status": "needs_response",
    "noted_at": "2026-11-21T12:00:00Z",
}
_OF_THEIR_OWN: dict[str, dict[str, Any]] = {"mail.resend_requested": {"reason": "receipt"}}


def good(model: type[Event], about: UUID | None = None) -> Event:
    """An event that says all that it may say. Identifiers are new unless it is to be `about` something."""
    known = _MEMBERS | _OF_THEIR_OWN.get(model.type, {})
    members = {
        name: known[name] if name in known else str(about or uuid4())
        for name, of in model.model_fields.items()
        if name in known or of.is_required()
    }
    return model.model_validate_json(json.dumps(members))


def heard_by(queue: str) -> list[type[Event]]:
    """The models of what a queue is bound to."""
    return [EVENTS[key] for key in sorted(EVENTS) if QUEUES[queue].find(*key)]


def enveloped(event: Event) -> Envelope:
    return envelope(event, event.publisher, datetime(2026, 11, 21, tzinfo=UTC), None, None)


NO_TEXT = bytearray(b"\xff\xfe\xfd")
"""What a header is made of that is to arrive as text that is no UTF-8, which nobody here could send."""

_AS_BYTES, _AS_TEXT = b"x\0\0\0\3\xff\xfe\xfd", b"S\0\0\0\3\xff\xfe\xfd"


@dataclass
class Channel:
    is_closed: bool = False


@dataclass
class Delivery:
    """A message as a consumer gets it, after it went through AMQP's encoding."""

    body: bytes
    headers: dict[str, Any]
    message_id: str | None
    content_type: str | None
    type: str | None
    timestamp: datetime | None
    app_id: str | None
    user_id: str | None
    channel: Channel = field(default_factory=Channel)
    routing_key: str = ""
    exchange: str = ""  # as what comes back from the retry ladder: no routing key vouches for its type
    redelivered: bool = False
    acknowledged: bool = False

    async def ack(self, multiple: bool = False) -> None:
        assert multiple
        self.acknowledged = True


def encoded(message: aio_pika.Message) -> bytes:
    """Its header frame. Raises when there is no such thing."""
    return ContentHeader(body_size=len(message.body), properties=message.properties).marshal()


def delivered(message: aio_pika.Message) -> Delivery:
    """What arrives when this is published."""
    header = ContentHeader()
    header.unmarshal(encoded(message).replace(_AS_BYTES, _AS_TEXT))
    properties = header.properties
    return Delivery(
        message.body,
        properties.headers or {},
        properties.message_id,
        properties.content_type,
        properties.message_type,
        properties.timestamp,
        properties.app_id,
        properties.user_id,
    )
