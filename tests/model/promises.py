"""What must hold: rules for every state, and the ledger's own checks for every final one."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial

from chassis.saga.tx import Event, event_id
from product.domain import Hold, Stock
from shop.ledger import CHECKS, Evidence
from shop.ledger.evidence import ChargeSeen, KeptSeen, MailSeen, OrderSeen, StockSeen
from tests.model import later_promises, returning
from tests.model.asides import Asides, Told
from tests.model.automaton import Place
from tests.model.bank import NOW
from tests.model.core import ACCOUNT, Core, Seen
from tests.model.world import State

Look = Callable[[State], Iterator[str]]
Rule = Callable[[Seen], bool]
RULES: list[Rule] = []


def rule(holds: Rule) -> Rule:
    """Register what must hold for each order in every state; its name says what that is."""
    RULES.append(holds)
    return holds


@rule
def money_is_held_at_most_once(seen: Seen) -> bool:
    return sum(one.status in ("requires_capture", "succeeded") for one in seen.books.payments) <= 1


@rule
def no_more_is_given_back_than_was_taken(seen: Seen) -> bool:
    return all(one.refunded <= one.captured <= one.amount for one in seen.books.payments)


@rule
def money_is_taken_only_for_stock_that_was_held(seen: Seen) -> bool:
    return not seen.taken or (seen.hold is not None and seen.hold.state not in ("rejected", "refused"))


@rule
def nothing_is_asked_of_the_provider_once_refused(seen: Seen) -> bool:
    return seen.payment.state != "refused" or not seen.books.payments


@rule
def nothing_is_kept_or_held_once_declined_or_given_back(seen: Seen) -> bool:
    ended = seen.payment.state in ("declined", "voided", "refunded")
    kept = seen.taken - seen.given_back - later_promises.unnoticed(seen) - later_promises.lost(seen)
    return not ended or not (seen.held or kept > 0)


@rule
def only_what_was_held_is_voided(seen: Seen) -> bool:
    """A guest whose money was never held is not to be written to, and that is how notification would hear."""
    held = any(one.charge and one.decline is None for one in seen.books.payments)
    return held or seen.payment.state != "voided"


@rule
def a_paid_order_is_charged(seen: Seen) -> bool:
    """And keeps its money but for what is to go back of it, and what others give back."""
    may_go = returning.due(seen.order) + later_promises.given_elsewhere(seen)
    is_kept = seen.taken == seen.order.total and seen.given_back <= may_go
    return seen.order.status != "paid" or is_kept


@rule
def an_order_that_has_left_is_not_cancelled(seen: Seen) -> bool:
    return seen.order.fulfilled_at is None or seen.order.status == "paid"


@rule
def only_what_came_back_is_restocked(seen: Seen) -> bool:
    return returning.is_restocked_rightly(seen.order, seen.hold)


@rule
def a_cancelled_order_stays_cancelled(seen: Seen) -> bool:
    return (seen.order.status == "cancelled") == (seen.order.cancelled_at is not None)


@rule
def stock_is_sold_only_for_money(seen: Seen) -> bool:
    """Of a free order payment's own word counts."""
    is_said = not seen.order.total and seen.payment.state in ("captured", "refunding", "refunded")
    is_sold = seen.hold is not None and seen.hold.state in ("sold", "restocked")
    return not is_sold or seen.taken > 0 or is_said


@rule
def a_free_order_is_none_of_the_providers(seen: Seen) -> bool:
    return seen.order.total > 0 or not (seen.books.payments or seen.books.answers)


@rule
def a_free_order_is_paid_only_for_stock_that_was_held(seen: Seen) -> bool:
    is_paid = not seen.order.total and seen.payment.state == "captured"
    return not is_paid or (seen.hold is not None and seen.hold.state not in ("rejected", "refused"))


@rule
def money_goes_back_only_for_a_cancelled_order(seen: Seen) -> bool:
    is_off = seen.order.status == "cancelled" or seen.payment.code is not None
    return is_off or seen.given_back <= returning.due(seen.order) + later_promises.given_elsewhere(seen)


