"""Tabs that submit carts: what is read of a cart, and placed as an order whenever that comes to pass.

Placing happens over HTTP, before the saga begins. Here each submit reads the cart at some moment, and its
order is placed at any later one, or never. Meanwhile the shopper changes carts, logs in and cancels; orders
are paid or declined, and taken out of their cart or not yet. Cart, order and payment are the real ones;
product and the provider, whom the saga's own shops explore, are one moment: a payment is taken or declined.

Two rules are the database's and are written here once more: `ordered_before` is the statement that places
orders, `put_in` the trigger of the carts. Tests hold both against PostgreSQL.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple
from uuid import UUID, uuid5

import cart.saga
import order.saga
from cart.domain import Cart
from chassis.saga.steps import Steps
from chassis.saga.tx import Event, Tx
from chassis.testing import Harness
from contracts import (
    Line,
    OrderCancelled,
    OrderCreated,
    OrderPaid,
    PaymentDeclined,
    PaymentRefunded,
    PaymentVoided,
)
from contracts.testing import guest_merged
from order.domain import Order
from order.events import created
from payment.domain import Decision, Payment
from payment.outcomes import Authorized, Captured, Declined, Outcome, Refunded, Voided, conclude
from tests.model.actor import Act, Actor, Command, Numbers
from tests.model.provider import NOW
from tests.model.saga_world import DEADLINE
from tests.model.world import Move, State, World

GUEST, ACCOUNT = UUID(int=101), UUID(int=102)
PRICE = 500
_ENDS = (OrderPaid, PaymentDeclined, PaymentRefunded, PaymentVoided)
_OPTIONAL = ("tab ", "the shopper ")  # so begin the moves that need not happen
_UNSEEN, _ANSWERED, _READ = 0, 1, 2  # the state of a submit; from `_READ` on, what it has read


@dataclass(frozen=True)
class Change:
    """What a shopper does to a cart: `pieces` are put in, in place of all that is there if it is `whole`."""

    owner: UUID
    pieces: Mapping[str, int]
    whole: bool = False


@dataclass(frozen=True)
class Tabs:
    """What is explored: whose cart each tab submits; what is in the carts, and what the shopper does to them,
    each change once at most, in any sequence; whether the guest logs in; how many of the tabs' orders may be
    cancelled, and whether cards may be declined."""

    name: str
    submits: Sequence[UUID]
    carts: Mapping[UUID, Mapping[str, int]]
    changes: Mapping[str, Change] = field(default_factory=dict)
    logs_in: bool = False
    cancels: int = 3
    declines: bool = True


class Reading(NamedTuple):
    """What a tab's checkout has read."""

    shopper: UUID
    lines: tuple[tuple[str, int], ...]
    ids: tuple[UUID, ...]
    bought: tuple[UUID, ...]


@dataclass
class Wishes:
    """What the shopper has ever put into carts, and which changes were made."""

    key: int
    pieces: dict[str, int]
    made: tuple[str, ...] = ()


@dataclass
class Claim:
    """The ids of the cart that an order is of: its own `cart_id` and the further ones."""

    order_id: UUID
    ids: tuple[UUID, ...]


def ordered_before(
    orders: Iterable[Order], claims: Iterable[Claim], ids: Sequence[UUID], bought: Sequence[UUID]
) -> bool:
    """Whether an order rules out another one of a cart with these ids, out of which those were taken."""
    live = {one.order_id for one in orders if one.status != "cancelled"}.difference(bought)
    return any(one.order_id in live and not set(one.ids).isdisjoint(ids) for one in claims)


def put_in(held: Cart, items: Mapping[str, int], other: UUID) -> None:
    """These are in the cart now; `other` is what it counts as if that makes it another one."""
    if items and held.items.keys().isdisjoint(items):
        held.ids, held.bought = (other,), ()
    held.items = dict(items)


