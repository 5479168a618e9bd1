"""One side of the wire: it publishes what it is given, says what it could not consume, or consumes from a
broker. Imported, it is this release's side. Run as a script by the previous release's code, with JSON on
standard input and output, it is that one's."""

import asyncio
import json
import sys
from contextlib import redirect_stdout
from dataclasses import asdict
from datetime import UTC, datetime
from importlib import import_module
from types import SimpleNamespace
from typing import Any

import contracts
from contracts import Line, event_named
from contracts.order import AboutOrder, OrderSnapshot
from order.domain import Order
from order.tables import orders
from product.domain import Hold

names: Any = import_module("tests.upgrade." + ("released_names" if __name__ == "__main__" else "names"))

Wire = dict[str, Any]
_NOW = datetime(2026, 11, 21, tzinfo=UTC)


def speak(documents: list[Wire]) -> list[Wire]:
    """What a producer publishes that says these: `type` and `data` of each."""
    return [_spoken(document) for document in documents]


def _spoken(document: Wire) -> Wire:
    model = event_named(document["type"])
    event = model.model_validate_json(json.dumps(document["data"]))
    message = names.wire(event, _NOW)
    return {
        "type": document["type"],
        "headers": message.headers,
        "body": message.body.decode(),
        "user_id": message.user_id,
    }


def failures(messages: list[Wire]) -> list[str]:
    """The errors when every queue that consumes them got these messages."""
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
    for participant in names.PARTICIPANTS:
        for steps in participant.steps:
            if message["type"] not in names.routing_keys(steps):
                continue
            harness = names.Harness(steps, intents=participant.intents)
            try:
                event: Any = names.read(delivered, steps)
                harness.put(*_before(steps.queue, event))
                await names.consume(harness, event)
            except Exception as error:
                failures.append(f"{steps.queue} on {message['type']}: {error!r} {message['body']}")
    return failures


def bound(_: None) -> dict[str, list[str]]:
    """The types that each queue has steps for."""
    return {
        steps.queue: names.routing_keys(steps)
        for participant in names.PARTICIPANTS
        for steps in participant.steps
    }


def addresses(kept: list[Wire]) -> list[Wire]:
    """The shipping addresses of orders, read from their rows."""
    column: Any = orders.c.shipping.type
    return [asdict(column.process_result_value(one, None)) for one in kept]


class Counting(names.Publisher):  # type: ignore[misc]
    """Counts what the broker has confirmed."""

    confirmed = 0

    async def send(self, exchange: str, messages: Any) -> Any:
        outcomes = await super().send(exchange, messages)
        self.confirmed += outcomes.count(None)
        return outcomes


def consume(given: Wire) -> None:
    """Consume from every queue until so many messages were moved. There is no database: nothing that a step
    is for may lie there."""
    asyncio.run(asyncio.wait_for(_consume(given["amqp_url"], given["moves"]), 40))


async def _consume(amqp_url: str, moves: int) -> None:
    nobody: Any = None
    connection = await names.connect(amqp_url, "peer", timeout=10, **names.CONNECT)
    publisher = Counting(connection, window=10, timeout=10)
    consumers = [
        names.Consumer(
            connection, publisher, nobody, steps, service="peer", batch=10, linger=0, **names.CONSUME
        )
        for participant in names.PARTICIPANTS
        for steps in participant.steps
    ]
    for one in consumers:
        await one.start()
    tasks = [asyncio.create_task(one.run()) for one in consumers]
    while publisher.confirmed < moves:
        await asyncio.sleep(0.05)
    for one in consumers:
        await one.stop(10)
    for task in tasks:
        task.cancel()
    await connection.close()


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
    given = json.load(sys.stdin)
    does: Any = {
        "speak": speak,
        "failures": failures,
        "bound": bound,
        "consume": consume,
        "addresses": addresses,
    }[sys.argv[1]]
    with redirect_stdout(sys.stderr):  # where logs belong
        answer = does(given)
    json.dump({"by": contracts.__file__, "answer": answer}, sys.stdout)
