"""Which letters are owed about an order or an account, what they tell, and what became of each."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal
from uuid import UUID, uuid5

from contracts import OrderCancelled, OrderPaid, PaymentRefunded, PaymentRefundedInPart, PaymentRefundFailed

Reason = Literal["receipt", "cancellation", "refund", "welcome"]
Fate = Literal["intended", "sent", "rejected", "stopped", "no_contact", "given_up", "in_doubt", "withheld"]
Content = Mapping[str, Any]

UNDELIVERABLE: tuple[Fate, ...] = ("rejected", "given_up", "in_doubt")
"""What an operator may have sent again."""


@dataclass(frozen=True)
class Outcome:
    """How an attempt to send a mail ended; `why` says more, and nothing private."""

    fate: Fate
    why: str | None = None


@dataclass(eq=False)
class Correspondence:
    """The letters about one order, account, or refund of a part of an order: each is written once, and what
    became of it is known.

    `cancelled` outlives everything: whatever comes later, there is no receipt for a cancelled order.
    `held` is whether money for the order is known to have been held.
    """

    subject_id: UUID
    cancelled: bool = False
    letters: dict[str, str] = field(default_factory=dict)
    held: bool = False

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

    def withhold(self, reason: Reason) -> bool:
        """Whether the letter is withheld now: it is owed only once money is known to have been held."""
        if self.held or reason in self.letters:
            return False
        self.end(reason, "withheld")
        return True

    def end(self, reason: Reason, fate: Fate) -> None:
        self.letters = {**self.letters, reason: fate}

    @property
    def paid(self) -> bool:
        """Whether the capture is known here: order may have cancelled before it had heard of it."""
        return "receipt" in self.letters


@dataclass(eq=False)
class KeptMail:
    """A mail that did not go out, with what is needed to send it: undeliverable, or withheld. `payload` is
    the intent's, with the address sealed; `resends` are the ids of the requests to send it again."""

    key: str
    reason: str
    subject_id: UUID
    payload: dict[str, Any]
    fate: str
    why: str | None
    at: datetime
    resends: list[str] = field(default_factory=list)

    def end(self, outcome: Outcome, now: datetime) -> None:
        self.fate, self.why, self.at = outcome.fate, outcome.why, now

    def resend(self, resend_id: UUID) -> bool:
        """Whether it is to be sent again now: a request counts once, and only for what is undeliverable."""
        if str(resend_id) in self.resends or self.fate not in UNDELIVERABLE:
            return False
        self.resends = [*self.resends, str(resend_id)]
        return True


def receipt(event: OrderPaid) -> Content:
    lines = [
        {"name": line.name, "quantity": line.quantity, "unit_price": line.unit_price} for line in event.lines
    ]
    return {
        "lines": lines,
        "total": event.total.amount,
        "currency": event.total.currency,
        "number": event.number,
        "placed_at": event.placed_at.isoformat() if event.placed_at else None,
        "shipping": event.shipping,
        "guest": event.guest,
    }


def cancellation(event: OrderCancelled, *, paid: bool) -> Content:
    names = {line.sku: line.name for line in event.lines}
    short = [
        {"name": names.get(line.sku, line.sku), "wanted": line.wanted, "available": line.available}
        for line in event.short
    ]
    return {
        "reason": event.reason,
        "short": short,
        "decline_reason": event.decline_reason,
        "paid": paid,
        "total": event.total.amount,
        "currency": event.total.currency,
        "number": event.number,
        "by": event.cancelled_by,
    }


def refund(event: PaymentRefunded) -> Content:
    return {
        "total": event.total.amount,
        "currency": event.total.currency,
        "number": event.number,
        "rest": event.before is not None,
    }


def of_failure(refund_id: UUID) -> UUID:
    """What the mail is about that says that a refund came back: another one says that it was made."""
    return uuid5(refund_id, "failed")


def refund_failed(event: PaymentRefundFailed) -> Content:
    """A mail of its own, of the reason that tells of refunds."""
    return {
        "total": event.amount.amount,
        "currency": event.amount.currency,
        "number": event.number,
        "failed": True,
        "order_id": str(event.order_id),
    }


def refund_in_part(event: PaymentRefundedInPart) -> Content:
    """A mail about a refund of its own, so it names the order besides."""
    return {
        "total": event.amount.amount,
        "currency": event.amount.currency,
        "number": event.number,
        "part": event.by,
        "order_id": str(event.order_id),
    }
