"""Nudging a saga: which events each service will republish, and publishing `saga.nudged`."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from uuid import UUID, uuid4

from contracts import Event, SagaNudged
from order.operations import to_republish
from payment.operations import events_to_republish
from shop.audit.trail import Audit, operator
from shop.errors import ShopError
from shop.publishing import publish
from shop.sagas.snapshot import Snapshot
from shop.targets import Target


def preview(snapshot: Snapshot, order_id: UUID) -> dict[str, list[str]]:
    """For each service, the types of the events that it will republish."""
    order, hold, payment = (
        snapshot.orders[order_id],
        snapshot.holds.get(order_id),
        snapshot.payments.get(order_id),
    )
    refunds = [one for one in snapshot.refunds.values() if one.order_id == order_id]
    republished: dict[str, Sequence[Event]] = {
        "order": to_republish(order, snapshot.now),
        "product": hold.events_to_republish(snapshot.now) if hold else [],
        "payment": events_to_republish(payment, refunds) if payment else [],
    }
    return {service: [event.type for event in events] for service, events in republished.items()}


def refuse_forgotten(target: Target, snapshot: Snapshot, order_id: UUID) -> None:
    """Raises ShopError if a service may have deleted what it knows of the order."""
    keep = timedelta(days=target.nudge_days)
    if snapshot.now - snapshot.orders[order_id].created_at > keep:
        raise ShopError(
            f"order {order_id} is older than {keep.days} days: the services may have deleted what they knew"
            " of it, and would handle republished events as new; settle it by hand"
        )


async def nudge(target: Target, order_id: UUID, why: str, before: Mapping[str, object]) -> UUID:
    """Publish `saga.nudged`, audited, and return its id. Raises ShopError if the broker does not confirm it;
    then nothing has happened."""
    event = SagaNudged(order_id=order_id, nudge_id=uuid4())
    async with Audit.opened(target, operator()) as audit:
        await publish(target, audit, event, action="nudge", why=why, order_id=str(order_id), before=before)
    return event.nudge_id
