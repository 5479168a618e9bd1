"""What must hold: rules for every state, and the ledger's own checks for every final one."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial

from chassis.saga.tx import Event, event_id
from product.domain import Hold, Stock
from shop.ledger import CHECKS, Evidence
from shop.ledger.evidence import ChargeRecord, KeptMailRecord, MailRecord, OrderRecord, StockRecord
from tests.model import money_promises, returns
from tests.model.actor import LocalState
from tests.model.downstream import Downstream, DownstreamEnd
from tests.model.provider import NOW
from tests.model.saga_world import ACCOUNT, OrderSnapshot, SagaWorld
from tests.model.world import State

Find = Callable[[State], Iterator[str]]
Rule = Callable[[OrderSnapshot], bool]
RULES: list[Rule] = []


def rule(holds: Rule) -> Rule:
    """Register what must hold for each order in every state; its name says what that is."""
    RULES.append(holds)
    return holds


@rule
def money_is_held_at_most_once(snapshot: OrderSnapshot) -> bool:
    return sum(one.status in ("requires_capture", "succeeded") for one in snapshot.ledger.payments) <= 1


@rule
def no_more_is_given_back_than_was_taken(snapshot: OrderSnapshot) -> bool:
    return all(one.refunded <= one.captured <= one.amount for one in snapshot.ledger.payments)


@rule
def money_is_taken_only_for_stock_that_was_held(snapshot: OrderSnapshot) -> bool:
    return not snapshot.taken or (
        snapshot.hold is not None and snapshot.hold.state not in ("rejected", "refused")
    )


@rule
def nothing_is_asked_of_the_provider_once_refused(snapshot: OrderSnapshot) -> bool:
    return snapshot.payment.state != "refused" or not snapshot.ledger.payments


@rule
def nothing_is_kept_or_held_once_declined_or_given_back(snapshot: OrderSnapshot) -> bool:
    ended = snapshot.payment.state in ("declined", "voided", "refunded")
    kept = (
        snapshot.taken
        - snapshot.given_back
        - money_promises.unnoticed(snapshot)
        - money_promises.lost(snapshot)
    )
    return not ended or not (snapshot.held or kept > 0)


@rule
def only_what_was_held_is_voided(snapshot: OrderSnapshot) -> bool:
    """A guest whose money was never held must not get a mail, and `payment.voided` would send one."""
    held = any(one.charge and one.decline is None for one in snapshot.ledger.payments)
    return held or snapshot.payment.state != "voided"


@rule
def a_paid_order_is_charged(snapshot: OrderSnapshot) -> bool:
    """And keeps its money but for what is to go back of it, and what others give back."""
    may_go = returns.due(snapshot.order) + money_promises.given_elsewhere(snapshot)
    is_kept = snapshot.taken == snapshot.order.total and snapshot.given_back <= may_go
    return snapshot.order.status != "paid" or is_kept


@rule
def a_fulfilled_order_is_not_cancelled(snapshot: OrderSnapshot) -> bool:
    return snapshot.order.fulfilled_at is None or snapshot.order.status == "paid"


@rule
def only_what_came_back_is_restocked(snapshot: OrderSnapshot) -> bool:
    return returns.is_restocked_rightly(snapshot.order, snapshot.hold)


@rule
def a_cancelled_order_stays_cancelled(snapshot: OrderSnapshot) -> bool:
    return (snapshot.order.status == "cancelled") == (snapshot.order.cancelled_at is not None)


@rule
def stock_is_sold_only_for_money(snapshot: OrderSnapshot) -> bool:
    """For a free order, payment's state counts."""
    paid_free = not snapshot.order.total and snapshot.payment.state in (
        "captured",
        "refunding",
        "refunded",
    )
    is_sold = snapshot.hold is not None and snapshot.hold.state in ("sold", "restocked")
    return not is_sold or snapshot.taken > 0 or paid_free


@rule
def a_free_order_is_none_of_the_providers(snapshot: OrderSnapshot) -> bool:
    return snapshot.order.total > 0 or not (snapshot.ledger.payments or snapshot.ledger.answers)


