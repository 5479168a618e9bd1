"""Dead letters for tests."""

from dataclasses import replace
from typing import Any

from shop.dead_letters.dead_letter import DeadLetter


def dead_letter(**differing: Any) -> DeadLetter:
    """An `order.created` that payment dead-lettered, with `differing` fields."""
    usual = DeadLetter(
        queue="payment",
        body=b'{"order_id": "6f6b0000-0000-0000-0000-000000000001", "total": null}',
        headers={
            "cloudEvents:specversion": "1.0",
            "cloudEvents:id": "order.created/6f6b0000-0000-0000-0000-000000000001",
            "cloudEvents:type": "order.created",
            "cloudEvents:source": "/order",
            "cloudEvents:subject": "6f6b0000-0000-0000-0000-000000000001",
            "cloudEvents:time": "2026-01-01T00:00:00+00:00",
            "cloudEvents:dataschema": "urn:event:order.created:1",
            "failed-service": "payment",
            "failed-step": "decode",
            "error": "total: Input should be an object",
            "attempts": 1,
            "first-seen": "2026-01-01T00:00:01+00:00",
        },
        message_id="order.created/6f6b0000-0000-0000-0000-000000000001",
        type="order.created",
        app_id="order",
        content_type="application/json",
    )
    return replace(usual, **differing)
