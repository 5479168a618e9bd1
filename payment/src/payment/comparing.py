"""Comparing a page of the provider's lists with what is known here, outside any transaction: for nearly all
that is on it that is the end of it."""

from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Protocol
from uuid import UUID

import structlog

from chassis.saga.tx import Intent
from payment import bounces, disputes
from payment.found import Found, FoundDispute, FoundRefund, Page
from payment.reconciliation import Compared, Stray

log = structlog.get_logger()

Call = Callable[[Intent], Awaitable[Any]]
Row = Mapping[Any, Any]


class Known(Protocol):
    """What is committed here; see `payment.store.Known`."""

    async def payments(self, payment_ids: Sequence[str], order_ids: Sequence[UUID]) -> Sequence[Row]: ...

    async def refund_states(self, ids: Sequence[UUID]) -> Mapping[UUID, str]: ...

    async def dispute_statuses(self, ids: Sequence[UUID]) -> Mapping[UUID, str]: ...

    async def open_strays(self, payment_ids: Sequence[str]) -> Collection[str]: ...


class Comparing:
    """Makes the calls of `call`; what a page of a list comes to is told from what is `known`."""

    def __init__(self, call: Call, known: Known) -> None:
        self._call = call
        self._known = known

    async def call(self, intent: Intent) -> Any:
        """As the provider does. Raises what it raises."""
        outcome = await self._call(intent)
        return await self.compare(outcome) if isinstance(outcome, Page) else outcome

    async def compare(self, page: Page) -> Compared:
        """Two or three queries, whatever is on the page."""
        if page.name == "payment_intents":
            return await self._payments(page)
        if page.name == "disputes":
            return await self._disputes(page)
        return await self._refunds(page)

    async def _payments(self, page: Page) -> Compared:
        found = [one for one in page.items if isinstance(one, Found)]
        orders = [order_id for one in found if (order_id := _order(one)) is not None]
        known = await self._known.payments([one.payment_id for one in found], orders)
        by_payment = {row["payment_id"]: row for row in known}
        by_order = {row["order_id"]: row for row in known}
        looks: dict[UUID, str] = {}
        strays: list[Stray] = []
        for one in found:
            row = by_payment.get(one.payment_id)
            if row is not None and _was_moved(row, one):
                looks[row["order_id"]] = one.payment_id
            elif one.left and _is_nobodys(row, by_order.get(_order(one))):
                strays.append(_stray(one))
        others = {one.payment_id for one in found} - {one.payment_id for one in strays}
        settled = await self._known.open_strays(sorted(others))
        return Compared(page.name, looks, tuple(strays), tuple(settled), page.after)

    async def _refunds(self, page: Page) -> Compared:
        found = [one for one in page.items if isinstance(one, FoundRefund)]
        known = await self._known.payments(sorted({one.payment_id for one in found}), [])
        payments = {row["payment_id"]: row for row in known}
        states = await self._known.refund_states([bounces.known_as(one) for one in found])
        looks = {
            payments[one.payment_id]["order_id"]: one.payment_id
            for one in found
            if one.payment_id in payments
            and bounces.may_differ(payments[one.payment_id]["state"], states.get(bounces.known_as(one)), one)
        }
        return Compared(page.name, looks, after=page.after)

    async def _disputes(self, page: Page) -> Compared:
        found = [one for one in page.items if isinstance(one, FoundDispute)]
        known = await self._known.dispute_statuses([disputes.known_as(one.id) for one in found])
        news = [one for one in found if known.get(disputes.known_as(one.id)) != one.status]
        return Compared(page.name, await self._whose(news), after=page.after)

    async def _whose(self, news: Iterable[FoundDispute]) -> dict[UUID, str]:
        payments = {one.payment_id for one in news}
        known = await self._known.payments(sorted(payments), [])
        for unknown in payments - {row["payment_id"] for row in known}:
            log.info("news of a payment that is not known here", payment_id=unknown)
        return {row["order_id"]: row["payment_id"] for row in known}


def _was_moved(row: Row, found: Found) -> bool:
    """Whether the provider has let go what is taken for held here, or somebody there has taken it."""
    if found.status == "succeeded":
        return bool(row["state"] == "authorized")
    return found.status == "canceled" and row["state"] in ("action_required", "authorized", "capturing")


def _is_nobodys(own: Row | None, of_order: Row | None) -> bool:
    """Whether nobody here knows of money there. An order that is only just having its money held does not
    know under which id."""
    if own is not None:
        return own["state"] in ("voided", "declined", "refused")
    held = of_order is not None and of_order["payment_id"] is None and of_order["state"] == "authorizing"
    return not held


def _order(found: Found) -> UUID | None:
    try:
        return UUID(found.order_id or "")
    except ValueError:
        return None


def _stray(found: Found) -> Stray:
    now = datetime.now(UTC)
    return Stray(found.payment_id, found.order_id, found.left, found.currency, found.created_at or now, now)
