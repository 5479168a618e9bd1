from io import StringIO
from typing import Any

from rich.console import Console

from shop.diagram import diagram

ORDER = {
    "order_id": "o-1",
    "number": "K7Q2X-9XMDA",
    "status": "cancelled",
    "reason": "payment_declined",
    "total": {"amount": 1000, "currency": "GBP"},
}


def said(type_: str, by: str, second: int, cause: str | None = None, **data: str) -> dict[str, Any]:
    time = f"2026-01-01T00:00:0{second}+00:00"
    return {"type": type_, "said_by": by, "time": time, "causation_id": cause, "data": data}


EVENTS = [
    said("order.created", "order", 0),
    said("payment.declined", "payment", 1, "order.created/o-1", code="insufficient_funds"),
    said("order.cancelled", "order", 2, "payment.declined/o-1", reason="payment_declined"),
    said("stock.released", "product", 3, "order.cancelled/o-1"),
]


def drawn() -> list[str]:
    console = Console(file=StringIO(), width=100)
    console.print(diagram(ORDER, EVENTS))
    assert isinstance(console.file, StringIO)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


def test_the_diagram_says_how_the_order_ended() -> None:
    assert drawn()[0] == "order K7Q2X-9XMDA (o-1): cancelled (payment_declined), 10.00 GBP"


def test_each_event_stands_in_its_services_lane_at_its_time() -> None:
    header, created, declined, cancelled, released = drawn()[1:]
    lanes = {name: header.index(name) for name in ("order", "product", "payment")}
    assert created.index("● order.created") == lanes["order"]
    assert declined.index("✗ payment.declined") == lanes["payment"]
    assert cancelled.startswith("+2.000 s")
    assert released.index("↶ stock.released") == lanes["product"]


def test_the_diagram_says_what_led_to_what_and_why() -> None:
    created, declined, cancelled, released = drawn()[2:]
    assert created.endswith("the shopper")
    assert declined.endswith("order.created; insufficient_funds")
    assert cancelled.endswith("payment.declined; payment_declined")
    assert released.endswith("order.cancelled")