class Promises:
    """The rules and the ledger's checks for one world. What looks the same is looked at once."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._looked: dict[object, str | None] = {}
        self._asides = [Asides(one) for one in core.orders]
        self._told: dict[tuple[Event, ...], list[Told]] = {}

    def always(self, state: State) -> str | None:
        """What is broken in this state."""
        if failure := self._core.failure(state):
            return f"no step fails: {failure}"
        core = self._core
        looked_at: list[tuple[object, Look]] = [
            (("said", state[core.said_at]), self._same_again),
            (("stock", state[core.product_at]), self._stock_is_right),
        ]
        for n in range(len(core.orders)):
            looked_at.append(((n, core.concerns(state, n)), partial(self._order_is_right, n=n)))
            told = state[core.said_at], core.concerns(state, n)[-1]
            looked_at.append((("told", n, told), partial(self._is_told_truly, n=n)))
        for part, look in looked_at:
            if part not in self._looked:
                self._looked[part] = next(look(state), None)
            if self._looked[part]:
                return self._looked[part]
        return None

    def at_the_end(self, state: State) -> str | None:
        """What is broken if this is how it stays, in whatever way it ends aside. Raises Broken."""
        orders = range(len(self._core.orders))
        if self._core.shop.merges and not all(self._is_an_accounts(state, n) for n in orders):
            return "an order belongs to the account that its guest became, or to who claimed it"
        for n in orders:
            if broken := next(later_promises.is_known(self._core.seen(state, n)), None):
                return broken
        aside = [self._aside(n, self._core.said_of(state, n)) for n in orders]
        # No check compares one order's letters with another's: each way is looked at with any of the others'.
        for turn in range(max(map(len, aside))):
            evidence = self._evidence(state, [ways[turn % len(ways)] for ways in aside])
            for check in CHECKS:
                if broken := next(_findings(check.name, evidence), None):
                    return broken
        return None

    def _is_an_accounts(self, state: State, n: int) -> bool:
        seen = self._core.seen(state, n)
        return seen.owner == (seen.order.claimed_by or ACCOUNT)

    def _same_again(self, state: State) -> Iterator[str]:
        ids = [event_id(event) for event in self._core.said(state)]
        if len(set(ids)) < len(ids):
            yield "what is said again is the same"

    def _stock_is_right(self, state: State) -> Iterator[str]:
        yield from _findings("stock-adds-up", Evidence(NOW, stock=self._stock(state)))
        yield from waits_rightly(self._core.place(state, self._core.product_at))

    def _order_is_right(self, state: State, n: int) -> Iterator[str]:
        seen = self._core.seen(state, n)
        yield from (holds.__name__.replace("_", " ") for holds in RULES if not holds(seen))
        yield from _findings("nobody-is-charged-twice", Evidence(NOW, charges=_charges(seen)))

    def _is_told_truly(self, state: State, n: int) -> Iterator[str]:
        yield from later_promises.is_true(self._core.seen(state, n), self._core.said_of(state, n))

    def _aside(self, n: int, said: tuple[Event, ...]) -> list[Told]:
        if said not in self._told:
            self._told[said] = self._asides[n].told(said)
        return self._told[said]

    def _evidence(self, state: State, aside: list[Told]) -> Evidence:
        core = self._core
        every = [core.seen(state, n) for n in range(len(core.orders))]
        ids = [str(one.order_id) for one in core.orders]
        return Evidence(
            now=NOW + timedelta(days=1),
            orders=tuple(_order(seen, told) for seen, told in zip(every, aside, strict=True)),
            disputes={row.provider_id: row.status for seen in every for row in seen.disputes},
            payments={one: seen.payment.state for one, seen in zip(ids, every, strict=True)},
            charges=tuple(charge for seen in every for charge in _charges(seen)),
            stock=self._stock(state),
            logged_in={str(one.shopper_id): str(ACCOUNT) for one in core.orders if core.shop.merges},
            moved={str(seen.merged.guest_id): str(seen.merged.user_id) for seen in every if seen.merged},
            holds={one: seen.hold.state for one, seen in zip(ids, every, strict=True) if seen.hold},
            refunds={str(one.refund_id): one.state for seen in every for one in seen.refunds},
            restocked={
                one: lines for seen in every if seen.hold for one, lines in seen.hold.returned.items()
            },
            mails=tuple(
                MailSeen(one, letter.reason, refund_id=letter.refund_id)
                for one, told in zip(ids, aside, strict=True)
                for letter in told.arrived
            ),
            letters={one: told.fates for one, told in zip(ids, aside, strict=True)},
            kept=tuple(
                KeptSeen(str(kept.subject_id), kept.reason, kept.fate, kept.why)
                for told in aside
                for kept in told.kept
            ),
            queues={core.automata[who].name: 1 for who, _ in core.waiting(state)},
            outboxes={"outbox": len(core.unpublished(state))},
            intents={core.automata[who].name: len(core.place(state, who).intents) for who in core.books},
        )

    def _stock(self, state: State) -> tuple[StockSeen, ...]:
        return tuple(
            StockSeen(one.sku, one.on_hand, one.reserved, one.sold, one.received)
            for one in self._core.stock_seen(state)
        )


def waits_rightly(place: Place) -> Iterator[str]:
    """What is amiss with what is held and waited for, as product has it."""
    holds = [row for (kind, _), row in place.harness.rows.items() if kind is Hold]
    stocks = {key: row for (kind, key), row in place.harness.rows.items() if kind is Stock}
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


def _order(seen: Seen, told: Told) -> OrderSeen:
    order = seen.order
    return OrderSeen(
        str(order.order_id),
        order.status,
        order.reason,
        order.total,
        order.currency,
        {line.sku: line.quantity for line in order.lines},
        order.deadline,
        told.timeline,
        order.guest,
        returns=returning.seen(order),
        late=later_promises.late(seen),
        rest=order.refunded_rest if later_promises.is_taken_as_asked(seen) else None,
    )


def _charges(seen: Seen) -> tuple[ChargeSeen, ...]:
    return tuple(
        ChargeSeen(
            one.id,
            one.order_id,
            one.status,
            one.amount if one.charge and one.decline is None else 0,
            one.captured,
            one.refunded,
            one.currency.upper(),
            later_promises.refunds(seen.books),
            later_promises.disputed(seen.books),
        )
        for one in seen.books.payments
    )


def _findings(name: str, evidence: Evidence) -> Iterator[str]:
    """What the ledger's check of that name finds."""
    [check] = [check for check in CHECKS if check.name == name]
    yield from (f"{name}: {finding}" for finding in check.violations(evidence))