class TabsWorld(World):
    """All orders are one actor here, since they compete for carts, and so are the carts, since a login
    merges two."""

    def __init__(self, tabs: Tabs) -> None:
        self.tabs = tabs
        self.order_ids = [UUID(int=n + 1) for n in range(len(tabs.submits))]
        self._readings: Numbers[Reading] = Numbers()
        events: Numbers[Event] = Numbers()
        actors = [self._ordering(events), self._carting(events), self._paying(events)]
        begin = [events.of(guest_merged(guest_id=GUEST, user_id=ACCOUNT))] if tabs.logs_in else []
        super().__init__(events, actors, begin)
        self._tabs_at = len(self.start)
        self.start = (*self.start, *[_UNSEEN] * len(tabs.submits))

    def moves(self, state: State) -> Iterator[tuple[Move, State]]:
        yield from super().moves(state)
        for n, owner in enumerate(self.tabs.submits):
            at = self._tabs_at + n
            if state[at] == _UNSEEN:
                yield Move(f"tab {n + 1} is read by", 1), _with(state, at, self._read(state, owner))
            elif state[at] >= _READ:
                placed = self.actors[0].transition(
                    state[0], ("place", (n, self._readings[state[at] - _READ]))
                )
                after = self._after(_with(state, at, _ANSWERED), 0, placed)
                yield Move(f"tab {n + 1} is answered by", 0), after

    def is_fair(self, move: Move) -> bool:
        return not move.kind.startswith(_OPTIONAL) and super().is_fair(move)

    def orders(self, state: State) -> list[Order]:
        """Those that were placed so far."""
        found = (self.row(state, 0, Order, order_id) for order_id in self.order_ids)
        return [one for one in found if one is not None]

    def claims(self, state: State) -> list[Claim]:
        """Of which carts they are."""
        found = (self.row(state, 0, Claim, order_id) for order_id in self.order_ids)
        return [one for one in found if one is not None]

    def carts(self, state: State) -> list[Cart]:
        """Those that hold something, as their owners see them."""
        found = (self.row(state, 1, Cart, owner) for owner in (GUEST, ACCOUNT))
        return [one for one in found if one is not None and one.items and one.merged_into is None]

    def wished(self, state: State) -> Mapping[str, int]:
        """All pieces that the shopper has put into carts so far."""
        wishes: Wishes = self.row(state, 1, Wishes, 0)
        return wishes.pieces

    def _read(self, state: State, owner: UUID) -> int:
        """The state of the submit that reads this cart now: with nothing in it there is nothing to place."""
        found: Cart | None = self.row(state, 1, Cart, owner)
        if found is None or found.merged_into is not None or not found.items:
            return _ANSWERED
        lines = tuple(sorted(found.items.items()))
        return _READ + self._readings.of(Reading(owner, lines, found.ids, found.bought))

    def _ordering(self, events: Numbers[Event]) -> Actor:
        consumes = {one.type for one in _ENDS}
        begun = Harness(order.saga.steps, now=NOW)
        actor = Ordering("order", begun, events, lambda event: event.type in consumes)
        for n, order_id in enumerate(self.order_ids[: self.tabs.cancels], 1):
            actor.commands[f"the shopper cancels order {n} at"] = _cancelling(order_id)
        return actor

    def _carting(self, events: Numbers[Event]) -> Actor:
        begun = Harness(cart.saga.steps, now=NOW)
        begun.put(*(Cart(owner, dict(items), ids=(owner,)) for owner, items in self.tabs.carts.items()))
        everything: dict[str, int] = {}
        for items in self.tabs.carts.values():
            everything = _sum(everything, items)
        begun.put(Wishes(0, everything))
        consumed = cart.saga.steps.routing_keys()
        actor = Actor("cart", begun, events, lambda event: event.type in consumed)
        for name, change in self.tabs.changes.items():
            actor.commands[f"the shopper {name} at"] = _changing(name, change)
        return actor

    def _paying(self, events: Numbers[Event]) -> Actor:
        consumed = till.routing_keys()
        actor = Actor("payment", Harness(till, now=NOW), events, lambda event: event.type in consumed)
        for n, order_id in enumerate(self.order_ids, 1):
            actor.commands[f"takes the money for order {n}"] = _paid(order_id, accepts=True)
            if self.tabs.declines:
                actor.commands[f"declines order {n}"] = _paid(order_id, accepts=False)
        return actor


