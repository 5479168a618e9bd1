"""Nudging a saga: who says what again, and saying so to all of them."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from chassis.storage.outbox import envelope
from contracts import Event, SagaNudged
from payment.domain import Payment
from payment.refunds import refunded_in_part
from shop.audit.trail import Audit, AuditedAction, operator
from shop.errors import ShopError
from shop.publishing import publish
from shop.sagas.seen import Seen
from shop.targets import Target


def preview(seen: Seen, order_id: UUID) -> dict[str, list[str]]:
    """For each service, the types of what it is going to say again."""
    order, hold, payment = seen.orders[order_id], seen.holds.get(order_id), seen.payments.get(order_id)
    said: dict[str, Sequence[Event]] = {
        "order": order.restate(seen.now),
        "product": hold.events_to_republish(seen.now) if hold else [],
        "payment": [*payment.events_to_republish(), *_in_part(seen, payment)] if payment else [],
    }
    return {service: [event.type for event in events] for service, events in said.items()}


def _in_part(seen: Seen, payment: Payment) -> list[Event]:
    mine = [one for one in seen.refunds.values() if one.order_id == payment.order_id]
    return [refunded_in_part(payment, one) for one in mine if one.state == "refunded"]


def refuse_forgotten(target: Target, seen: Seen, order_id: UUID) -> None:
    """Raises ShopError when a service may have forgotten what it did for the order and take it for news."""
    keep = timedelta(days=target.nudge_days)
    if seen.now - seen.orders[order_id].created_at > keep:
        raise ShopError(
            f"order {order_id} is older than {keep.days} days: the services may have forgotten what they did"
            " for it, and would take what is said again for news; settle it by hand"
        )


async def nudge(target: Target, order_id: UUID, why: str, before: Mapping[str, object]) -> UUID:
    """Publish it, audited, to all who hear it, and return its id. Raises ShopError when the broker does not
    confirm it; then nothing has happened."""
    event = SagaNudged(order_id=order_id, nudge_id=uuid4())
    said = envelope(event, "operator", datetime.now(UTC), None, None)
    action = AuditedAction("nudge", why, order_id=str(order_id), message_id=said.id, before=before)
    async with Audit.opened(target, operator()) as audit, audit.record(action):
        await publish(target, said, "nudge")
    return event.nudge_id
