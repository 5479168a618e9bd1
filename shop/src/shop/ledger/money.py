"""The checks of the second promise on money: no shopper is charged twice, or for what she does not get."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence

from contracts import CURRENCIES
from payment.operations import refund_id_of
from shop.ledger.evidence import Evidence, OrderRecord

_CAME_BACK = {"bounced", "covered"}
_GIVEN_BACK = {"voided", "refunded", "declined", "refused"}


def nobody_is_charged_twice(evidence: Evidence) -> Iterator[str]:
    """The provider has at most one payment for an order, and never took more than it held."""
    counted = Counter(charge.order_id for charge in evidence.charges if charge.captured or charge.authorized)
    for order_id, count in counted.items():
        if count > 1:
            yield f"order {order_id} has {count} payments at the provider"
    for charge in evidence.charges:
        if charge.captured > charge.authorized:
            yield f"payment {charge.payment_id} held {charge.authorized} and took {charge.captured}"


def a_paid_order_is_charged_its_total(evidence: Evidence) -> Iterator[str]:
    """For every paid order the provider keeps exactly its total less what went back in parts, and did not
    come back; of a free one it took nothing."""
    charges = evidence.charges_by_order
    for order in evidence.orders_of("paid"):
        kept = [(c.captured - c.refunded, c.currency) for c in charges[order.order_id] if c.captured]
        owed = _units(order, order.total - order.refunded + order.owed)
        if kept != ([(owed, order.currency)] if order.total else []):
            yield f"order {order.order_id} is paid: {order.total} {order.currency}, charged {kept}"


def a_free_order_has_no_payment(evidence: Evidence) -> Iterator[str]:
    """The provider has no payment for an order that costs nothing, not even one that it declined."""
    free = {order.order_id for order in evidence.orders if not order.total}
    for charge in evidence.charges:
        if charge.order_id in free:
            yield f"order {charge.order_id} is free, and the provider has payment {charge.payment_id} for it"


def a_cancelled_order_costs_nothing(evidence: Evidence) -> Iterator[str]:
    """For every cancelled order nothing is held at the provider or may still be, and all that was taken went
    back, unless it came back from there."""
    charges = evidence.charges_by_order
    for order in evidence.orders_of("cancelled"):
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


def a_cart_is_ordered_once(evidence: Evidence) -> Iterator[str]:
    """No cart has two orders that are not cancelled, nor two pending ones of what it was merged from."""
    kept = [order for order in evidence.orders if order.status != "cancelled"]
    pending = evidence.orders_of("pending")
    yield from _shared([(order.order_id, order.cart_ids[:1]) for order in kept])
    yield from _shared([(order.order_id, order.cart_ids) for order in pending])


def a_bought_cart_is_empty(evidence: Evidence) -> Iterator[str]:
    """No cart that holds something is one whose order is paid, unless that was taken out of it."""
    carts = {cart_id: cart for cart in evidence.carts for cart_id in cart.ids}
    for order in evidence.orders_of("paid"):
        for cart in {carts[cart_id] for cart_id in order.cart_ids if cart_id in carts}:
            if order.order_id not in cart.bought:
                yield f"order {order.order_id} is paid and still in the cart of {cart.owner_id}"


def every_charge_has_its_order(evidence: Evidence) -> Iterator[str]:
    """Every payment at the provider belongs to an order, and the provider's refunds add up."""
    known = {order.order_id for order in evidence.orders}
    for charge in evidence.charges:
        if charge.order_id not in known:
            yield f"payment {charge.payment_id} is for order {charge.order_id}, which does not exist"
    if not evidence.balances:
        yield "the provider's refunds do not add up"


def every_refund_is_known(evidence: Evidence) -> Iterator[str]:
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


def every_dispute_is_known(evidence: Evidence) -> Iterator[str]:
    """Payment knows of every dispute at the provider, and its status."""
    for charge in evidence.charges:
        for dispute in charge.disputes:
            known = evidence.disputes.get(dispute.id)
            if known != dispute.status:
                yield (
                    f"order {charge.order_id} is disputed ({dispute.id}): {dispute.status}, payment has it "
                    f"{known or 'nowhere'}"
                )


def payment_knows_what_order_knows(evidence: Evidence) -> Iterator[str]:
    """Payment has captured what order calls paid, and given back or never taken what it calls cancelled."""
    for order in evidence.orders:
        state = evidence.payments.get(order.order_id, "nothing")
        if order.status == "paid" and state != "captured":
            yield f"order {order.order_id} is paid, payment has it {state}"
        given_back = _GIVEN_BACK | ({"refund_failed"} if order.owed else set())
        if order.status == "cancelled" and state not in given_back:
            yield f"order {order.order_id} is cancelled, payment has it {state}"


def every_return_is_refunded(evidence: Evidence) -> Iterator[str]:
    """What goes back of a paid order is refunded, unless all of its money went back otherwise or was lost to
    the shopper's bank, and payment has it as order has. That it is so once shows in what is kept."""
    charges = evidence.charges_by_order
    for order in evidence.orders_of("paid"):
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


def _shared(orders: Iterable[tuple[str, Sequence[str]]]) -> Iterator[str]:
    by_cart: defaultdict[str, list[str]] = defaultdict(list)
    for order_id, cart_ids in orders:
        for cart_id in cart_ids:
            by_cart[cart_id].append(order_id)
    for cart_id, order_ids in by_cart.items():
        if len(order_ids) > 1:
            yield f"cart {cart_id} has the orders {', '.join(sorted(order_ids))}"


def _units(order: OrderRecord, amount: int) -> int:
    """As the provider counts; an order of before the list of currencies was charged as it was."""
    currency = CURRENCIES.get(order.currency)
    chargeable = currency is not None and currency.can_be_charged(amount)
    return currency.to_provider(amount) if currency and chargeable else amount
