"""What the payment provider reports later or refuses: for each, what somebody has to do."""

from collections.abc import Iterator
from datetime import datetime
from textwrap import shorten

from chassis.saga.intents import OutcomePending
from contracts import format_amount
from payment.operations import LIST, MAX_REPEATS, is_request_refused, uuid_of
from shop.sagas.snapshot import Issue, OpenCall, Snapshot, nudge_command

ERROR_LENGTH = 120
_LOGS = "shop status; shop logs payment"
_REMEDIES = {
    "AuthenticationError": "give payment the right STRIPE_API_KEY",
    "PermissionError": "give the key this permission, or enable the account, in the provider's dashboard",
}
_BAD_REQUEST = "fix the request, or the account's settings; the provider's request log shows it"


def refunds_came_back(snapshot: Snapshot, _: datetime) -> Iterator[Issue]:
    for one in snapshot.bounced:
        order = snapshot.orders.get(one.order_id)
        amount = format_amount(one.amount, order.currency) if order else f"{one.amount} minor units"
        settle = f"POST /v1/orders/{one.order_id}/refunds/{one.refund_id}/settle marks it settled"
        means = f"a refund of {amount} failed later ({one.code or 'unknown'}), the shopper does not have it: "
        if one.refused < MAX_REPEATS:
            means += f"pay it another way, or have it made again ({one.refused} of {MAX_REPEATS} times)"
            means += f"; {settle}"
            yield Issue.to_nudge("refund-came-back", one.order_id, one.since, means)
        else:
            means += f"it was made again {MAX_REPEATS} times, pay it another way; {settle}"
            following = f"shop saga show {one.order_id}"
            yield Issue("refund-came-back", one.order_id, one.since, means, following)


def disputed(snapshot: Snapshot, _: datetime) -> Iterator[Issue]:
    for one in snapshot.disputes:
        due = f" by {one.due_by:%d %b %H:%M} UTC" if one.due_by else ""
        means = f"the shopper's bank asks for {format_amount(one.amount, one.currency)} ({one.reason})"
        means += f": answer {one.provider_id} in the provider's dashboard{due}"
        yield Issue("disputed", one.order_id, one.noted_at, means, f"shop saga show {one.order_id}")


def stray_payments(snapshot: Snapshot, _: datetime) -> Iterator[Issue]:
    for one in snapshot.strays:
        means = (
            f"the provider has {one.amount} {one.currency} (in its own units) in {one.payment_id}, which"
            " belongs to no order here: find out whose it is, or refund it in the provider's dashboard"
        )
        yield Issue("stray-payment", uuid_of(one.order_id), one.created_at, means, "shop ledger check")


def unknown_outcomes(snapshot: Snapshot, before: datetime) -> Iterator[Issue]:
    for call in snapshot.calls:
        if call.since < before and call.service == "payment" and not _is_pending(call):
            if call.kind == LIST:
                # Belongs to no order, and nothing waits for it: the next list has the same.
                means = f"the provider's lists cannot be read{tried(call)}"
                yield Issue("list-unread", None, call.since, means, _LOGS)
                continue
            means = f"the outcome of {call.kind} at the provider is unknown{tried(call)}"
            following = f"shop logs payment; {nudge_command(call.order_id)}"  # which retries the call at once
            yield Issue("outcome-unknown", call.order_id, call.since, means, following)


def requests_refused(snapshot: Snapshot, _: datetime) -> Iterator[Issue]:
    """One issue for all calls: one thing has to be fixed, and it is no order's."""
    refused = [call for call in snapshot.calls if is_request_refused(call.error)]
    if refused:
        why = (refused[-1].error or "").partition(": ")[2]
        remedy = next((what for error, what in _REMEDIES.items() if why.startswith(error)), _BAD_REQUEST)
        means = f"the provider rejects our requests, {len(refused)} so far, not because of a card: {remedy}: "
        means += shorten(why, ERROR_LENGTH, placeholder=" …")
        yield Issue("request-refused", None, min(call.since for call in refused), means, _LOGS)


def _is_pending(call: OpenCall) -> bool:
    """The provider answered that the shopper has to act first."""
    return (call.error or "").startswith(f"{OutcomePending.__name__}: ")


def tried(call: OpenCall) -> str:
    if not call.attempts:
        return ": not tried yet"
    return f" after {call.attempts} attempts: {shorten(call.error or '', ERROR_LENGTH, placeholder=' …')}"