class Ordering(Actor):
    """Order, with what a checkout does when it has read the cart."""

    async def _perform(self, harness: Harness, act: Act) -> None:
        if act[0] == "place":
            await self._place(harness, *act[1])
        else:
            await super()._perform(harness, act)

    async def _place(self, harness: Harness, n: int, read: Reading) -> None:
        async def place(tx: Tx) -> None:
            orders, claims = (
                [row for (kind, _), row in harness.rows.items() if kind is wanted]
                for wanted in (Order, Claim)
            )
            if not ordered_before(orders, claims, read.ids, read.bought):
                placed = _order(n, read)
                tx.add(placed)
                tx.add(Claim(placed.order_id, read.ids))
                tx.publish(created(placed))

        await harness.run(place, publishes=[OrderCreated])


till = Steps("payment")  # payment's decisions, with a provider who answers at once


@till.on(OrderCreated)
async def expect(event: OrderCreated, tx: Tx) -> None:
    """The stock is there."""
    payment = await _payment(tx, event.order_id)
    payment.authorize(event)
    payment.reserve()


@till.on(OrderCancelled, publishes=_ENDS)
async def give_back(event: OrderCancelled, tx: Tx) -> None:
    """Whatever was taken."""
    payment = await _payment(tx, event.order_id)
    _follow(payment, payment.cancel(), tx)


async def _payment(tx: Tx, order_id: UUID) -> Payment:
    found = await tx.get(Payment, order_id)
    if found is None:
        tx.add(found := Payment(order_id))
    return found


def _follow(payment: Payment, decision: Decision, tx: Tx) -> None:
    """The calls are made, and succeed."""
    tx.publish(*(event for event in decision.events if isinstance(event, _ENDS)))
    if decision.call is not None:
        assert payment.order is not None
        outcomes: Mapping[str, Outcome] = {
            "capture": Captured(payment.order.total),
            "void": Voided(),
            "refund": Refunded(payment.order.total),
        }
        _follow(payment, conclude(payment, outcomes[decision.call], tx.now), tx)


def _paid(order_id: UUID, *, accepts: bool) -> Command:
    async def end(tx: Tx) -> None:
        payment = await tx.get(Payment, order_id)
        if payment is None or payment.state != "authorizing" or payment.order is None:
            return
        outcome = Authorized(f"pi_{order_id}", payment.order.total) if accepts else Declined("card_declined")
        _follow(payment, conclude(payment, outcome, tx.now), tx)

    return Command(end, _ENDS)


def _cancelling(order_id: UUID) -> Command:
    async def cancel(tx: Tx) -> None:
        if (found := await tx.get(Order, order_id)) is not None:
            tx.publish(*found.cancel(tx.now))

    return Command(cancel, [OrderCancelled])


def _changing(name: str, change: Change) -> Command:
    async def make(tx: Tx) -> None:
        wishes, held = await tx.get(Wishes, 0), await tx.get(Cart, change.owner)
        assert wishes is not None
        if name in wishes.made or (held is not None and held.merged_into is not None):
            return
        wishes.made = tuple(sorted([*wishes.made, name]))
        if held is None:
            tx.add(held := Cart(change.owner))
        items = {} if change.whole else held.items
        wishes.pieces = _sum(wishes.pieces, change.pieces)
        put_in(held, _sum(items, change.pieces), uuid5(change.owner, name))

    return Command(make)


def _sum(some: Mapping[str, int], more: Mapping[str, int]) -> dict[str, int]:
    return {sku: some.get(sku, 0) + more.get(sku, 0) for sku in sorted({*some, *more})}


def _order(n: int, reading: Reading) -> Order:
    lines = tuple(Line(sku=sku, name=sku, quantity=count, unit_price=PRICE) for sku, count in reading.lines)
    return Order(
        order_id=UUID(int=n + 1),
        shopper_id=reading.shopper,
        lines=lines,
        total=PRICE * sum(line.quantity for line in lines),
        currency="GBP",
        payment_method="pm_card_visa",
        contact="sealed",
        cart_id=reading.ids[0],
        created_at=NOW,
        deadline=NOW + DEADLINE,
    )


def _with(state: State, at: int, value: int) -> State:
    return (*state[:at], value, *state[at + 1 :])
