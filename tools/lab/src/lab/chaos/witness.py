"""What the load was answered, and what of it the shop must be able to show."""

from collections import Counter, defaultdict
from collections.abc import Iterator

from lab.chaos.memory import Account, AtProvider, Checkout, GoesBack, Memory
from payment.operations import dispute_id_of, refund_id_of
from shop.ledger import Evidence
from shop.ledger.evidence import OrderSeen, ReturnSeen

Finding = str
TOTAL_CHANGED = "409 /problems/total-changed"


def lost(memory: Memory, seen: Evidence) -> Iterator[Finding]:
    """What a shopper, staff or the provider was promised and the shop does not have, and what never was
    answered."""
    known = {order.order_id: order for order in seen.orders}
    for checkout in memory.checkouts:
        if not checkout.is_answered:
            yield f"the checkout {checkout.key} was never answered"
        for order_id in checkout.order_ids - known.keys():
            yield f"order {order_id} was accepted, the shop does not know it"
        if checkout.ordered_before is not None and checkout.ordered_before not in known:
            yield f"order {checkout.ordered_before} was told of, the shop does not know it"
    for account in memory.accounts:
        yield from _lost_by_login(account, memory.checkouts, known)
    for one in memory.going_back:
        yield from _lost_on_its_way_back(one, known)
    for done in memory.at_provider:
        yield from _lost_at_the_provider(done, known, seen)


def _lost_by_login(
    account: Account, checkouts: list[Checkout], known: dict[str, OrderSeen]
) -> Iterator[Finding]:
    """Its orders, and the cart unless one of them has emptied it, are the account's."""
    if account.orders is None or account.cart is None:
        yield f"{account.email} has logged in, and was never shown orders and cart"
        return
    mine = [one for one in checkouts if one.token == account.guest_token]
    placed = {order_id for one in mine for order_id in one.order_ids}
    for order_id in sorted(placed - account.orders):
        yield f"order {order_id} was placed by the guest {account.email}, whose account does not see it"
    was_paid = any("order.paid" in known[order_id].told for order_id in placed & known.keys())
    for checkout in mine[:1]:
        if not was_paid and account.cart != checkout.lines:
            yield f"the cart of {account.email} had {checkout.lines}, none was bought, and has {account.cart}"


def _lost_on_its_way_back(one: GoesBack, known: dict[str, OrderSeen]) -> Iterator[Finding]:
    if not one.is_answered:
        yield f"the {one.by} {one.key} of order {one.order_id} was never answered"
    elif one.by == "return" and one.return_ids and not one.received:
        yield f"the {one.by} {one.key} of order {one.order_id} was never received: nobody answers"
    for return_id in sorted(one.return_ids):
        if _return(known.get(one.order_id), return_id) is None:
            yield f"return {return_id} was promised, order {one.order_id} does not have it"


def _lost_at_the_provider(done: AtProvider, known: dict[str, OrderSeen], seen: Evidence) -> Iterator[Finding]:
    order = known.get(done.order_id)
    if order is None:
        return  # it is lost altogether
    what = f"order {done.order_id}: the {done.what} {done.id} at the provider"
    if done.what == "dispute":
        at_provider = {one.id: one.status for charge in seen.charges for one in charge.disputes}
        shown = order.disputes.get(str(dispute_id_of(done.id)))
        if shown is None or shown != at_provider.get(done.id):
            yield f"{what} is {at_provider.get(done.id)}, and shown as {shown}"
        return
    refunds = {refund.id: refund for charge in seen.charges for refund in charge.refunds}
    if done.id not in refunds:
        yield f"{what} is not in the provider's list"
        return
    shop_id = str(refund_id_of(refunds[done.id]))
    if done.what == "failure" and not any(one.refund_id == shop_id and one.failed for one in order.late):
        yield f"{what} is not shown"
    back = _return(order, shop_id)
    if done.what == "refund" and (back is None or not back.refunded):
        yield f"{what} is not shown"


