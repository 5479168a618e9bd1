"""Once a day all payments, refunds and disputes at the provider are compared with the database, because
somebody may have changed them there and a webhook may have been lost.

Each page of the provider's lists is read by an intent, like any other call, and leads to the next page. It is
compared outside any transaction, and nearly always there is no difference. Payments that differ are looked
up; money that belongs to no order is recorded as a stray.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import structlog

from chassis.saga.tx import Intent
from payment import bounces, disputes
from payment.lookups import Found, FoundDispute, FoundRefund, Page, Stray, uuid_of
from payment.store import Known
from payment.stripe_requests import page_intent

log = structlog.get_logger()

# How far back each list is read: money is held for a week, a refund can fail for a month, a dispute can take
# months.
LISTS: Mapping[str, timedelta] = {
    "payment_intents": timedelta(days=8),
    "refunds": timedelta(days=35),
    "disputes": timedelta(days=200),
}

ProviderCall = Callable[[Intent], Awaitable[Any]]
Row = Mapping[Any, Any]


@dataclass(frozen=True)
class Compared:
    """The result of comparing a page: payments to look up, by order; new strays; strays that are settled."""

    name: str
    lookups: Mapping[UUID, str]
    strays: tuple[Stray, ...] = ()
    settled: tuple[str, ...] = ()
    after: str | None = None


def first_page(name: str, now: datetime, ended_at: datetime | None, oldest_stray: datetime | None) -> Intent:
    """The intent to read the first page of a list. Payments are read back to the last complete reading and to
    the oldest open stray, if that is earlier."""
    since = now - LISTS[name]
    if name == "payment_intents":
        since = min(filter(None, (since, ended_at, oldest_stray)))
    return page_intent(name, int(since.timestamp()))


async def call(provider: ProviderCall, known: Known, intent: Intent) -> Any:
    """Make the call to the provider; a page of a list is replaced by its comparison with what is known.
    Raises what the provider's client raises."""
    outcome = await provider(intent)
    return await _COMPARISONS[outcome.name](known, outcome) if isinstance(outcome, Page) else outcome


async def _payments(known: Known, page: Page) -> Compared:
    found = [one for one in page.items if isinstance(one, Found)]
    orders = [order_id for one in found if (order_id := uuid_of(one.order_id)) is not None]
    rows = await known.payments([one.payment_id for one in found], orders)
    by_payment = {row["payment_id"]: row for row in rows}
    by_order = {row["order_id"]: row for row in rows}
    lookups: dict[UUID, str] = {}
    strays: list[Stray] = []
    for one in found:
        row = by_payment.get(one.payment_id)
        if row is not None and _was_moved(row, one):
            lookups[row["order_id"]] = one.payment_id
        elif one.left and _is_stray(row, by_order.get(uuid_of(one.order_id))):
            strays.append(_stray(one))
    others = {one.payment_id for one in found} - {one.payment_id for one in strays}
    settled = await known.open_strays(sorted(others))
    return Compared(page.name, lookups, tuple(strays), tuple(settled), page.after)


async def _refunds(known: Known, page: Page) -> Compared:
    found = [one for one in page.items if isinstance(one, FoundRefund)]
    rows = await known.payments(sorted({one.payment_id for one in found}), [])
    payments = {row["payment_id"]: row for row in rows}
    states = await known.refund_states([bounces.refund_id_of(one) for one in found])
    lookups = {
        payments[one.payment_id]["order_id"]: one.payment_id
        for one in found
        if one.payment_id in payments
        and bounces.may_differ(payments[one.payment_id]["state"], states.get(bounces.refund_id_of(one)), one)
    }
    return Compared(page.name, lookups, after=page.after)


async def _disputes(known: Known, page: Page) -> Compared:
    found = [one for one in page.items if isinstance(one, FoundDispute)]
    statuses = await known.dispute_statuses([disputes.dispute_id_of(one.id) for one in found])
    changed = [one for one in found if statuses.get(disputes.dispute_id_of(one.id)) != one.status]
    payments = {one.payment_id for one in changed}
    rows = await known.payments(sorted(payments), [])
    for unknown in payments - {row["payment_id"] for row in rows}:
        log.info("dispute of unknown payment", payment_id=unknown)
    lookups = {row["order_id"]: row["payment_id"] for row in rows}
    return Compared(page.name, lookups, after=page.after)


_COMPARISONS = {"payment_intents": _payments, "refunds": _refunds, "disputes": _disputes}
"""For each list, how a page is compared, with two or three queries, whatever is on it."""


def _was_moved(row: Row, found: Found) -> bool:
    """Whether money that is held here was released or captured at the provider."""
    if found.status == "succeeded":
        return bool(row["state"] == "authorized")
    return found.status == "canceled" and row["state"] in ("action_required", "authorized", "capturing")


def _is_stray(own: Row | None, of_order: Row | None) -> bool:
    """Whether no payment here accounts for the money. While an order's money is being authorized, the id of
    its payment is not known yet."""
    if own is not None:
        return own["state"] in ("voided", "declined", "refused")
    is_authorizing = (
        of_order is not None and of_order["payment_id"] is None and of_order["state"] == "authorizing"
    )
    return not is_authorizing


def _stray(found: Found) -> Stray:
    now = datetime.now(UTC)
    return Stray(found.payment_id, found.order_id, found.left, found.currency, found.created_at or now, now)
