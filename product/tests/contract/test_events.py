"""What product publishes is as its committed schema says."""

import json
from pathlib import Path

from jsonschema import Draft202012Validator

from chassis.testing import Harness, published
from contracts import Event, StockRejected, StockReleased, StockReserved, StockReturned
from contracts.schema import committed, file_name
from contracts.testing import saga_nudged
from product.domain import Stock
from product.saga import steps

from ..orders import Order

SCHEMAS = committed(Path(__file__).parents[3] / "contracts/schemas")


async def test_every_event_of_a_step_is_as_its_schema_says() -> None:
    harness = Harness(steps)
    harness.put(Stock("lamp", on_hand=3, received=3))
    sold, short, cancelled = Order(lamp=2), Order(lamp=4), Order(lamp=1)
    await harness.consume(sold.created(), sold.paid(), short.created(), cancelled.created())
    await harness.consume(cancelled.cancelled(), sold.returned(lamp=1))
    await harness.consume(*(saga_nudged(order_id=one.id) for one in (sold, short, cancelled)))

    assert {type(event) for event in harness.published} == {
        StockReserved,
        StockRejected,
        StockReleased,
        StockReturned,
    }
    for event in harness.published:
        assert isinstance(event, Event)
        body = json.loads(published(event, harness.now).body)
        Draft202012Validator(SCHEMAS[file_name(type(event))]).validate(body)
