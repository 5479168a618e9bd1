"""Retrying and dead-lettering: a message that could not be handled goes to the retry ladder's next queue, and
after the last one to the dead letters.

What is published is a copy with headers that name the step that failed, the number of attempts and the error.
The original is acknowledged after the broker has confirmed the copy: a crash in between causes a redelivery
and no loss.
"""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import structlog
from aio_pika import DeliveryMode, Message
from aio_pika.abc import AbstractIncomingMessage

from chassis.messaging.broker import Publisher, is_refused
from chassis.messaging.envelope import COPIES
from chassis.messaging.tasks import pauses
from chassis.saga.delivery import Delivery
from chassis.saga.delivery import publisher as verified_publisher
from chassis.saga.steps import Steps
from chassis.saga.topology import DEAD, LADDER, retry_exchange
from chassis.telemetry.logs import trace_context
from chassis.telemetry.privacy import reason as reason_of

log = structlog.get_logger()

_REASON_LENGTH = 300
_MAX_HEADER_BYTES = 64 * 1024  # all headers have to fit into one frame of 128 KiB


class Retry:
    """Republishes messages of one queue that could not be handled.

    `publisher`: publishes the copies and waits for confirms.
    `steps`: the steps of the queue that the messages came from.
    `service`: this service's name, for the header `failed-service`.
    """

    def __init__(self, publisher: Publisher, steps: Steps, service: str) -> None:
        self._publisher = publisher
        self._steps = steps
        self._service = service

    async def retry_or_dead_letter(self, delivery: Delivery, error: Exception) -> None:
        """The step failed: publish the message to the next queue of the ladder, or to the dead letters."""
        envelope = delivery.envelope
        earlier_attempts = envelope.attempts
        failed = replace(
            envelope,
            attempts=earlier_attempts + 1,
            first_failed_at=envelope.first_failed_at or datetime.now(UTC).isoformat(),
        )
        key = LADDER[earlier_attempts] if earlier_attempts < len(LADDER) else DEAD
        step = delivery.step.name
        with trace_context(envelope.traceparent, delivery.event.about):
            log.warning(
                "step failed",
                message_id=envelope.id,
                step=step,
                next=key,
                attempts=failed.attempts,
                exc_info=error,
            )
            await self._publish_copy(failed.to_message(**self._stamp(step, shortened(reason_of(error)))), key)

    async def dead_letter(self, message: AbstractIncomingMessage, reason: str, *, step: str) -> None:
        """Publish the message to the dead letters at once, because no retry can help."""
        log.error("dead-lettered without retry", message_id=message.message_id, reason=reason)
        kept = {k: v for k, v in message.headers.items() if not k.startswith("x-") and k not in COPIES}
        headers: dict[str, Any] = {k: v if _is_writable(v) else repr(v) for k, v in kept.items()}
        if len(repr(headers).encode()) > _MAX_HEADER_BYTES:
            headers, reason = {}, f"{reason}; its headers were too large to keep"
        if (source := verified_publisher(message, self._steps)) is not None:
            headers["cloudEvents:source"] = f"/{source}"  # the verified one: a replay trusts this header
        headers |= {
            "first-seen": datetime.now(UTC).isoformat(),
            "attempts": 1,
            **self._stamp(step, reason),
        }
        copy = Message(
            message.body,
            headers=headers,
            content_type=message.content_type,
            delivery_mode=DeliveryMode.PERSISTENT,
            message_id=message.message_id,
            type=message.type,
            timestamp=message.timestamp,
            app_id=message.app_id,
        )
        await self._publish_copy(copy, DEAD)

    def _stamp(self, step: str, error: str) -> dict[str, str]:
        return {"failed-service": self._service, "failed-step": step, "error": error}

    async def _publish_copy(self, message: Message, key: str) -> None:
        """Publish the copy, and repeat that until the broker confirms it.

        While the dead-letter queue is full, a dead letter goes to the ladder's longest delay instead, so that
        the queue's other messages do not wait for it.
        """
        for pause in pauses(0.1, 2):
            [refused] = await self._publisher.send(retry_exchange(self._steps.queue), [(key, message)])
            if refused is None:
                return
            if key == DEAD and is_refused(refused):
                why = reason_of(refused)
                log.error("dead-letter queue full, retrying later", message_id=message.message_id, error=why)
                key = LADDER[-1]
                continue
            log.error(
                "could not publish failed message, retrying",
                message_id=message.message_id,
                key=key,
                error=reason_of(refused),
            )
            await asyncio.sleep(pause)


def _is_writable(value: Any) -> bool:
    """The AMQP library can read values that it cannot write, such as text that is not valid UTF-8."""
    if isinstance(value, int):
        return -(2**63) <= value < 2**63
    return value is None or isinstance(value, str)


def shortened(text: str) -> str:
    return text.split("\n")[0][:_REASON_LENGTH].encode(errors="replace").decode()
