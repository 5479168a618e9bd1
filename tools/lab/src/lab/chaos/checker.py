"""The checker: what the shop promised in its responses, compared with what it has in the end."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping

from lab.chaos.history import Account, Checkout, History, ProviderAction, ReturnRequest
from payment.operations import dispute_id_of, refund_id_of
from shop.ledger import Evidence
from shop.ledger.evidence import OrderRecord, ReturnRecord

TOTAL_CHANGED = "409 /problems/total-changed"
Orders = Mapping[str, OrderRecord]  # by their ids


def violations(history: History, evidence: Evidence) -> dict[str, list[str]]:
    """What is lost, doubled, stuck or wrong, one sentence each."""
    checks = {"lost": lost, "doubled": doubled, "stuck": stuck, "wrong": wrong}
    return {name: list(check(history, evidence)) for name, check in checks.items()}


def lost(history: History, evidence: Evidence) -> Iterator[str]:
    """What shoppers, staff or the provider were promised and the shop does not have, and requests that were
    never answered."""
    known = {order.order_id: order for order in evidence.orders}
    for checkout in history.checkouts:
        if not checkout.is_answered:
            yield f"the checkout {checkout.key} was never answered"
        for order_id in checkout.order_ids - known.keys():
            yield f"order {order_id} was accepted, the shop does not have it"
        if checkout.ordered_before is not None and checkout.ordered_before not in known:
            yield f"order {checkout.ordered_before} was linked to, the shop does not have it"
    for account in history.accounts:
        yield from _lost_by_log_in(account, history.checkouts, known)
    for one in history.returns:
        yield from _lost_return(one, known)
    for action in history.provider_actions:
        yield from _lost_at_the_provider(action, known, evidence)


def _lost_by_log_in(account: Account, checkouts: list[Checkout], known: Orders) -> Iterator[str]:
    """The guest's orders are the account's, and so is the cart unless an order has emptied it."""
    if account.orders is None or account.cart is None:
        yield f"{account.email} has logged in, and never got its orders and cart"
        return
    mine = [one for one in checkouts if one.token == account.guest_token]
    placed = {order_id for one in mine for order_id in one.order_ids}
    for order_id in sorted(placed - account.orders):
        yield f"order {order_id} was placed by the guest {account.email}, whose account does not see it"
    was_paid = any("order.paid" in known[order_id].timeline for order_id in placed & known.keys())
    for checkout in mine[:1]:
        if not was_paid and account.cart != checkout.lines:
            yield f"the cart of {account.email} had {checkout.lines}, none was bought, and has {account.cart}"


def _lost_return(one: ReturnRequest, known: Orders) -> Iterator[str]:
    if not one.is_answered:
        yield f"the {one.by} {one.key} of order {one.order_id} was never answered"
    elif one.by == "return" and one.return_ids and not one.received:
        yield f"the {one.by} {one.key} of order {one.order_id} was not answered when received"
    for return_id in sorted(one.return_ids - {back.return_id for back in _returns(one, known)}):
        yield f"return {return_id} was accepted, order {one.order_id} does not have it"


def _lost_at_the_provider(action: ProviderAction, known: Orders, evidence: Evidence) -> Iterator[str]:
    order = known.get(action.order_id)
    if order is None:
        return  # the order itself is lost
    what = f"order {action.order_id}: the {action.what} {action.id} at the provider"
    if action.what == "dispute":
        at_provider = {one.id: one.status for charge in evidence.charges for one in charge.disputes}
        shown = order.disputes.get(str(dispute_id_of(action.id)))
        if shown is None or shown != at_provider.get(action.id):
            yield f"{what} is {at_provider.get(action.id)}, and shown as {shown}"
        return
    refunds = {refund.id: refund for charge in evidence.charges for refund in charge.refunds}
    if action.id not in refunds:
        yield f"{what} is not in the provider's list"
        return
    shop_id = str(refund_id_of(refunds[action.id]))
    if action.what == "failure" and not any(one.refund_id == shop_id and one.failed for one in order.late):
        yield f"{what} is not shown"
    if action.what == "refund" and not any(b.refunded for b in order.returns if b.return_id == shop_id):
        yield f"{what} is not shown"


def doubled(history: History, evidence: Evidence) -> Iterator[str]:
    """Two orders of one checkout, or of one cart in two tabs; an order that was no response to any checkout;
    the same of returns and refunds."""
    answered: Counter[str] = Counter()
    for checkout in history.checkouts:
        answered.update(checkout.order_ids)
        if len(checkout.order_ids) > 1:
            yield f"the checkout {checkout.key} became the orders {', '.join(sorted(checkout.order_ids))}"
    for order in evidence.orders:
        if not answered[order.order_id]:
            yield f"order {order.order_id} belongs to no checkout that was answered"
        elif answered[order.order_id] > 1:
            yield f"order {order.order_id} was the answer to {answered[order.order_id]} checkouts"
    yield from _ordered_in_two_tabs(history.checkouts, evidence)
    yield from _returned_twice(history.returns, evidence)


def _ordered_in_two_tabs(checkouts: list[Checkout], evidence: Evidence) -> Iterator[str]:
    """Each shopper fills one cart, once."""
    kept = {order.order_id for order in evidence.orders if order.status != "cancelled"}
    tabs: defaultdict[str, list[Checkout]] = defaultdict(list)
    for checkout in checkouts:
        tabs[checkout.token].append(checkout)
    for of_one in tabs.values():
        bought = [checkout.key for checkout in of_one if checkout.order_ids & kept]
        if len(bought) > 1:
            yield f"the checkouts {', '.join(bought)} of one cart all became orders"


def _returned_twice(returns: list[ReturnRequest], evidence: Evidence) -> Iterator[str]:
    answered = {return_id for one in returns for return_id in one.return_ids}
    for one in returns:
        if len(one.return_ids) > 1:
            yield f"the {one.by} {one.key} became {', '.join(sorted(one.return_ids))}"
    for order in evidence.orders:
        for back in order.returns:
            if back.by != "provider" and back.return_id not in answered:
                yield f"order {order.order_id} has the {back.by} {back.return_id}, which nobody requested"


def stuck(history: History, evidence: Evidence) -> Iterator[str]:
    """What has not ended long after the last fault."""
    known = {order.order_id: order for order in evidence.orders}
    for order in evidence.orders:
        if order.status == "pending":
            yield f"order {order.order_id} is still pending"
    for one in history.returns:
        for back in _returns(one, known):
            if one.is_due and back.lines and not back.restocked:
                yield f"return {back.return_id} of order {one.order_id} is not restocked"
            if one.is_due and back.amount and not back.refunded:
                yield f"return {back.return_id} of order {one.order_id} is not refunded"


def wrong(history: History, evidence: Evidence) -> Iterator[str]:
    """What came out otherwise than the shop's responses say, or than the shopper agreed to."""
    known = {order.order_id: order for order in evidence.orders}
    for checkout in history.checkouts:
        agreed = checkout.more.get("expected_total")
        was_as_shown = agreed is None or agreed["amount"] == checkout.shown_total
        if checkout.refused == TOTAL_CHANGED and was_as_shown:
            yield f"the checkout {checkout.key} was refused, and nothing had changed"
        for order in filter(None, map(known.get, checkout.order_ids)):
            yield from _wrong_order(checkout, order)
    for account in history.accounts:
        for order_id in sorted(account.guests_orders):
            yield f"order {order_id} is {account.email}'s, and the guest's token still lists it"
    for one in history.returns:
        yield from _wrong_return(one, known)