def doubled(memory: Memory, seen: Evidence) -> Iterator[Finding]:
    """Two orders of one checkout, or of one cart in two tabs; an order that no shopper was ever told of; the
    same of returns and refunds."""
    told: Counter[str] = Counter()
    for checkout in memory.checkouts:
        told.update(checkout.order_ids)
        if len(checkout.order_ids) > 1:
            yield f"the checkout {checkout.key} became the orders {', '.join(sorted(checkout.order_ids))}"
    for order in seen.orders:
        if not told[order.order_id]:
            yield f"order {order.order_id} belongs to no checkout that was answered"
        elif told[order.order_id] > 1:
            yield f"order {order.order_id} was the answer to {told[order.order_id]} checkouts"
    yield from _bought_in_two_tabs(memory.checkouts, seen)
    yield from _given_back_twice(memory.going_back, seen)


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


def _given_back_twice(going_back: list[GoesBack], seen: Evidence) -> Iterator[Finding]:
    told = {return_id for one in going_back for return_id in one.return_ids}
    for one in going_back:
        if len(one.return_ids) > 1:
            yield f"the {one.by} {one.key} became {', '.join(sorted(one.return_ids))}"
    for order in seen.orders:
        for back in order.returns:
            if back.by != "provider" and back.return_id not in told:
                yield f"order {order.order_id} has the {back.by} {back.return_id}, which nobody was told of"


def stuck(memory: Memory, seen: Evidence) -> Iterator[Finding]:
    """What has not ended, though everything has been well for long."""
    known = {order.order_id: order for order in seen.orders}
    for order in seen.orders:
        if order.status == "pending":
            yield f"order {order.order_id} is still pending"
    for one in memory.going_back:
        order_of_it = known.get(one.order_id)
        for back in filter(None, (_return(order_of_it, return_id) for return_id in one.return_ids)):
            if one.is_due and back.lines and not back.restocked:
                yield f"return {back.return_id} of order {one.order_id} is not restocked"
            if one.is_due and back.amount and not back.refunded:
                yield f"return {back.return_id} of order {one.order_id} is not refunded"


def wrong(memory: Memory, seen: Evidence) -> Iterator[Finding]:
    """What came out otherwise than somebody was told, or has agreed to."""
    known = {order.order_id: order for order in seen.orders}
    for checkout in memory.checkouts:
        if checkout.refused == TOTAL_CHANGED and _was_as_seen(checkout):
            yield f"the checkout {checkout.key} was refused, and nothing had changed"
        for order in filter(None, map(known.get, checkout.order_ids)):
            yield from _otherwise(checkout, order)
    for account in memory.accounts:
        for order_id in sorted(account.guests_orders):
            yield f"order {order_id} is {account.email}'s, and the guest's token still lists it"
    for one in memory.going_back:
        yield from _otherwise_given_back(one, known.get(one.order_id))


def _otherwise(checkout: Checkout, order: OrderSeen) -> Iterator[Finding]:
    if checkout.cancelled_by_shopper and order.status == "paid":
        yield f"order {order.order_id} was cancelled by its shopper and is paid"
    if checkout.fulfilled and order.status == "cancelled":
        yield f"order {order.order_id} has left, and is cancelled"
    if checkout.decision in ("fail", "leave") and order.total and "order.paid" in order.told:
        yield f"order {order.order_id} was paid, and its shopper has not confirmed it"
    expected = checkout.more.get("expected_total")
    if expected is not None and order.total > expected["amount"]:
        yield f"order {order.order_id} comes to {order.total}, its shopper agreed to {expected['amount']}"


def _was_as_seen(checkout: Checkout) -> bool:
    expected = checkout.more.get("expected_total")
    return expected is None or expected["amount"] == checkout.seen_total


def _otherwise_given_back(one: GoesBack, order: OrderSeen | None) -> Iterator[Finding]:
    """Nothing is asked for that may be refused."""
    if one.refused is not None:
        yield f"the {one.by} {one.key} of order {one.order_id} was refused: {one.refused}"
    for back in filter(None, (_return(order, return_id) for return_id in one.return_ids)):
        what = f"return {back.return_id} of order {one.order_id}"
        if one.amount is not None and back.amount != one.amount:
            yield f"{what} comes to {back.amount}, and {one.amount} was promised"
        if one.is_due and not back.is_due:
            yield f"{what} was said to be received, and is not"
        wanted = {line["sku"]: line["quantity"] for line in one.body.get("lines", [])}
        if one.by == "return" and back.lines != wanted:
            yield f"{what} is of {dict(back.lines)}, and {wanted} was sent back"


def _return(order: OrderSeen | None, return_id: str) -> ReturnSeen | None:
    return next((one for one in order.returns if one.return_id == return_id), None) if order else None
