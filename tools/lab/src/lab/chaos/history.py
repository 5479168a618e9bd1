"""The history of the load: every request that has to come to something, and how the shop responded.

It is kept by the clients, apart from the shop, so that the checker can compare the two.
"""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Literal

Decision = Literal["complete", "fail", "leave"]  # on the bank's page, which a shopper who leaves never opens


@dataclass
class Account:
    """An account that a guest has logged in to. `orders` and `cart` are what it lists in the end, `None`
    while the shop does not answer; `guests_orders` is what the guest's own token still lists then."""

    email: str
    password: str
    guest_token: str
    token: str | None = None
    orders: frozenset[str] | None = None
    cart: dict[str, int] | None = None
    guests_orders: frozenset[str] = frozenset()


@dataclass
class Checkout:
    """One checkout as its shopper knows it. Times are monotonic seconds, `lines` is the content of the cart.

    `decision` is for a card whose bank asks for a confirmation. `shown_total` is what the cart comes to by
    prices that never change, `None` if one of them does.
    """

    key: str
    token: str
    email: str
    method: str
    more: dict[str, Any] = field(default_factory=dict)
    lines: dict[str, int] = field(default_factory=dict)
    decision: Decision | None = None
    shown_total: int | None = None
    account: Account | None = None
    order_ids: set[str] = field(default_factory=set)
    refused: str | None = None  # for good: status and problem
    ordered_before: str | None = None  # the order that another tab has placed of the same cart
    accepted_at: float | None = None
    ended_at: float | None = None
    status: str = "pending"
    cancelled_by_shopper: bool = False
    confirmed: bool = False  # the bank's page said so
    fulfilled: bool = False  # the shop's response to staff

    @property
    def is_answered(self) -> bool:
        return bool(self.order_ids) or self.refused is not None or self.ordered_before is not None

    @property
    def is_pending(self) -> bool:
        return bool(self.order_ids) and self.ended_at is None

    @property
    def is_quick(self) -> bool:
        """Whether it is paid with a card that is not slow by itself."""
        return self.method == "pm_card_visa"

    @property
    def bearer(self) -> str:
        """The token of its present owner."""
        return (self.account and self.account.token) or self.token

    def in_another_tab(self, key: str) -> "Checkout":
        """The same cart, submitted in another tab, from which nobody goes to the bank."""
        decision: Decision | None = "leave" if self.decision else None
        same = self.token, self.email, self.method, self.more, self.lines
        return Checkout(key, *same, decision, self.shown_total)


@dataclass
class ReturnRequest:
    """A return by the shopper, or a refund by staff, requested under one key. `amount` is what the shop
    promised to refund."""

    key: str
    order_id: str
    by: Literal["return", "staff"]
    body: dict[str, Any]
    checkout: Checkout
    return_ids: set[str] = field(default_factory=set)
    amount: int | None = None
    received: bool = False  # the shop's response to staff: the goods are back
    refused: str | None = None

    @property
    def is_answered(self) -> bool:
        return bool(self.return_ids) or self.refused is not None

    @property
    def is_due(self) -> bool:
        """Whether the shop has promised to restock the goods and refund the money."""
        return bool(self.return_ids) and (self.by == "staff" or self.received)


@dataclass(frozen=True)
class ProviderAction:
    """What a bank, or a user of the provider's dashboard, did there: a refund was made, one failed, a payment
    was disputed. `id` is the provider's, of that refund or dispute."""

    order_id: str
    what: Literal["refund", "failure", "dispute"]
    id: str


@dataclass
class History:
    checkouts: list[Checkout] = field(default_factory=list)
    accounts: list[Account] = field(default_factory=list)
    returns: list[ReturnRequest] = field(default_factory=list)
    provider_actions: list[ProviderAction] = field(default_factory=list)

    def counts(self) -> dict[str, int]:
        """How often what happened, besides plain checkouts."""
        counts: Counter[str] = Counter()
        for checkout in self.checkouts:
            if checkout.confirmed and checkout.order_ids:
                counts["confirmed with the bank"] += 1
            elif checkout.decision and checkout.order_ids:
                counts[_UNCONFIRMED[checkout.decision]] += 1
            counts["with an expected total"] += "expected_total" in checkout.more
            counts["fulfilled"] += checkout.fulfilled
        counts["logged in"] = len(self.accounts)
        for one in self.returns:
            counts["returns" if one.by == "return" else "refunds by staff"] += one.is_due
        for action in self.provider_actions:
            counts[_AT_THE_PROVIDER[action.what]] += 1
        return dict(+counts)


_UNCONFIRMED = {
    "complete": "not confirmed in time, or in vain",
    "fail": "refused at the bank",
    "leave": "left at the bank",
}
_AT_THE_PROVIDER = {
    "refund": "refunds at the provider",
    "failure": "refunds that failed later",
    "dispute": "disputes",
}
