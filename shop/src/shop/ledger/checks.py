"""Each promise of the design as named checks: pure functions from evidence to violations."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from inspect import getdoc
from uuid import UUID

from contracts import CURRENCIES
from notification.operations import UNDELIVERABLE, refund_failure_id
from payment.operations import refund_id_of
from shop.ledger.evidence import ChargeRecord, Evidence, OrderRecord

Violation = str
CheckFunction = Callable[[Evidence], Iterator[Violation]]


@dataclass(frozen=True)
class Check:
    """One check: the number of its promise, its sentence, and the function that yields violations."""

    promise: int
    violations: CheckFunction

    @property
    def name(self) -> str:
        return self.violations.__name__.replace("_", "-")

    @property
    def sentence(self) -> str:
        return getdoc(self.violations) or ""


CHECKS: list[Check] = []


def check(promise: int) -> Callable[[CheckFunction], CheckFunction]:
    def register(violations: CheckFunction) -> CheckFunction:
        CHECKS.append(Check(promise, violations))
        return violations

    return register


@check(1)
def every_order_has_ended(evidence: Evidence) -> Iterator[Violation]:
    """Every accepted checkout is paid or cancelled, or still within its deadline."""
    for order in evidence.orders:
        if order.status == "pending" and order.deadline < evidence.now:
            yield f"order {order.order_id} is pending past its deadline {order.deadline:%Y-%m-%d %H:%M:%S}"


@check(1)
def every_end_is_in_the_timeline(evidence: Evidence) -> Iterator[Violation]:
    """The timeline of a paid order has `order.paid`, that of a cancelled one `order.cancelled`."""
    for order in evidence.orders:
        for event in {"order.created"} | ({f"order.{order.status}"} - {"order.pending"}):
            if event not in order.timeline:
                yield f"order {order.order_id} is {order.status}, its timeline has no {event}"


@check(2)
def nobody_is_charged_twice(evidence: Evidence) -> Iterator[Violation]:
    """The provider has at most one payment for an order, and never took more than it held."""
    counted = Counter(charge.order_id for charge in evidence.charges if charge.captured or charge.authorized)
    for order_id, count in counted.items():
        if count > 1:
            yield f"order {order_id} has {count} payments at the provider"
    for charge in evidence.charges:
        if charge.captured > charge.authorized:
            yield f"payment {charge.payment_id} held {charge.authorized} and took {charge.captured}"


@check(2)
def a_paid_order_is_charged_its_total(evidence: Evidence) -> Iterator[Violation]:
    """For every paid order the provider keeps exactly its total less what went back in parts, and did not
    come back; of a free one it took nothing."""
    charges = _by_order(evidence)
    for order in _orders(evidence, "paid"):
        kept = [(c.captured - c.refunded, c.currency) for c in charges[order.order_id] if c.captured]
        if kept != ([(_in_provider_units(order), order.currency)] if order.total else []):
            yield f"order {order.order_id} is paid: {order.total} {order.currency}, charged {kept}"


@check(2)
def a_free_order_has_no_payment(evidence: Evidence) -> Iterator[Violation]:
    """The provider has no payment for an order that costs nothing, not even one that it declined."""
    free = {order.order_id for order in evidence.orders if not order.total}
    for charge in evidence.charges:
        if charge.order_id in free:
            yield f"order {charge.order_id} is free, and the provider has payment {charge.payment_id} for it"


def _in_provider_units(order: OrderRecord) -> int:
    """Charges are as the provider counts; an order of before the list of currencies was charged as it was."""
    return _units(order, order.total - order.refunded + order.owed)


def _units(order: OrderRecord, amount: int) -> int:
    currency = CURRENCIES.get(order.currency)
    chargeable = currency is not None and currency.can_be_charged(amount)
    return currency.to_provider(amount) if currency and chargeable else amount


@check(2)
def a_cancelled_order_costs_nothing(evidence: Evidence) -> Iterator[Violation]:
    """For every cancelled order nothing is held at the provider or may still be, and all that was taken went
    back, unless it came back from there."""
    charges = _by_order(evidence)
    for order in _orders(evidence, "cancelled"):
        for charge in charges[order.order_id]:
            if charge.status == "requires_capture":
                yield f"order {order.order_id} is cancelled, payment {charge.payment_id} still holds money"
            if charge.status == "requires_action":
                yield f"order {order.order_id} is cancelled, payment {charge.payment_id} may be confirmed"
            if charge.captured and charge.captured - charge.refunded != _units(order, order.kept):
                yield (
                    f"order {order.order_id} is cancelled, "
                    f"{charge.captured - charge.refunded} of payment {charge.payment_id} was kept"
                )


@check(2)
def a_cart_is_ordered_once(evidence: Evidence) -> Iterator[Violation]:
    """No cart has two orders that are not cancelled, nor two pending ones of what it was merged from."""
    kept = [order for order in evidence.orders if order.status != "cancelled"]
    pending = _orders(evidence, "pending")
    yield from _shared([(order.order_id, order.cart_ids[:1]) for order in kept])
    yield from _shared([(order.order_id, order.cart_ids) for order in pending])


def _shared(orders: Iterable[tuple[str, Sequence[str]]]) -> Iterator[Violation]:
    by_cart: defaultdict[str, list[str]] = defaultdict(list)
    for order_id, cart_ids in orders:
        for cart_id in cart_ids:
            by_cart[cart_id].append(order_id)
    for cart_id, order_ids in by_cart.items():
        if len(order_ids) > 1:
            yield f"cart {cart_id} has the orders {', '.join(sorted(order_ids))}"


@check(2)
def a_bought_cart_is_empty(evidence: Evidence) -> Iterator[Violation]:
    """No cart that holds something is one whose order is paid, unless that was taken out of it."""
    carts = {cart_id: cart for cart in evidence.carts for cart_id in cart.ids}
    for order in _orders(evidence, "paid"):
        for cart in {carts[cart_id] for cart_id in order.cart_ids if cart_id in carts}:
            if order.order_id not in cart.bought:
                yield f"order {order.order_id} is paid and still in the cart of {cart.owner_id}"


@check(2)
def every_charge_has_its_order(evidence: Evidence) -> Iterator[Violation]:
    """Every payment at the provider belongs to an order, and the provider's refunds add up."""
    known = {order.order_id for order in evidence.orders}
    for charge in evidence.charges:
        if charge.order_id not in known:
            yield f"payment {charge.payment_id} is for order {charge.order_id}, which does not exist"
    if not evidence.balances:
        yield "the provider's refunds do not add up"


