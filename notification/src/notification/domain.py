"""Which mails are due about an order or an account, what they contain, and whether each was sent."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal
from uuid import UUID, uuid5

from contracts import (
    ConfirmationRequested,
    Money,
    OrderCancelled,
    OrderPaid,
    PasswordResetRequested,
    PaymentRefunded,
    PaymentRefundedInPart,
    PaymentRefundFailed,
    UserRegistered,
)

Reason = Literal["receipt", "cancellation", "refund", "welcome", "account"]
Notice = Literal["password_reset", "password_changed", "confirmation", "deleted"]
"""What a mail with the reason `account` is about."""
Fate = Literal["intended", "sent", "rejected", "stopped", "no_contact", "given_up", "in_doubt", "withheld"]
Content = Mapping[str, Any]

UNDELIVERABLE: tuple[Fate, ...] = ("rejected", "given_up", "in_doubt")
"""Mails that an operator may send again."""


@dataclass(frozen=True)
class Outcome:
    """The outcome of sending a mail; `why` has details, without personal data."""

    fate: Fate
    why: str | None = None


@dataclass(eq=False)
class Correspondence:
    """The mails about one order, account or partial refund: each is sent once. `mails` maps the reason of
    each to its fate.

    Once `cancelled` is set no receipt is sent, whatever arrives later. `held` is set once money for the order
    is known to have been held. Once `anonymised` is set no mail is sent at all, whatever address an event
    has that is replayed.
    """

    subject_id: UUID
    cancelled: bool = False
    mails: dict[str, str] = field(default_factory=dict)
    held: bool = False
    anonymised: bool = False

    def intend(self, reason: Reason, contact: str | None) -> bool:
        """Decide on a mail, once, and record the decision. Returns whether to send it."""
        if reason in self.mails:
            return False
        if reason == "receipt" and self.cancelled:
            self.record(reason, "stopped")
        elif contact is None or self.anonymised:
            self.record(reason, "no_contact")
        else:
            self.record(reason, "intended")
        return self.mails[reason] == "intended"

    def withhold(self, reason: Reason) -> bool:
        """Withhold a mail until money is known to have been held, unless that is known or the mail was
        decided on before. Returns whether it is withheld now."""
        if self.held or reason in self.mails:
            return False
        self.record(reason, "withheld")
        return True

    def record(self, reason: Reason, fate: Fate) -> None:
        self.mails = {**self.mails, reason: fate}

    @property
    def paid(self) -> bool:
        """Whether the capture is known here: order may cancel before it receives `order.paid`."""
        return "receipt" in self.mails


@dataclass(eq=False)
class KeptMail:
    """A mail that was not sent, because it is undeliverable or withheld, with what is needed to send it.
    `payload` is the intent's, with an encrypted address; `resends` has the ids of the requests to send it
    again."""

    key: str
    reason: str
    subject_id: UUID
    payload: dict[str, Any]
    fate: str
    why: str | None
    at: datetime
    resends: list[str] = field(default_factory=list)

    def record(self, outcome: Outcome, now: datetime) -> None:
        self.fate, self.why, self.at = outcome.fate, outcome.why, now

    def resend(self, resend_id: UUID) -> bool:
        """Whether to send it again: each request counts once, and only for an undeliverable mail."""
        if str(resend_id) in self.resends or self.fate not in UNDELIVERABLE:
            return False
        self.resends = [*self.resends, str(resend_id)]
        return True


def receipt(event: OrderPaid) -> Content:
    return {
        **_amount(event.total, event.number),
        "lines": [line.model_dump(include={"name", "quantity", "unit_price"}) for line in event.lines],
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
        **_amount(event.total, event.number),
        "reason": event.reason,
        "short": short,
        "decline_reason": event.decline_reason,
        "paid": paid,
        "by": event.cancelled_by,
    }


def notice(about: Notice, mailed: ConfirmationRequested | PasswordResetRequested | None = None) -> Content:
    """A mail about an account, with the token of `mailed`."""
    return {"notice": about} | (token(mailed) if mailed else {})


def token(event: ConfirmationRequested | PasswordResetRequested | UserRegistered) -> dict[str, Any]:
    """The token, still encrypted; nothing if an older release registered the account."""
    if event.token is None or event.expires_at is None:
        return {}
    return {"token": event.token, "expires_at": event.expires_at.isoformat()}


def refund(event: PaymentRefunded) -> Content:
    return {**_amount(event.total, event.number), "rest": event.before is not None}


def refund_in_part(event: PaymentRefundedInPart) -> Content:
    """The mail's subject is the refund, so its content has the order's id."""
    return {**_amount(event.amount, event.number), "part": event.by, "order_id": str(event.order_id)}


def refund_failed(event: PaymentRefundFailed) -> Content:
    """The mail about a failed refund has the reason `refund`, too."""
    return {**_amount(event.amount, event.number), "failed": True, "order_id": str(event.order_id)}


def refund_failure_id(refund_id: UUID) -> UUID:
    """The subject of the mail about a failed refund; the refund's own id is that of the mail about its
    success."""
    return uuid5(refund_id, "failed")


def _amount(money: Money, number: str | None) -> dict[str, Any]:
    return {"total": money.amount, "currency": money.currency, "number": number}
