"""What the load remembers: everything that it asked for and has to come to something, and what it was
answered. Nothing in it is the shop's."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Literal

Decision = Literal["complete", "fail", "leave"]  # at the bank's page; whoever leaves never comes there


@dataclass
class Account:
    """What a guest has become. `orders` and `cart` are what it sees when all is over, `None` while nobody
    answers; `guests_orders` is what the guest's own token still lists then."""

    email: str
    password: str
    guest_token: str
    token: str | None = None
    orders: frozenset[str] | None = None
    cart: dict[str, int] | None = None
    guests_orders: frozenset[str] = frozenset()


@dataclass
class Checkout:
    """One checkout as its shopper knows it. Times are monotonic seconds, `lines` what is in the cart.

    `decision` is for a card whose bank asks. `seen_total` is what the cart comes to by prices that never
    change, `None` if one of them does.
    """

    key: str
    token: str
    email: str
    method: str
    more: dict[str, Any] = field(default_factory=dict)
    lines: dict[str, int] = field(default_factory=dict)
    decision: Decision | None = None
    seen_total: int | None = None
    account: Account | None = None
    order_ids: set[str] = field(default_factory=set)
    refused: str | None = None  # a definite no
    ordered_before: str | None = None  # the order that another tab has placed of the same cart
    accepted_at: float | None = None
    ended_at: float | None = None
    status: str = "pending"
    cancelled_by_shopper: bool = False
    confirmed: bool = False  # the bank's page said so
    fulfilled: bool = False  # staff were answered so

    @property
    def is_answered(self) -> bool:
        return bool(self.order_ids) or self.refused is not None or self.ordered_before is not None

    @property
    def is_quick(self) -> bool:
        """Not one of those cards that take their time by themselves."""
        return self.method == "pm_card_visa"

    @property
    def bearer(self) -> str:
        """The token of whoever it belongs to at this moment."""
        return (self.account and self.account.token) or self.token

    def tab(self, key: str) -> "Checkout":
        """The same cart, submitted in another tab, from which nobody goes to the bank."""
        return Checkout(
            key,
            self.token,
            self.email,
            self.method,
            self.more,
            self.lines,
            self.decision and "leave",
            self.seen_total,
        )

    def accept(self, order_id: str, now: float) -> None:
        self.order_ids.add(order_id)
        self.accepted_at = self.accepted_at or now


@dataclass
class GoesBack:
    """What is asked for under one key: a return by its shopper, or a refund by staff. `amount` is what the
    shop said that it comes to."""

    key: str
    order_id: str
    by: Literal["return", "staff"]
    body: dict[str, Any]
    checkout: Checkout
    return_ids: set[str] = field(default_factory=set)
    amount: int | None = None
    received: bool = False  # staff were answered that the goods are here
    refused: str | None = None

    @property
    def is_answered(self) -> bool:
        return bool(self.return_ids) or self.refused is not None

    @property
    def is_due(self) -> bool:
        """Whether the shop has said that goods and money go back."""
        return bool(self.return_ids) and (self.by == "staff" or self.received)


@dataclass(frozen=True)
class AtProvider:
    """What a bank has done, or a person in the provider's dashboard, and the provider has answered: a refund
    was made, one failed, a payment is disputed. `id` is the provider's of that refund or dispute."""

    order_id: str
    what: Literal["refund", "failure", "dispute"]
    id: str


@dataclass
class Memory:
    checkouts: list[Checkout] = field(default_factory=list)
    accounts: list[Account] = field(default_factory=list)
    going_back: list[GoesBack] = field(default_factory=list)
    at_provider: list[AtProvider] = field(default_factory=list)

    def counted(self) -> dict[str, int]:
        """How much of what is not the plain flow there was."""
        words: Counter[str] = Counter()
        for checkout in self.checkouts:
            if checkout.decision and checkout.order_ids:
                words[
                    "confirmed with the bank" if checkout.confirmed else _UNCONFIRMED[checkout.decision]
                ] += 1
            words["with an expected total"] += "expected_total" in checkout.more
            words["fulfilled"] += checkout.fulfilled
        words["logged in"] = len(self.accounts)
        for one in self.going_back:
            words["returns" if one.by == "return" else "refunds by staff"] += one.is_due
        for done in self.at_provider:
            words[_DONE[done.what]] += 1
        return {word: count for word, count in words.items() if count}


_CONFIRMED = "confirmed with the bank"
_UNCONFIRMED = {
    "complete": "not confirmed in time, or in vain",
    "fail": "refused at the bank",
    "leave": "left at the bank",
}
_DONE = {
    "refund": "refunds at the provider",
    "failure": "refunds that failed later",
    "dispute": "disputes",
}