def _wrong_order(checkout: Checkout, order: OrderRecord) -> Iterator[str]:
    if checkout.cancelled_by_shopper and order.status == "paid":
        yield f"order {order.order_id} was cancelled by its shopper and is paid"
    if checkout.fulfilled and order.status == "cancelled":
        yield f"order {order.order_id} was fulfilled, and is cancelled"
    if checkout.decision in ("fail", "leave") and order.total and "order.paid" in order.timeline:
        yield f"order {order.order_id} was paid, and its shopper has not confirmed it"
    expected = checkout.more.get("expected_total")
    if expected is not None and order.total > expected["amount"]:
        yield f"order {order.order_id} comes to {order.total}, its shopper agreed to {expected['amount']}"


def _wrong_return(one: ReturnRequest, known: Orders) -> Iterator[str]:
    """The load requests nothing that may be refused."""
    if one.refused is not None:
        yield f"the {one.by} {one.key} of order {one.order_id} was refused: {one.refused}"
    for back in _returns(one, known):
        what = f"return {back.return_id} of order {one.order_id}"
        if one.amount is not None and back.amount != one.amount:
            yield f"{what} comes to {back.amount}, and {one.amount} was promised"
        if one.is_due and not back.is_due:
            yield f"{what} was received by staff, and is not due"
        wanted = {line["sku"]: line["quantity"] for line in one.body.get("lines", [])}
        if one.by == "return" and back.lines != wanted:
            yield f"{what} is of {dict(back.lines)}, and {wanted} was requested"


def _returns(one: ReturnRequest, known: Orders) -> list[ReturnRecord]:
    """What the shop has of those that it has accepted."""
    order = known.get(one.order_id)
    return [back for back in order.returns if back.return_id in one.return_ids] if order else []
