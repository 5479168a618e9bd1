"""A new order, `order.created` and the answer to the checkout's key, committed by a single statement.

Written as a transaction of four statements it costs five times the CPU, most of it in round trips, and this
is where the shop spends most.
"""

from collections.abc import Mapping
from datetime import timedelta

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
from order.pricing import Cart

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


class NumberTaken(Exception):
    """Another order has this number already: make another one."""


class PlaceAgain(Conflict):
    """409, if another attempt does not help either: the order of its cart was cancelled just now."""

    type = "/problems/place-again"
    title = "The order could not be placed at this moment"


class Placing:
    """Commits new orders."""

    def __init__(self, transactions: Transactions, *, max_open: int) -> None:
        self._transactions = transactions
        self._max_open = max_open

    async def commit(
        self,
        order: Order,
        cart: Cart,
        claim: Claim,
        body: bytes,
        headers: Mapping[str, str],
        budget: LineBudget,
    ) -> None:
        """Raises CartOrdered, TooManyOpen, TooManyLines, ClaimLost, NumberTaken, PlaceAgain."""
        try:
            await self._commit(order, cart, claim, body, headers, budget)
        except asyncpg.UniqueViolationError as error:
            if error.constraint_name == "orders_number":
                raise NumberTaken(order.number) from error
            if error.constraint_name != "orders_cart":
                raise
            await self.raise_if_ordered(cart)
            raise _again() from error

    async def raise_if_ordered(self, cart: Cart) -> None:
        """Raises CartOrdered, which says by which order, if there is one of this cart."""
        for found in await fetch(self._transactions.engine, _ORDERED, cart.ids, cart.bought):
            raise CartOrdered(
                f"Order {found['number']} was placed from this cart. It can be ordered again if that order is"
                " cancelled.",
                order_id=found["order_id"],
                number=found["number"],
                links=views.links(found["order_id"]),
            )

    async def _commit(
        self,
        order: Order,
        cart: Cart,
        claim: Claim,
        body: bytes,
        headers: Mapping[str, str],
        budget: LineBudget,
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
            cart.ids,
            order.return_url,
            cart.bought,
        )
        if outcome["placed"]:
            claim.settled = True
            if lease:
                self._transactions.on_outbox([said])
            return
        if outcome["ordered_before"]:
            await self.raise_if_ordered(cart)
            raise _again()
        if outcome["pending"] >= self._max_open:
            raise TooManyOpen(f"At most {self._max_open} orders may wait for payment at once.")
        if outcome["ordered"] + len(order.lines) > budget.per_minute:
            wait = (outcome["oldest"] - since).total_seconds()
            raise budget.refusal(order.shopper_id, outcome["ordered"], wait)
        raise ClaimLost("This request took too long.", headers={"Retry-After": "1"})


def _again() -> PlaceAgain:
    return PlaceAgain(
        "Other orders of this cart are placed and cancelled at this moment.", headers={"Retry-After": "1"}
    )


# The cart's first id is the order's own: its index refuses a second one that is placed at the same moment.
# Others, which carts have that were merged or bought in part, are compared only. Each look-up is by an index,
# whatever the statistics say.
_OF_CART = """
    SELECT order_id, number FROM unnest({ids}::uuid[]) AS cart (id) CROSS JOIN LATERAL (
        SELECT order_id, number FROM orders
        WHERE orders.cart_id = cart.id AND status <> 'cancelled' AND order_id <> ALL ({bought}::uuid[])
        UNION ALL
        SELECT order_id, number FROM further_carts CROSS JOIN LATERAL (
            SELECT number FROM orders
            WHERE orders.order_id = further_carts.order_id AND status <> 'cancelled'
            OFFSET 0
        ) AS placed
        WHERE further_carts.cart_id = cart.id AND order_id <> ALL ({bought}::uuid[])
        LIMIT 1
    ) AS found
"""
_ORDERED = _OF_CART.format(ids="$1", bought="$2")

_PLACE = f"""
    WITH before AS (
        SELECT pending, ordered, oldest, EXISTS (
            {_OF_CART.format(ids="$29", bought="$31")}
        ) AS ordered_before FROM (
            SELECT count(*) AS pending FROM orders WHERE shopper_id = $1 AND status = 'pending'
        ) AS unpaid, (
            SELECT coalesce(sum(jsonb_array_length(lines)), 0) AS ordered, min(created_at) AS oldest
            FROM orders WHERE shopper_id = $1 AND order_id > $26
        ) AS recent
    ), settled AS (
        UPDATE idempotency_keys SET status = $4, body = $5, headers = $6::jsonb FROM before
        WHERE owner = $1 AND key = $2 AND claim = $3 AND idempotency_keys.status IS NULL
            AND NOT ordered_before AND pending < $7 AND ordered + $28::int <= $27::int
        RETURNING true
    ), placed AS (
        INSERT INTO orders (order_id, shopper_id, lines, total, currency, payment_method, contact, created_at,
            deadline, shipping, number, guest, sealed_shipping, cart_id, return_url)
        SELECT $8, $1, $9::jsonb, $10, $11, $12, $13, $14, $15, $16::jsonb, $17, $18, $19,
            ($29::uuid[])[1], $30
        FROM settled
        RETURNING true
    ), others AS (
        INSERT INTO further_carts (order_id, cart_id) SELECT $8, unnest(($29::uuid[])[2:]) FROM placed
    ), said AS (
        INSERT INTO outbox (message_id, type, version, subject, time, traceparent, data, leased_until)
        SELECT $20, $21, $22, $8, $14, $23, $24, now() + $25::float8 * interval '1 second' FROM placed
        RETURNING true
    )
    SELECT pending, ordered, oldest, ordered_before, EXISTS (SELECT FROM said) AS placed FROM before
"""  # noqa: S608
