"""Which letters are owed about an order or an account, and what they tell."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal
from uuid import UUID

from contracts import OrderCancelled, OrderPaid, PaymentRefunded

Reason = Literal["receipt", "cancellation", "refund", "welcome"]
Fate = Literal["intended", "sent", "rejected", "stopped", "no_contact", "given_up"]
Content = Mapping[str, Any]


@dataclass(eq=False)
class Correspondence:
    """The letters about one order or account: each is written once, and what became of it is known.

    `cancelled` outlives everything: whatever comes later, there is no receipt for a cancelled order.
    """

    subject_id: UUID
    cancelled: bool = False
    letters: dict[str, str] = field(default_factory=dict)

    def begin(self, reason: Reason, contact: str | None) -> bool:
        """Whether the letter is to be sent now."""
        if reason in self.letters:
            return False
        if reason == "receipt" and self.cancelled:
            self.end(reason, "stopped")
        elif contact is None:
            self.end(reason, "no_contact")
        else:
            self.end(reason, "intended")
        return self.letters[reason] == "intended"

    def end(self, reason: Reason, fate: Fate) -> None:
        self.letters = {**self.letters, reason: fate}

    @property
    def paid(self) -> bool:
        """Whether the capture is known here: order may have cancelled before it had heard of it."""
        return "receipt" in self.letters


def receipt(event: OrderPaid) -> Content:
    lines = [
        {"name": line.name, "quantity": line.quantity, "unit_price": line.unit_price} for line in event.lines
    ]
    return {"lines": lines, "total": event.total.amount, "currency": event.total.currency}


def cancellation(event: OrderCancelled, *, paid: bool) -> Content:
    names = {line.sku: line.name for line in event.lines}
    short = [
        {"name": names.get(line.sku, line.sku), "wanted": line.wanted, "available": line.available}
        for line in event.short
    ]
    return {
        "reason": event.reason,
        "short": short,
        "paid": paid,
        "total": event.total.amount,
        "currency": event.total.currency,
    }


def refund(event: PaymentRefunded) -> Content:
    return {"total": event.total.amount, "currency": event.total.currency}
