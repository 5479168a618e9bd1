"""Events that an operator publishes, with the operator's login, audited and confirmed by the broker."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from uuid import UUID, uuid4

import aio_pika

from chassis.messaging.broker import login
from chassis.saga.topology import EVENTS_EXCHANGE
from chassis.storage.outbox import envelope
from contracts import Event, SagaNudged
from shop.audit.trail import Audit, AuditedAction, operator
from shop.dead_letters.deliveries import BROKER_ERRORS
from shop.errors import ShopError
from shop.targets import Target

SECONDS = 10


async def publish(
    target: Target,
    audit: Audit,
    event: Event,
    *,
    action: str,
    why: str,
    order_id: str | None,
    before: Mapping[str, object],
) -> None:
    """Publish the event to the events exchange, and record the `action` in the audit.

    Raises ShopError if the broker does not confirm it or has no queue for it; then nothing has happened.
    """
    url, message = target.operator_amqp_url, envelope(event, "operator", datetime.now(UTC), None, None)
    audited = AuditedAction(action, why, order_id=order_id, message_id=message.id, before=before)
    async with audit.record(audited):
        try:
            async with (
                asyncio.timeout(SECONDS),
                await aio_pika.connect(url, timeout=SECONDS) as connection,
                connection.channel(publisher_confirms=True, on_return_raises=True) as channel,
            ):
                exchange = await channel.get_exchange(EVENTS_EXCHANGE, ensure=False)
                await exchange.publish(message.to_message(login(url)), message.type, mandatory=True)
        except BROKER_ERRORS as error:
            raise ShopError(
                f"the broker did not accept {event.type} ({error!r}): see `shop status`"
            ) from error


async def nudge(target: Target, order_id: UUID, why: str, before: Mapping[str, object]) -> UUID:
    """Publish `saga.nudged`, and return its id. Raises ShopError as `publish` does."""
    event = SagaNudged(order_id=order_id, nudge_id=uuid4())
    async with Audit.opened(target, operator()) as audit:
        await publish(target, audit, event, action="nudge", why=why, order_id=str(order_id), before=before)
    return event.nudge_id