_CAME_BACK = {"bounced", "covered"}


@check(2)
def every_refund_is_known(evidence: Evidence) -> Iterator[Violation]:
    """Payment knows of every refund that somebody has made at the provider, and of every one that failed
    after it had been made."""
    for charge in evidence.charges:
        for refund in charge.refunds if charge.order_id else ():
            state = evidence.refunds.get(str(refund_id_of(refund)))
            what = f"order {charge.order_id}: refund {refund.id}"
            if refund.status == "succeeded" and refund.order_id is None and state is None:
                yield f"{what} was made at the provider, and payment does not know of it"
            if refund.status == "failed" and state == "refunded":
                yield f"{what} failed, and payment has it refunded"


@check(2)
def every_dispute_is_known(evidence: Evidence) -> Iterator[Violation]:
    """Payment knows of every dispute at the provider, and its status."""
    for charge in evidence.charges:
        for dispute in charge.disputes:
            known = evidence.disputes.get(dispute.id)
            if known != dispute.status:
                yield (
                    f"order {charge.order_id} is disputed ({dispute.id}): {dispute.status}, payment has it "
                    f"{known or 'nowhere'}"
                )


@check(2)
def payment_knows_what_order_knows(evidence: Evidence) -> Iterator[Violation]:
    """Payment has captured what order calls paid, and given back or never taken what it calls cancelled."""
    for order in evidence.orders:
        state = evidence.payments.get(order.order_id, "nothing")
        if order.status == "paid" and state != "captured":
            yield f"order {order.order_id} is paid, payment has it {state}"
        given_back = _GIVEN_BACK | ({"refund_failed"} if order.owed else set())
        if order.status == "cancelled" and state not in given_back:
            yield f"order {order.order_id} is cancelled, payment has it {state}"


_HOLDS = {"payment.authorized", "payment.voided", "order.paid"}
_GIVEN_BACK = {"voided", "refunded", "declined", "refused"}


@check(2)
def every_return_is_refunded(evidence: Evidence) -> Iterator[Violation]:
    """What goes back of a paid order is refunded, unless all of its money went back otherwise or was lost to
    the shopper's bank, and payment has it as order has. That it is so once shows in what is kept."""
    charges = _by_order(evidence)
    for order in _orders(evidence, "paid"):
        lost = sum(charge.lost for charge in charges[order.order_id])
        is_kept = _units(order, order.total - order.refunded) > lost
        late = {one.refund_id for one in order.late if one.failed}
        for one in order.returns:
            state = evidence.refunds.get(one.return_id, "nothing")
            what = f"order {order.order_id}: return {one.return_id}"
            if one.is_due and one.amount and not one.refunded and is_kept:
                yield f"{what} is not refunded, payment has it {state}"
            if one.refunded and state not in (_CAME_BACK if one.return_id in late else {"refunded"}):
                yield f"{what} is refunded, payment has it {state}"