@rule
def a_free_order_is_paid_only_for_stock_that_was_held(snapshot: OrderSnapshot) -> bool:
    is_paid = not snapshot.order.total and snapshot.payment.state == "captured"
    return not is_paid or (snapshot.hold is not None and snapshot.hold.state not in ("rejected", "refused"))


@rule
def money_goes_back_only_for_a_cancelled_order(snapshot: OrderSnapshot) -> bool:
    is_off = snapshot.order.status == "cancelled" or snapshot.payment.code is not None
    return is_off or snapshot.given_back <= returns.due(snapshot.order) + money_promises.given_elsewhere(
        snapshot
    )


class Promises:
    """The rules and the ledger's checks for one world. Equal parts of states are checked once."""

    def __init__(self, world: SagaWorld) -> None:
        self._world = world
        self._known: dict[object, str | None] = {}
        self._downstream = [Downstream(one) for one in world.orders]
        self._ends: dict[tuple[Event, ...], list[DownstreamEnd]] = {}

    def always(self, state: State) -> str | None:
        """What is broken in this state."""
        if failure := self._world.failure(state):
            return f"no step fails: {failure}"
        world = self._world
        parts: list[tuple[object, Find]] = [
            (("published", state[world.published_at]), self._republished_alike),
            (("stock", state[world.product_at]), self._stock_is_right),
        ]
        for n in range(len(world.orders)):
            parts.append(((n, world.concerns(state, n)), partial(self._order_is_right, n=n)))
            end = state[world.published_at], world.concerns(state, n)[-1]
            parts.append((("end", n, end), partial(self._is_published_truly, n=n)))
        for part, find in parts:
            if part not in self._known:
                self._known[part] = next(find(state), None)
            if self._known[part]:
                return self._known[part]
        return None

    def at_the_end(self, state: State) -> str | None:
        """What is broken if this is how it stays, in whatever way it ends downstream. Raises Broken."""
        orders = range(len(self._world.orders))
        if self._world.shop.merges and not all(self._is_an_accounts(state, n) for n in orders):
            return "an order belongs to the account that its guest became, or to who claimed it"
        for n in orders:
            if broken := next(money_promises.is_known(self._world.snapshot(state, n)), None):
                return broken
        ends = [self._ends_of(n, self._world.published_of(state, n)) for n in orders]
        # No check compares one order's mails with another's: each end is checked with any of the others'.
        for number in range(max(map(len, ends))):
            evidence = self._evidence(state, [ways[number % len(ways)] for ways in ends])
            for check in CHECKS:
                if broken := next(_violations(check.name, evidence), None):
                    return broken
        return None

    def _is_an_accounts(self, state: State, n: int) -> bool:
        snapshot = self._world.snapshot(state, n)
        return snapshot.owner == (snapshot.order.claimed_by or ACCOUNT)

    def _republished_alike(self, state: State) -> Iterator[str]:
        ids = [event_id(event) for event in self._world.published(state)]
        if len(set(ids)) < len(ids):
            yield "what is republished is the same"

    def _stock_is_right(self, state: State) -> Iterator[str]:
        yield from _violations("stock-adds-up", Evidence(NOW, stock=self._stock(state)))
        yield from waits_rightly(self._world.local(state, self._world.product_at))

    def _order_is_right(self, state: State, n: int) -> Iterator[str]:
        snapshot = self._world.snapshot(state, n)
        yield from (holds.__name__.replace("_", " ") for holds in RULES if not holds(snapshot))
        yield from _violations("nobody-is-charged-twice", Evidence(NOW, charges=_charges(snapshot)))

    def _is_published_truly(self, state: State, n: int) -> Iterator[str]:
        yield from money_promises.is_true(self._world.snapshot(state, n), self._world.published_of(state, n))

    def _ends_of(self, n: int, published: tuple[Event, ...]) -> list[DownstreamEnd]:
        if published not in self._ends:
            self._ends[published] = self._downstream[n].ends(published)
        return self._ends[published]

    def _evidence(self, state: State, ends: list[DownstreamEnd]) -> Evidence:
        world = self._world
        every = [world.snapshot(state, n) for n in range(len(world.orders))]
        ids = [str(one.order_id) for one in world.orders]
        return Evidence(
            now=NOW + timedelta(days=1),
            orders=tuple(_order(snapshot, end) for snapshot, end in zip(every, ends, strict=True)),
            disputes={row.provider_id: row.status for snapshot in every for row in snapshot.disputes},
            payments={one: snapshot.payment.state for one, snapshot in zip(ids, every, strict=True)},
            charges=tuple(charge for snapshot in every for charge in _charges(snapshot)),
            stock=self._stock(state),
            logged_in={str(one.shopper_id): str(ACCOUNT) for one in world.orders if world.shop.merges},
            moved={
                str(snapshot.merged.guest_id): str(snapshot.merged.user_id)
                for snapshot in every
                if snapshot.merged
            },
            holds={
                one: snapshot.hold.state for one, snapshot in zip(ids, every, strict=True) if snapshot.hold
            },
            refunds={str(one.refund_id): one.state for snapshot in every for one in snapshot.refunds},
            restocked={
                one: lines
                for snapshot in every
                if snapshot.hold
                for one, lines in snapshot.hold.returned.items()
            },
            mails=tuple(
                MailRecord(one, mail.reason, refund_id=mail.refund_id)
                for one, end in zip(ids, ends, strict=True)
                for mail in end.arrived
            ),
            fates={one: end.fates for one, end in zip(ids, ends, strict=True)},
            kept=tuple(
                KeptMailRecord(str(kept.subject_id), kept.reason, kept.fate, kept.why)
                for end in ends
                for kept in end.kept
            ),
            queues={world.actors[who].name: 1 for who, _ in world.waiting(state)},
            outboxes={"outbox": len(world.unpublished(state))},
            intents={world.actors[who].name: len(world.local(state, who).intents) for who in world.ledger},
        )

    def _stock(self, state: State) -> tuple[StockRecord, ...]:
        return tuple(
            StockRecord(one.sku, one.on_hand, one.reserved, one.sold, one.received)
            for one in self._world.stock_of(state)
        )


