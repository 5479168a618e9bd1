"""What the provider knows of one order."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from standins.sandbox.intents import Dispute, Refund
from standins.sandbox.intents import Intent as Payment
from standins.sandbox.render import Json


@dataclass(frozen=True)
class Books:
    """`answers` by key, `aged` the keys that it has forgotten."""

    payments: tuple[Payment, ...] = ()
    refunds: tuple[Refund, ...] = ()
    disputes: tuple[Dispute, ...] = ()
    answers: Mapping[str, tuple[int, Json]] = field(default_factory=dict)
    aged: tuple[str, ...] = ()
    refused: int = 0

    def of(self, order_id: str) -> "Books":
        """Without the payments of orders that somebody has made up."""
        return replace(self, payments=tuple(one for one in self.payments if one.order_id == order_id))


def kept(books: Books, payment: Payment) -> Books:
    """With the payment as it is now."""
    others = [one for one in books.payments if one.id != payment.id]
    return replace(books, payments=(*others, payment))