@check(2)
def every_mail_is_sent_once(evidence: Evidence) -> Iterator[Violation]:
    """No order has two receipts, cancellations or mails about one refund, unless an operator had one sent
    again."""
    resends = {(kept.subject_id, kept.reason): kept.resends for kept in evidence.kept}
    counted = Counter((mail.subject, mail.reason) for mail in evidence.mails if mail.subject and mail.reason)
    for (subject, reason), count in counted.items():
        if count > 1 + resends.get((subject or "", reason or ""), 0):
            yield f"{subject} was sent its {reason} {count} times"


@check(2)
def every_shopper_is_mailed(evidence: Evidence) -> Iterator[Violation]:
    """A paid order has its receipt, a cancelled one its cancellation, each refund its mail, or the mail is
    listed as undeliverable."""
    charges, known = _by_order(evidence), set(_accounted_for(evidence))
    for order in evidence.orders:
        for subject, reason in _owed(order, charges[order.order_id]):
            if (subject, reason) not in known:
                yield f"order {order.order_id} is {order.status}, the {reason} for {subject} was never sent"


@check(2)
def no_guest_is_mailed_for_nothing(evidence: Evidence) -> Iterator[Violation]:
    """A guest's order that neither held money nor was paid gets no mail: its address is unverified."""
    charges = _by_order(evidence)
    mailed = {mail.order_id for mail in evidence.mails}
    for order in _orders(evidence, "cancelled"):
        if order.order_id in mailed and not any(_owed(order, charges[order.order_id])):
            yield f"order {order.order_id} never held money, and its guest was sent a mail"


def undeliverable(evidence: Evidence) -> Iterator[Violation]:
    """Mails that an operator can send again: they fail no check and are listed separately."""
    for kept in evidence.kept:
        if kept.fate in UNDELIVERABLE:
            yield f"{kept.reason}:{kept.subject_id} is {kept.fate.replace('_', ' ')}: {kept.why}"


def _owed(order: OrderRecord, charges: Sequence[ChargeRecord]) -> Iterator[tuple[str, str]]:
    """The subject and the reason of each mail."""
    if order.status == "paid":
        yield order.order_id, "receipt"
    if order.status == "cancelled" and (not order.guest or _held_money(order, charges)):
        yield order.order_id, "cancellation"
    if order.status != "paid" and order.refunded < order.total and any(charge.refunded for charge in charges):
        yield order.order_id, "refund"
    yield from ((one.return_id, "refund") for one in order.returns if one.refunded and one.amount)
    for late in order.late:
        yield str(refund_failure_id(UUID(late.refund_id))) if late.failed else late.refund_id, "refund"


def _held_money(order: OrderRecord, charges: Sequence[ChargeRecord]) -> bool:
    """Whether it ever did: the provider shows only current holds, not a voided one."""
    return any(charge.authorized for charge in charges) or bool(_HOLDS & order.timeline)


def _accounted_for(evidence: Evidence) -> Iterator[tuple[str | None, str | None]]:
    """Mails that arrived, that wait for the hour to pass, that are listed as undeliverable, or that had no
    address to go to."""
    yield from ((mail.subject, mail.reason) for mail in evidence.mails)
    yield from evidence.put_off
    yield from ((kept.subject_id, kept.reason) for kept in evidence.kept if kept.fate in UNDELIVERABLE)
    for order_id, fates in evidence.fates.items():
        yield from ((order_id, reason) for reason, fate in fates.items() if fate == "no_contact")


@check(3)
def stock_adds_up(evidence: Evidence) -> Iterator[Violation]:
    """On hand, reserved and sold make up what was received, and none is negative."""
    for s in evidence.stock:
        if s.on_hand + s.reserved + s.sold != s.received:
            yield f"{s.sku}: {s.on_hand} on hand, {s.reserved} reserved, {s.sold} sold of {s.received}"
        if min(s.on_hand, s.reserved, s.sold) < 0:
            yield f"{s.sku}: a negative quantity ({s.on_hand}, {s.reserved}, {s.sold})"


