"""PaymentIntents and refunds, and the rules that Stripe puts on what may become of them."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

from standins.sandbox.errors import Refusal, unexpected_state

CONFIRMABLE = ("requires_payment_method", "requires_confirmation", "requires_action")
_CANCELABLE = "requires_payment_method requires_capture requires_confirmation requires_action processing"
CANCELABLE = _CANCELABLE.split()
EXPIRED_UNCAPTURED = "expired_uncaptured_charge"
OPEN_DISPUTE = ("needs_response", "under_review", "warning_needs_response", "warning_under_review")
CLOSED_DISPUTE = ("won", "lost", "warning_closed", "prevented")


@dataclass(frozen=True, slots=True)
class _Reversal:
    id: str
    intent: str
    charge: str
    amount: int
    currency: str
    created: int

    @classmethod
    def of(cls, intent: "Intent", name: str, amount: int, now: int, **more: Any) -> Self:
        assert intent.charge is not None, "what is held or captured has a charge"
        return cls(name, intent.id, intent.charge, amount, intent.currency, now, **more)


@dataclass(frozen=True, slots=True)
class Refund(_Reversal):
    """`status` is `succeeded`, `pending` or `failed`, and may change for 30 days."""

    reason: str | None = None
    metadata: dict[str, str] = field(default_factory=dict)
    status: str = "succeeded"
    failure_reason: str | None = None

    @property
    def moved(self) -> int:
        """What of the captured money it has given back."""
        returned = self.status in ("succeeded", "pending") and self.reason != EXPIRED_UNCAPTURED
        return self.amount if returned else 0


@dataclass(frozen=True, slots=True)
class Dispute(_Reversal):
    """The shopper's bank wants the money back. An inquiry (`warning_…`) only asks, and withdraws nothing."""

    reason: str
    status: str
    due_by: int

    @property
    def withdrawn(self) -> int:
        """What the bank has of it for now."""
        return self.amount if self.status in ("needs_response", "under_review", "lost") else 0


@dataclass(frozen=True, slots=True)
class Intent:
    """One payment, at one moment; every move gives a new one. Amounts are minor units of `currency`; `action`
    is the page at which the shopper confirms, `return_url` where she goes from there."""

    id: str
    amount: int
    currency: str
    capture_method: str
    created: int
    metadata: dict[str, str] = field(default_factory=dict)
    description: str | None = None
    status: str = "requires_payment_method"
    card: str | None = None
    charge: str | None = None
    captured: int = 0
    refunded: int = 0
    decline: str | None = None
    canceled_at: int | None = None
    cancellation_reason: str | None = None
    action: str | None = None
    return_url: str | None = None

    @property
    def order_id(self) -> str | None:
        return self.metadata.get("order_id")

    @property
    def capturable(self) -> int:
        return self.amount if self.status == "requires_capture" else 0

    @property
    def secret(self) -> str:
        return f"{self.id}_secret_sandbox"

    def confirm(self, card: str | None, decline: str | None, charge: str | None) -> "Intent":
        """Hold the money (or take it, when the capture is automatic), or note the decline."""
        return self._decided(self._confirmable(card), decline, charge)

    def ask(self, card: str | None, action: str, return_url: str | None) -> "Intent":
        """The bank wants the shopper to confirm at that page, and does nothing before she has."""
        card = self._confirmable(card)
        asked = replace(self, status="requires_action", card=card, charge=None, decline=None)
        return replace(asked, action=action, return_url=return_url)

    def authenticate(self, decline: str | None, charge: str | None) -> "Intent":
        """The shopper has confirmed, or something is declined."""
        if self.status != "requires_action" or self.card is None:
            raise unexpected_state(f"Nobody is asked about this PaymentIntent: its status is {self.status}.")
        return self._decided(self.card, decline, charge)

    def _confirmable(self, card: str | None) -> str:
        self._require(CONFIRMABLE, "You cannot confirm this PaymentIntent", "confirmed")
        card = card or self.card
        if card is None:
            raise unexpected_state(
                "You cannot confirm this PaymentIntent because it's missing a payment method."
            )
        return card

    def _decided(self, card: str, decline: str | None, charge: str | None) -> "Intent":
        if decline:
            return replace(self, status="requires_payment_method", card=None, charge=charge, decline=decline)
        held = replace(self, status="requires_capture", card=card, charge=charge, decline=None)
        return held if self.capture_method == "manual" else held.capture(None)

    def capture(self, amount: int | None, notes: dict[str, str] | None = None) -> "Intent":
        """Take all the money or a part, and add the notes to the metadata."""
        if self.status == "succeeded":
            raise unexpected_state(
                "This PaymentIntent could not be captured because it has already been captured."
            )
        self._require(["requires_capture"], "This PaymentIntent could not be captured", "captured")
        if amount is not None and amount > self.amount:
            message = (
                f"The amount to capture ({amount}) is greater than the amount capturable ({self.amount})."
            )
            raise Refusal(message, code="amount_too_large", param="amount_to_capture", executed=True)
        captured = self.amount if amount is None else amount
        return replace(self, status="succeeded", captured=captured, metadata=self.metadata | (notes or {}))

    def cancel(self, reason: str | None, now: int) -> "Intent":
        self._require(CANCELABLE, "You cannot cancel this PaymentIntent", "canceled")
        return replace(self, status="canceled", canceled_at=now, cancellation_reason=reason)

    def refund(self, amount: int | None) -> "Intent":
        left = self.captured - self.refunded
        if not self.captured:
            message = f"This PaymentIntent ({self.id}) does not have a successful charge to refund."
            raise Refusal(message, executed=True)
        if left == 0:
            message = f"Charge {self.charge} has already been refunded."
            raise Refusal(message, code="charge_already_refunded", executed=True)
        if amount is not None and amount > left:
            message = f"Refund amount ({amount}) is greater than unrefunded amount on charge ({left})"
            raise Refusal(message, param="amount", executed=True)
        return replace(self, refunded=self.refunded + (left if amount is None else amount))

    def expire(self, now: int) -> "Intent":
        """Nobody has captured it for as long as the bank holds money."""
        if self.status != "requires_capture":
            raise unexpected_state(f"Nothing is held: the status is {self.status}.")
        return replace(self, status="canceled", canceled_at=now, cancellation_reason="expired")

    def _require(self, statuses: Sequence[str], refused: str, done: str) -> None:
        if self.status not in statuses:
            raise unexpected_state(
                f"{refused} because it has a status of {self.status}. Only a PaymentIntent with one of the "
                f"following statuses may be {done}: {', '.join(statuses)}."
            )
