"""What shoppers were told, kept by the load itself, and what of it the shop must be able to show."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

from shop.ledger import Evidence

Finding = str


@dataclass
class Checkout:
    """One checkout as its shopper knows it. Times are monotonic seconds."""

    key: str
    token: str
    email: str
    method: str
    more: dict[str, int] = field(default_factory=dict)
    order_ids: set[str] = field(default_factory=set)
    refused: str | None = None  # a definite no
    ordered_before: str | None = None  # the order that another tab has placed of the same cart
    accepted_at: float | None = None
    ended_at: float | None = None
    status: str = "pending"
    cancelled_by_shopper: bool = False

    @property
    def is_answered(self) -> bool:
        return bool(self.order_ids) or self.refused is not None or self.ordered_before is not None

    @property
    def is_quick(self) -> bool:
        """Not one of those cards that take their time by themselves."""
        return self.method == "pm_card_visa"

    def tab(self, key: str) -> "Checkout":
        """The same cart, submitted in another tab."""
        return Checkout(key, self.token, self.email, self.method, self.more)

    def accept(self, order_id: str, now: float) -> None:
        self.order_ids.add(order_id)
        self.accepted_at = self.accepted_at or now


def lost(checkouts: list[Checkout], seen: Evidence) -> Iterator[Finding]:
    """An order that a shopper was promised and the shop does not have; a checkout without an answer."""
    known = {order.order_id for order in seen.orders}
    for checkout in checkouts:
        if not checkout.is_answered:
            yield f"the checkout {checkout.key} was never answered"
        for order_id in checkout.order_ids - known:
            yield f"order {order_id} was accepted, the shop does not know it"
        if checkout.ordered_before is not None and checkout.ordered_before not in known:
            yield f"order {checkout.ordered_before} was told of, the shop does not know it"


def doubled(checkouts: list[Checkout], seen: Evidence) -> Iterator[Finding]:
    """Two orders of one checkout, or of one cart in two tabs; an order that no shopper was ever told of."""
    told: Counter[str] = Counter()
    for checkout in checkouts:
        told.update(checkout.order_ids)
        if len(checkout.order_ids) > 1:
            yield f"the checkout {checkout.key} became the orders {', '.join(sorted(checkout.order_ids))}"
    for order in seen.orders:
        if not told[order.order_id]:
            yield f"order {order.order_id} belongs to no checkout that was answered"
        elif told[order.order_id] > 1:
            yield f"order {order.order_id} was the answer to {told[order.order_id]} checkouts"
    yield from _bought_in_two_tabs(checkouts, seen)


def _bought_in_two_tabs(checkouts: list[Checkout], seen: Evidence) -> Iterator[Finding]:
    """Each shopper has filled one cart, once."""
    kept = {order.order_id for order in seen.orders if order.status != "cancelled"}
    tabs: defaultdict[str, list[Checkout]] = defaultdict(list)
    for checkout in checkouts:
        tabs[checkout.token].append(checkout)
    for of_one in tabs.values():
        bought = [checkout.key for checkout in of_one if checkout.order_ids & kept]
        if len(bought) > 1:
            yield f"the checkouts {', '.join(bought)} of one cart all became orders"


def stuck(seen: Evidence) -> Iterator[Finding]:
    """An order that has not ended, though everything has been well for long."""
    for order in seen.orders:
        if order.status == "pending":
            yield f"order {order.order_id} is still pending"


def wrong(checkouts: list[Checkout], seen: Evidence) -> Iterator[Finding]:
    """An order that its shopper cancelled, and was told so, and that is paid all the same."""
    status = {order.order_id: order.status for order in seen.orders}
    for checkout in checkouts:
        for order_id in checkout.order_ids:
            if checkout.cancelled_by_shopper and status.get(order_id) == "paid":
                yield f"order {order_id} was cancelled by its shopper and is paid"
