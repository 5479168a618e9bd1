"""What the payment provider tells later, or refuses altogether: for each, what somebody has to do."""

from collections.abc import Iterator
from datetime import datetime
from textwrap import shorten
from uuid import UUID

from contracts import format_amount
from payment.bounces import MAX_REPEATS
from payment.stripe_answers import RequestRefused
from shop.sagas.finding import Finding, nudge_command
from shop.sagas.seen import CallSeen, Seen

ERROR_LENGTH = 120
_LOOK = "shop status; shop logs payment"
_TO_MEND = {
    "AuthenticationError": "give payment the right STRIPE_API_KEY",
    "PermissionError": "let the key do this, or open the account, in the provider's dashboard",
}
_FORM = "mend what we send, or the account's settings; the provider's log of requests has it"


def refunds_came_back(seen: Seen, _: datetime) -> Iterator[Finding]:
    for one in seen.bounced:
        order = seen.orders.get(one.order_id)
        amount = format_amount(one.amount, order.currency) if order else f"{one.amount} minor units"
        settle = f"POST /v1/orders/{one.order_id}/refunds/{one.refund_id}/settle says that it is settled"
        means = f"a refund of {amount} came back ({one.code or 'unknown'}), the shopper does not have it: "
        if one.refused < MAX_REPEATS:
            means += (
                f"find another way with her, or have it made again ({one.refused} of {MAX_REPEATS} times)"
            )
            means += f"; {settle}"
            yield Finding("refund-came-back", one.order_id, one.since, means, nudge_command(one.order_id))
        else:
            means += f"it was made again often enough, find another way with her; {settle}"
            following = f"shop saga show {one.order_id}"
            yield Finding("refund-came-back", one.order_id, one.since, means, following)


def disputed(seen: Seen, _: datetime) -> Iterator[Finding]:
    for one in seen.disputes:
        due = f" by {one.due_by:%d %b %H:%M} UTC" if one.due_by else ""
        means = f"the shopper's bank asks for {format_amount(one.amount, one.currency)} ({one.reason})"
        means += f": answer {one.provider_id} in the provider's dashboard{due}"
        yield Finding("disputed", one.order_id, one.noted_at, means, f"shop saga show {one.order_id}")


def stray_payments(seen: Seen, _: datetime) -> Iterator[Finding]:
    for one in seen.strays:
        means = (
            f"the provider has {one.amount} {one.currency} (in its own units) by {one.payment_id}, of which "
        )
        means += "no order here knows: find out whose it is, or give it back in the provider's dashboard"
        yield Finding("stray-payment", _order(one.order_id), one.created_at, means, "shop ledger check")


def requests_refused(seen: Seen, _: datetime) -> Iterator[Finding]:
    """One for all of them: it is one thing that has to be mended, and no order's."""
    refused = [call for call in seen.calls if (call.error or "").startswith(f"{RequestRefused.__name__}: ")]
    if refused:
        why = (refused[-1].error or "").partition(": ")[2]
        mend = next((what for error, what in _TO_MEND.items() if why.startswith(error)), _FORM)
        means = f"the provider refuses our requests, {len(refused)} so far, and no card is to blame: {mend}: "
        means += shorten(why, ERROR_LENGTH, placeholder=" …")
        yield Finding("request-refused", None, min(call.since for call in refused), means, _LOOK)


def list_unread(call: CallSeen, tried: str) -> Iterator[Finding]:
    """No order's, and nothing waits for it: what it would have told is told later."""
    yield Finding("list-unread", None, call.since, f"the provider's lists cannot be read{tried}", _LOOK)


def _order(text: str | None) -> UUID | None:
    try:
        return UUID(text or "")
    except ValueError:
        return None
