"""Placing an order: what it costs, when it is refused, and that it happens wholly, once, or not at all."""

from collections.abc import Awaitable, Callable
from uuid import UUID

from .conftest import Running

Start = Callable[..., Awaitable[Running]]
SHIPPING = {"name": "Ada", "street": "1 Main St", "city": "Hull", "postcode": "HU1", "country": "GB"}


async def test_a_checkout_is_accepted_and_says_where_to_watch(order: Running, shopper: UUID) -> None:
    answer = await order.place(shopper)
    assert answer.status_code == 202
    body = answer.json()
    path = f"/v1/orders/{body['order_id']}"
    assert answer.headers["location"] == path
    assert answer.headers["content-type"] == "application/json"
    assert body == {
        "order_id": body["order_id"],
        "status": "pending",
        "total": {"amount": 699, "currency": "GBP"},
        "links": {"self": path, "timeline": f"{path}/timeline", "events": f"{path}/events"},
    }