@check(3)
def sold_is_what_was_paid(evidence: Evidence) -> Iterator[Violation]:
    """What product has sold is what paid orders bought less what came back, what it has reserved is what
    pending ones hold."""
    sold, reserved = _wanted(evidence, "paid", {"sold"}), _wanted(evidence, "pending", {"reserved"})
    for s in evidence.stock:
        if s.sold != sold[s.sku]:
            yield f"{s.sku}: {s.sold} sold, paid orders bought {sold[s.sku]}"
        if s.reserved != reserved[s.sku]:
            yield f"{s.sku}: {s.reserved} reserved, pending orders hold {reserved[s.sku]}"


@check(3)
def holds_follow_their_orders(evidence: Evidence) -> Iterator[Violation]:
    """The hold of a paid order is sold, that of a cancelled one is given back or was never made."""
    for order in evidence.orders:
        state = evidence.holds.get(order.order_id, "nothing")
        if order.status == "paid" and state != "sold":
            yield f"order {order.order_id} is paid, its stock is {state}"
        if order.status == "cancelled" and state not in _PUT_BACK:
            yield f"order {order.order_id} is cancelled, its stock is {state}"


@check(3)
def no_order_waits_for_available_stock(evidence: Evidence) -> Iterator[Violation]:
    """An order waits for stock only if other orders hold it, not if it is on hand or sold."""
    stock = {one.sku: one for one in evidence.stock}
    for order in _orders(evidence, "pending"):
        if evidence.holds.get(order.order_id) != "waiting":
            continue
        wanted = [(stock[sku], pieces) for sku, pieces in order.lines.items()]
        if all(pieces <= one.on_hand for one, pieces in wanted):
            yield f"order {order.order_id} waits for stock, and all of it is on hand"
        if any(pieces > one.on_hand + one.reserved for one, pieces in wanted):
            yield f"order {order.order_id} waits for stock, and it is sold"


@check(3)
def every_return_is_restocked_once(evidence: Evidence) -> Iterator[Violation]:
    """The goods of a return are on hand again once it was received, and nothing else is."""
    due = {one.return_id: one for order in evidence.orders for one in order.returns if one.is_due}
    for return_id, one in due.items():
        if dict(one.lines) != (back := dict(evidence.restocked.get(return_id, {}))):
            yield f"return {return_id}: {dict(one.lines)} came back, {back} was restocked"
        elif one.lines and not one.restocked:
            yield f"return {return_id} was restocked, and order does not know it"
    for return_id in evidence.restocked.keys() - due.keys():
        yield f"return {return_id} was restocked, and nothing came back"


_PUT_BACK = {"released", "restocked", "refused", "rejected"}


@check(4)
def every_event_is_published(evidence: Evidence) -> Iterator[Violation]:
    """No outbox holds an event that the broker has not confirmed."""
    for service, count in evidence.outboxes.items():
        if count:
            yield f"{service} has {count} events in its outbox"


@check(4)
def every_message_is_handled(evidence: Evidence) -> Iterator[Violation]:
    """No queue holds a message, neither waiting nor dead."""
    for queue, count in evidence.queues.items():
        if count:
            yield f"{queue} holds {count} messages"


@check(4)
def guests_orders_move_to_their_account(evidence: Evidence) -> Iterator[Violation]:
    """Order has moved the orders of each guest to the account that auth knows for that guest."""
    for guest_id, account_id in evidence.logged_in.items():
        if (moved := evidence.moved.get(guest_id)) != account_id:
            yield f"guest {guest_id} is account {account_id} to auth, and {moved or 'nobody'} to order"


@check(4)
def every_call_has_its_outcome(evidence: Evidence) -> Iterator[Violation]:
    """Every remote call has a known outcome."""
    for service, count in evidence.intents.items():
        if count:
            yield f"{service} has {count} calls without an outcome"


@check(5)
def no_service_reaches_anothers_tables(evidence: Evidence) -> Iterator[Violation]:
    """No service's role may connect to another's database."""
    for trespasser in evidence.trespassers:
        yield f"{trespasser} may connect"


def _orders(evidence: Evidence, status: str) -> list[OrderRecord]:
    return [order for order in evidence.orders if order.status == status]


def _by_order(evidence: Evidence) -> defaultdict[str, list[ChargeRecord]]:
    charges: defaultdict[str, list[ChargeRecord]] = defaultdict(list)
    for charge in evidence.charges:
        charges[charge.order_id or ""].append(charge)
    return charges


def _wanted(evidence: Evidence, status: str, holds: set[str]) -> Counter[str]:
    """Pieces by sku over the orders of that status whose hold is in one of those states."""
    pieces: Counter[str] = Counter()
    for order in _orders(evidence, status):
        if status == "paid" or evidence.holds.get(order.order_id) in holds:
            pieces.update(order.lines)
            for one in order.returns:
                pieces.subtract(one.lines if one.restocked else {})
    return pieces
