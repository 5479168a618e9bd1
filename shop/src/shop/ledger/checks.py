"""Each promise of the design as named checks: pure functions from evidence to violations."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from inspect import getdoc

from shop.ledger import mails, money, stock
from shop.ledger.evidence import Evidence

Violation = str
Function = Callable[[Evidence], Iterator[Violation]]


@dataclass(frozen=True)
class Check:
    """One check: the number of its promise, its sentence, and the function that yields violations."""

    promise: int
    violations: Function

    @property
    def name(self) -> str:
        return self.violations.__name__.replace("_", "-")

    @property
    def sentence(self) -> str:
        return getdoc(self.violations) or ""


def every_order_has_ended(evidence: Evidence) -> Iterator[Violation]:
    """Every accepted checkout is paid or cancelled, or still within its deadline."""
    for order in evidence.orders:
        if order.status == "pending" and order.deadline < evidence.now:
            yield f"order {order.order_id} is pending past its deadline {order.deadline:%Y-%m-%d %H:%M:%S}"


def every_end_is_in_the_timeline(evidence: Evidence) -> Iterator[Violation]:
    """The timeline of a paid order has `order.paid`, that of a cancelled one `order.cancelled`."""
    for order in evidence.orders:
        for event in {"order.created"} | ({f"order.{order.status}"} - {"order.pending"}):
            if event not in order.timeline:
                yield f"order {order.order_id} is {order.status}, its timeline has no {event}"


def every_event_is_published(evidence: Evidence) -> Iterator[Violation]:
    """No outbox holds an event that the broker has not confirmed."""
    for service, count in evidence.outboxes.items():
        if count:
            yield f"{service} has {count} events in its outbox"


def every_message_is_handled(evidence: Evidence) -> Iterator[Violation]:
    """No queue holds a message, neither waiting nor dead."""
    for queue, count in evidence.queues.items():
        if count:
            yield f"{queue} holds {count} messages"


def guests_orders_move_to_their_account(evidence: Evidence) -> Iterator[Violation]:
    """Order has moved the orders of each guest to the account that auth knows for that guest."""
    for guest_id, account_id in evidence.logged_in.items():
        if (moved := evidence.moved.get(guest_id)) != account_id:
            yield f"guest {guest_id} is account {account_id} to auth, and {moved or 'nobody'} to order"


def every_call_has_its_outcome(evidence: Evidence) -> Iterator[Violation]:
    """Every remote call has a known outcome."""
    for service, count in evidence.intents.items():
        if count:
            yield f"{service} has {count} calls without an outcome"


def no_service_reaches_anothers_tables(evidence: Evidence) -> Iterator[Violation]:
    """No service's role may connect to another's database."""
    for trespasser in evidence.trespassers:
        yield f"{trespasser} may connect"


_BY_PROMISE: dict[int, tuple[Function, ...]] = {
    1: (
        every_order_has_ended,
        every_end_is_in_the_timeline,
    ),
    2: (
        money.nobody_is_charged_twice,
        money.a_paid_order_is_charged_its_total,
        money.a_free_order_has_no_payment,
        money.a_cancelled_order_costs_nothing,
        money.a_cart_is_ordered_once,
        money.a_bought_cart_is_empty,
        money.every_charge_has_its_order,
        money.every_refund_is_known,
        money.every_dispute_is_known,
        money.payment_knows_what_order_knows,
        money.every_return_is_refunded,
        mails.every_mail_is_sent_once,
        mails.every_shopper_is_mailed,
        mails.no_guest_is_mailed_for_nothing,
    ),
    3: (
        stock.stock_adds_up,
        stock.sold_is_what_was_paid,
        stock.holds_follow_their_orders,
        stock.no_order_waits_for_available_stock,
        stock.every_return_is_restocked_once,
    ),
    4: (
        every_event_is_published,
        every_message_is_handled,
        guests_orders_move_to_their_account,
        every_call_has_its_outcome,
    ),
    5: (no_service_reaches_anothers_tables,),
}
CHECKS = [Check(promise, function) for promise, functions in _BY_PROMISE.items() for function in functions]
