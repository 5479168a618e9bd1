"""What must hold however tabs, logins and changes cross: nobody buys twice what was put into a cart once."""

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta

from order.domain import Order
from shop.ledger import CHECKS, Evidence
from shop.ledger.evidence import CartRecord, OrderRecord
from tests.model.provider import NOW
from tests.model.tabs import TabsWorld, ordered_before
from tests.model.world import State

_CHECKED = ("a-cart-is-ordered-once", "a-bought-cart-is-empty")


class TabPromises:
    """The promises for one world. Equal parts of states are checked once."""

    def __init__(self, world: TabsWorld) -> None:
        self._world = world
        self._known: dict[tuple[int, ...], str | None] = {}

    def always(self, state: State) -> str | None:
        """What is broken in this state."""
        if failure := self._world.failure(state):
            return f"no step fails: {failure}"
        if state[:2] not in self._known:
            self._known[state[:2]] = next(self._bought_twice(state), None)
        return self._known[state[:2]]

    def at_the_end(self, state: State) -> str | None:
        """What is broken if this is how it stays."""
        orders, claims = self._world.orders(state), self._world.claims(state)
        ids = {one.order_id: tuple(map(str, one.ids)) for one in claims}
        evidence = Evidence(
            NOW + timedelta(days=1),
            orders=tuple(_order_evidence(one, ids[one.order_id]) for one in orders),
            carts=tuple(
                CartRecord(str(cart.owner_id), tuple(map(str, cart.ids)), tuple(map(str, cart.bought)))
                for cart in self._world.carts(state)
            ),
        )
        for check in CHECKS:
            if check.name in _CHECKED and (found := next(check.violations(evidence), None)):
                return f"{check.name}: {found}"
        for cart in self._world.carts(state):
            if ordered_before(orders, claims, cart.ids, cart.bought):
                return f"what is left in a cart can be ordered: {cart.items}"
        return None

    def end(self, state: State) -> str:
        """How it ended, in a word for each order."""
        return " and ".join(sorted(one.status for one in self._world.orders(state))) or "nothing ordered"

    def _bought_twice(self, state: State) -> Iterator[str]:
        bought: Counter[str] = Counter()
        for one in self._world.orders(state):
            if one.status != "cancelled":
                bought.update({line.sku: line.quantity for line in one.lines})
        wished = self._world.wished(state)
        for sku, pieces in bought.items():
            if pieces > wished.get(sku, 0):
                yield f"no more is bought than was put into carts: {pieces} of {sku}"


def _order_evidence(one: Order, cart_ids: tuple[str, ...]) -> OrderRecord:
    return OrderRecord(
        str(one.order_id),
        one.status,
        one.reason,
        one.total,
        one.currency,
        {line.sku: line.quantity for line in one.lines},
        one.deadline,
        cart_ids=cart_ids,
    )