def waits_rightly(local: LocalState) -> Iterator[str]:
    """What is amiss with what is held and waited for, as product has it."""
    holds = [row for (kind, _), row in local.harness.rows.items() if kind is Hold]
    stocks = {key: row for (kind, key), row in local.harness.rows.items() if kind is Stock}
    for sku, stock in stocks.items():
        if stock.reserved != sum(one.lines.get(sku, 0) for one in holds if one.state == "reserved"):
            yield f"what is reserved is what orders hold: {sku}"
        waiting = (one for one in holds if one.state == "waiting")
        if stock.waiting != {one.order_id: one.lines[sku] for one in waiting if sku in one.lines}:
            yield f"who waits is in line: {sku}"
    for hold in (one for one in holds if one.state == "waiting"):
        wanted = [(stocks[sku], pieces) for sku, pieces in hold.lines.items()]
        if all(pieces <= stock.available for stock, pieces in wanted):
            yield "nobody waits for what is there"
        if any(pieces > stock.obtainable for stock, pieces in wanted):
            yield "nobody waits for what is sold"


def _order(snapshot: OrderSnapshot, end: DownstreamEnd) -> OrderRecord:
    order = snapshot.order
    return OrderRecord(
        str(order.order_id),
        order.status,
        order.reason,
        order.total,
        order.currency,
        {line.sku: line.quantity for line in order.lines},
        order.deadline,
        end.timeline,
        order.guest,
        returns=returns.snapshot(order),
        late=money_promises.late(snapshot),
        rest=order.refunded_rest if money_promises.is_taken_as_asked(snapshot) else None,
    )


def _charges(snapshot: OrderSnapshot) -> tuple[ChargeRecord, ...]:
    return tuple(
        ChargeRecord(
            one.id,
            one.order_id,
            one.status,
            one.amount if one.charge and one.decline is None else 0,
            one.captured,
            one.refunded,
            one.currency.upper(),
            money_promises.refunds(snapshot.ledger),
            money_promises.disputed(snapshot.ledger),
        )
        for one in snapshot.ledger.payments
    )


def _violations(name: str, evidence: Evidence) -> Iterator[str]:
    """What the ledger's check of that name finds."""
    [check] = [check for check in CHECKS if check.name == name]
    yield from (f"{name}: {violation}" for violation in check.violations(evidence))
