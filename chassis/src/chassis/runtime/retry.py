"""Where a message goes that could not be handled: down the retry ladder, then to the dead letters.

Each is a copy with headers that say what failed, how often and why. The original is acknowledged once the
broker has confirmed the copy: a crash in between delivers it again, and loses nothing.
"""

import asyncio
import random
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import structlog
from aio_pika import DeliveryMode, Message
from aio_pika.abc import AbstractIncomingMessage

from chassis.messaging.broker import Publisher, is_refused
from chassis.messaging.envelope import COPIES
from chassis.saga.delivery import Delivery, publisher
from chassis.saga.steps import Steps
from chassis.saga.topology import DEAD, LADDER, retry_exchange
from chassis.telemetry.logs import trace_context
from chassis.telemetry.privacy import reason

log = structlog.get_logger()

_REASON_LENGTH = 300
_MOST_HEADER_BYTES = 64 * 1024  # all of them travel in one frame of 128 KiB


class Retry:
    """What becomes of messages from `steps.queue` that `service` could not handle."""

    def __init__(self, publisher: Publisher, steps: Steps, service: str) -> None:
        self._publisher = publisher
        self._steps = steps
        self._service = service

    async def later(self, delivery: Delivery, error: Exception) -> None:
        """The step failed: publish the message to the next queue of the ladder, or to the dead letters."""
        envelope = delivery.envelope
        failed = replace(
            envelope,
            attempts=envelope.attempts + 1,
            first_seen=envelope.first_seen or datetime.now(UTC).isoformat(),
        )
        key = LADDER[envelope.attempts] if envelope.attempts < len(LADDER) else DEAD
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
            await self._move(failed.to_message(**self._stamp(step, _reason(error))), key)

    async def dead_letter(self, message: AbstractIncomingMessage, reason: str, *, step: str) -> None:
        """Retrying does not help: publish the message to the dead letters at once."""
        log.error("dead-lettered without retry", message_id=message.message_id, reason=reason)
        kept = {k: v for k, v in message.headers.items() if not k.startswith("x-") and k not in COPIES}
        headers: dict[str, Any] = {k: v if _is_writable(v) else repr(v) for k, v in kept.items()}
        if len(repr(headers).encode()) > _MOST_HEADER_BYTES:
            headers, reason = {}, f"{reason}; its headers were too large to keep"
        if (who := publisher(message, self._steps)) is not None:
            headers["cloudEvents:source"] = f"/{who}"  # whoever replays it takes that for true
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
        await self._move(copy, DEAD)

    def _stamp(self, step: str, error: str) -> dict[str, str]:
        return {"failed-service": self._service, "failed-step": step, "error": error}

    async def _move(self, message: Message, key: str) -> None:
        """Until the broker has confirmed the copy; the original is acknowledged only after that. Where there
        is no room for a dead letter it goes round by the longest delay, and holds up nobody."""
        delay = 0.1
        while True:
            [refused] = await self._publisher.send(retry_exchange(self._steps.queue), [(key, message)])
            if refused is None:
                return
            if key == DEAD and is_refused(refused):
                log.error(
                    "dead-letter queue full, retrying later",
                    message_id=message.message_id,
                    error=reason(refused),
                )
                key = LADDER[-1]
                continue
            log.error(
                "could not publish failed message, retrying",
                message_id=message.message_id,
                key=key,
                error=reason(refused),
            )
            await asyncio.sleep(delay * random.uniform(0.5, 1))
            delay = min(delay * 2, 2.0)


def _is_writable(value: Any) -> bool:
    """AMQP's library reads more kinds of values than it writes: text that is no UTF-8, for one."""
    if isinstance(value, int):
        return -(2**63) <= value < 2**63
    return value is None or isinstance(value, str)


def _reason(error: Exception) -> str:
    return shortened(reason(error))


def shortened(text: str) -> str:
    return text.split("\n")[0][:_REASON_LENGTH].encode(errors="replace").decode()
