"""One side of the wire. Run by either release's code: it speaks what it is told to, or says what it could not
hear. JSON on standard input and output, so that both sides can be different code."""

import asyncio
import json
import sys
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import contracts
from chassis.harness import Harness
from chassis.outbox import envelope
from contracts import Line, event_named
from contracts.order import AboutOrder, OrderSnapshot
from order.domain import Order
from product.domain import Hold
from shop.participants import PARTICIPANTS

Wire = dict[str, Any]
_NOW = datetime(2026, 11, 21, tzinfo=UTC)

try:
    from chassis.delivery import read
except ModuleNotFoundError:  # the previous release: it believes what a message says of itself
    from chassis import consumer

    VOUCHED = False
else:
    VOUCHED = True


def speak(documents: list[Wire]) -> list[Wire]:
    """What a producer publishes that says these: `type` and `data` of each."""
    return [_spoken(document) for document in documents]


def _spoken(document: Wire) -> Wire:
    model = event_named(document["type"])
    event = model.model_validate_json(json.dumps(document["data"]))
    login: Any = {"login": model.said_by} if VOUCHED else {}
    message = envelope(event, model.said_by, _NOW, "cause/1", None).to_message(**login)
    return {
        "type": document["type"],
        "headers": message.headers,
        "body": message.body.decode(),
        "user_id": message.user_id,
    }


def hear(messages: list[Wire]) -> list[str]:
    """What went wrong when every queue that hears of them was given these messages."""
    return [failure for message in messages for failure in asyncio.run(_heard(message))]


async def _heard(message: Wire) -> list[str]:
    failures = []
    delivered: Any = SimpleNamespace(
        body=message["body"].encode(),
        headers=message["headers"],
        exchange="events",
        routing_key=message["type"],
        user_id=message["user_id"],
    )
    for participant in PARTICIPANTS:
        for steps in participant.steps:
            if message["type"] not in steps.heard():
                continue
            harness = Harness(steps, intents=participant.intents)
            try:
                event: Any = _read(delivered, steps)
                harness.put(*_before(steps.queue, event))
                await harness.hear(event)
            except Exception as error:
                failures.append(f"{steps.queue} on {message['type']}: {error!r} {message['body']}")
    return failures


def _read(message: Any, steps: Any) -> Any:
    if VOUCHED:
        return read(message, steps).event
    nobody: Any = None
    old: Any = consumer.Consumer
    return old(nobody, nobody, nobody, steps, service="peer", batch=1, linger=0)._decode(message).event


def _before(queue: str, event: Any) -> list[Any]:
    """What the service must have committed before anybody could say this."""
    if queue == "product" and event.type == "order.paid":
        return [Hold(event.order_id, "reserved")]
    if queue != "order" or not isinstance(event, AboutOrder):
        return []
    snapshot = event if isinstance(event, OrderSnapshot) else None
    undone = event.type in ("stock.released", "payment.voided", "payment.refunded")
    order = Order(
        order_id=event.order_id,
        shopper_id=snapshot.shopper_id if snapshot else event.order_id,
        lines=snapshot.lines if snapshot else (Line(sku="MUG", name="Mug", quantity=1, unit_price=699),),
        total=snapshot.total.amount if snapshot else 699,
        currency=snapshot.total.currency if snapshot else "GBP",
        payment_method="pm_card_visa",
        contact="sealed",
        created_at=_NOW,
        deadline=_NOW,
        status="cancelled" if undone else "pending",
        cancelled_at=_NOW if undone else None,
        reason="shopper" if undone else None,
    )
    return [order]


if __name__ == "__main__":
    does: Any = {"speak": speak, "hear": hear}[sys.argv[1]]
    json.dump({"by": contracts.__file__, "answer": does(json.load(sys.stdin))}, sys.stdout)
