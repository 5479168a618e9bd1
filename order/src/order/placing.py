"""A new order, `order.created` and the answer to the checkout's key, committed by a single statement.

Written as a transaction of four statements it costs five times the CPU, most of it in round trips, and this
is where the shop spends most.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

import asyncpg
import orjson
from pydantic import TypeAdapter

from chassis import outbox
from chassis.database import Transactions
from chassis.direct import fetch
from chassis.idempotency import Claim, ClaimLost
from chassis.problems import Conflict
from chassis.telemetry import current_traceparent
from contracts import Line
from order import views
from order.budget import WINDOW, LineBudget
from order.domain import Order
from order.ids import first_order_id

ACCEPTED = 202

_lines = TypeAdapter(tuple[Line, ...])


class TooManyOpen(Conflict):
    """The shopper holds back as much stock as one may with orders that are not paid."""

    type = "/problems/too-many-open-orders"
    title = "Too many open orders"


class CartOrdered(Conflict):
    """409: there is an order of this cart, pending or paid."""

    type = "/problems/cart-already-ordered"
    title = "The cart has been ordered"


class PlaceAgain(Exception):
    """The order could not be placed as it was, and another attempt may be well: its number is another's, or
    the order of its cart was cancelled just now."""


class Placing:
    """Commits new orders."""

    def __init__(self, transactions: Transactions, *, max_open: int) -> None:
        self._transactions = transactions
        self._max_open = max_open

    async def commit(
        self, order: Order, claim: Claim, body: bytes, headers: Mapping[str, str], budget: LineBudget
    ) -> None:
        """Raises CartOrdered, TooManyOpen, TooManyLines, ClaimLost, PlaceAgain."""
        try:
            await self._commit(order, claim, body, headers, budget)
        except asyncpg.UniqueViolationError as error:
            if error.constraint_name not in ("orders_number", "orders_cart"):
                raise
            await self.raise_if_ordered(order.shopper_id, order.cart_ids or ())
            raise PlaceAgain from error

    async def raise_if_ordered(self, shopper: UUID, cart_ids: Sequence[UUID]) -> None:
        """Raises CartOrdered, which says by which order, if a cart with one of these ids has been ordered."""
        recent = first_order_id(datetime.now(UTC) - timedelta(seconds=WINDOW))
        for found in await fetch(self._transactions.engine, _ORDERED, shopper, cart_ids, recent):
            raise CartOrdered(
                f"Order {found['number']} is of this cart. There is no other of it unless that is cancelled;"
                " what it has bought leaves the cart once it is paid.",
                order_id=found["order_id"],
                number=found["number"],
                links=views.links(found["order_id"]),
            )

    async def _commit(
        self, order: Order, claim: Claim, body: bytes, headers: Mapping[str, str], budget: LineBudget
    ) -> None:
        since = order.created_at - timedelta(seconds=WINDOW)
        said = outbox.envelope(order.created(), "order", order.created_at, None, current_traceparent())
        row, lease = claim.row, self._transactions.outbox_lease()
        [outcome] = await fetch(
            self._transactions.engine,
            _PLACE,
            row["owner"],
            row["key"],
            row["claim"],
            ACCEPTED,
            body,
            orjson.dumps(headers).decode(),
            self._max_open,
            order.order_id,
            _lines.dump_json(order.lines).decode(),
            order.total,
            order.currency,
            order.payment_method,
            order.contact,
            order.created_at,
            order.deadline,
            orjson.dumps(order.shipping).decode() if order.shipping else None,
            order.number,
            order.guest,
            order.sealed_shipping,
            said.id,
            said.type,
            said.version,
            said.traceparent,
            said.data.decode(),
            lease,
            first_order_id(since),
            budget.per_minute,
            len(order.lines),
            order.cart_ids,
            order.return_url,
        )
        if outcome["placed"]:
            claim.settled = True
            if lease:
                self._transactions.on_outbox([said])
            return
        if outcome["ordered_before"]:
            await self.raise_if_ordered(order.shopper_id, order.cart_ids or ())
            raise PlaceAgain
        if outcome["pending"] >= self._max_open:
            raise TooManyOpen(f"At most {self._max_open} orders may wait for payment at once.")
        if outcome["ordered"] + len(order.lines) > budget.per_minute:
            wait = (outcome["oldest"] - since).total_seconds()
            raise budget.refusal(order.shopper_id, outcome["ordered"], wait)
        raise ClaimLost("This request took too long.", headers={"Retry-After": "1"})


# The index on the first id finds the order of a cart whoever's it is, and refuses a second one that is placed
# at the same moment. A cart has others where a login has merged carts: an order of one of those is the
# shopper's own, and pending or of the last minute: cart forgets what is paid, and no checkout takes longer.
_PLACE = """
    WITH before AS (
        SELECT pending, ordered, oldest, unpaid.is_same OR recent.is_same OR EXISTS (
            SELECT FROM unnest($29::uuid[]) AS cart (id) CROSS JOIN LATERAL (
                SELECT FROM orders
                WHERE cart_ids[1] = cart.id AND cart_ids IS NOT NULL AND status <> 'cancelled'
                OFFSET 0  -- so that it is found by the index, whatever the statistics say
            ) AS found
        ) AS ordered_before FROM (
            SELECT count(*) AS pending, coalesce(bool_or(cart_ids && $29), false) AS is_same
            FROM orders WHERE shopper_id = $1 AND status = 'pending'
        ) AS unpaid, (
            SELECT coalesce(sum(jsonb_array_length(lines)), 0) AS ordered, min(created_at) AS oldest,
                coalesce(bool_or(status <> 'cancelled' AND cart_ids && $29), false) AS is_same
            FROM orders WHERE shopper_id = $1 AND order_id > $26
        ) AS recent
    ), settled AS (
        UPDATE idempotency_keys SET status = $4, body = $5, headers = $6::jsonb FROM before
        WHERE owner = $1 AND key = $2 AND claim = $3 AND idempotency_keys.status IS NULL
            AND NOT ordered_before AND pending < $7 AND ordered + $28::int <= $27::int
        RETURNING true
    ), placed AS (
        INSERT INTO orders (order_id, shopper_id, lines, total, currency, payment_method, contact, created_at,
            deadline, shipping, number, guest, sealed_shipping, cart_ids, return_url)
        SELECT $8, $1, $9::jsonb, $10, $11, $12, $13, $14, $15, $16::jsonb, $17, $18, $19, $29, $30
        FROM settled
        RETURNING true
    ), said AS (
        INSERT INTO outbox (message_id, type, version, subject, time, traceparent, data, leased_until)
        SELECT $20, $21, $22, $8, $14, $23, $24, now() + $25::float8 * interval '1 second' FROM placed
        RETURNING true
    )
    SELECT pending, ordered, oldest, ordered_before, EXISTS (SELECT FROM said) AS placed FROM before
"""

_ORDERED = """
    SELECT order_id, number FROM unnest($2::uuid[]) AS cart (id) CROSS JOIN LATERAL (
        SELECT order_id, number FROM orders
        WHERE cart_ids[1] = cart.id AND cart_ids IS NOT NULL AND status <> 'cancelled'
        OFFSET 0
    ) AS found
    UNION ALL
    SELECT order_id, number FROM orders WHERE shopper_id = $1 AND status = 'pending' AND cart_ids && $2
    UNION ALL
    SELECT order_id, number FROM orders
    WHERE shopper_id = $1 AND order_id > $3 AND status = 'paid' AND cart_ids && $2
    LIMIT 1
"""
