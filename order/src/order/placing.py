"""Commits a new order, `order.created` and the response stored under the idempotency key with a single
statement.

This is the most frequent write of the shop; a round trip for each part would cost five times the CPU.
"""

from collections.abc import Mapping
from typing import Any

import asyncpg
from fastapi import Response

from chassis.http.idempotency import KeyClaim
from chassis.runtime.jobs import first_id
from chassis.storage.database import Transactions
from chassis.storage.raw_sql import Part, fetch
from order import events, views
from order.budget import WINDOW, LineBudget
from order.domain import Order
from order.errors import OrderError
from order.ids import new_number
from order.pricing import Cart
from order.problems import CartOrdered, PlaceAgain, TooManyDeclined, TooManyOpen, TooManyPieces
from order.settings import Settings
from order.store import placeholder, stored

ACCEPTED = 202


class NumberTaken(OrderError):
    """Another order already has this number: try another one."""


class Placing:
    """Commits new orders, within the limits of the settings."""

    def __init__(self, transactions: Transactions, settings: Settings) -> None:
        self._transactions = transactions
        self._settings = settings

    async def commit(self, order: Order, cart: Cart, claim: KeyClaim, budget: LineBudget) -> Response:
        """Commit the order under a new number; returns the response. Raises CartOrdered, TooManyOpen,
        TooManyPieces, TooManyDeclined, TooManyLines, ClaimLost, NumberTaken, PlaceAgain."""
        order.number = new_number()
        body, headers = views.accepted(order)
        row = stored(order, _NAMES)
        try:
            # A part takes effect if its `given` part returned a row: limits, the stored response, the order,
            # the event. So all of them are written or none.
            earlier = await self._transactions.run(
                Part("earlier", _EARLIER, self._limits(order, row["lines"], cart, budget)),
                claim.settling(ACCEPTED, body, headers, given="earlier", when="allowed"),
                Part("placed", _INSERT, row),
                Part("further", _FURTHER_CARTS, {"order_id": order.order_id, "carts": cart.ids[1:]}),
                self._transactions.publishing(events.created(order), order.created_at, given="placed"),
                select="earlier.* FROM earlier",
            )
        except asyncpg.UniqueViolationError as error:
            if error.constraint_name == "orders_number":
                raise NumberTaken(order.number) from error
            if error.constraint_name != "orders_cart":
                raise
            await self.raise_if_ordered(cart)
            raise PlaceAgain from error
        if not claim.settled:
            if earlier["ordered_before"]:
                await self.raise_if_ordered(cart)
                raise PlaceAgain
            self._raise_if_limited(order, earlier, budget)
            raise claim.lost()
        return Response(body, ACCEPTED, headers)

    async def raise_if_ordered(self, cart: Cart) -> None:
        """Raises CartOrdered, with the order, if this cart already has one."""
        for found in await fetch(self._transactions.engine, _ORDERED, cart.ids, cart.bought):
            raise CartOrdered(
                f"Order {found['number']} was placed from this cart. The cart can be ordered again if that"
                " order is cancelled.",
                order_id=found["order_id"],
                number=found["number"],
                links=views.links(found["order_id"]),
            )

    def _limits(self, order: Order, lines: str, cart: Cart, budget: LineBudget) -> dict[str, Any]:
        settings = self._settings
        return {
            "shopper": order.shopper_id,
            "guest": order.guest,
            "network": order.network,
            "carts": cart.ids,
            "bought": cart.bought,
            "lines": lines,
            "count": len(order.lines),
            "first_recent": first_id(order.created_at - WINDOW),
            "lines_per_minute": budget.per_minute,
            "open_orders": settings.max_open_orders,
            "guest_pieces": settings.guest_open_pieces,
            "declined_since": order.created_at - settings.decline_window,
            "shopper_declined": settings.declines_per_shopper,
            "network_declined": settings.declines_per_network,
        }

    def _raise_if_limited(self, order: Order, earlier: Mapping[str, Any], budget: LineBudget) -> None:
        """Raises the problem for the first limit that the shopper's `earlier` orders leave no room for."""
        settings = self._settings
        if earlier["pending"] >= settings.max_open_orders:
            raise TooManyOpen(f"At most {settings.max_open_orders} orders can be pending at once.")
        if (sku := earlier["too_many_of"]) is not None:
            raise TooManyPieces(
                f"Without an account at most {settings.guest_open_pieces} pieces of one product can be in"
                " pending orders at once.",
                sku=sku,
            )
        if (declined_at := earlier["declined"]) is not None:
            raise TooManyDeclined(
                "Too many payments from you or your network were declined: wait and try again.",
                retry_after=(declined_at + settings.decline_window - order.created_at).total_seconds(),
            )
        if earlier["ordered"] + len(order.lines) > budget.per_minute:
            wait = (earlier["oldest"] + WINDOW - order.created_at).total_seconds()
            raise budget.refusal(order.shopper_id, earlier["ordered"], wait)


_COLUMNS = """order_id, shopper_id, lines, total, currency, payment_method, contact, created_at, deadline,
    shipping, number, guest, sealed_shipping, cart_id, return_url, network, contact_hash"""
_NAMES = [name.strip() for name in _COLUMNS.split(",")]
_INSERT = f"""
    INSERT INTO orders ({_COLUMNS})
    SELECT {", ".join(map(placeholder, _NAMES))} FROM settled RETURNING true
"""  # noqa: S608

# The cart's first id is stored with the order, in a unique index that refuses a second order at the same
# moment. Further ids, of carts that were merged or bought in part, are only compared. The query is written so
# that each lookup uses an index, whatever the statistics say.
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

# When the oldest of too many payments was declined; null if there are fewer.
_DECLINED = """(
    SELECT declined_at FROM orders WHERE {of} AND declined_at > :declined_since
    ORDER BY declined_at DESC OFFSET {most}::int - 1 LIMIT 1
)"""
_TOO_MANY_OF = """
    SELECT wanted.sku FROM jsonb_to_recordset(:lines::jsonb) AS wanted (sku text, quantity bigint)
    JOIN (
        SELECT line.sku, sum(line.quantity) AS pieces
        FROM orders CROSS JOIN jsonb_to_recordset(lines) AS line (sku text, quantity bigint)
        WHERE shopper_id = :shopper AND status = 'pending' GROUP BY line.sku
    ) AS open USING (sku)
    WHERE wanted.quantity + open.pieces > :guest_pieces::bigint LIMIT 1
"""

# What the shopper's earlier orders leave room for: the counts, and whether one more order is `allowed`.
_EARLIER = f"""
    SELECT *, NOT ordered_before AND pending < :open_orders
        AND ordered + :count::int <= :lines_per_minute::int
        AND too_many_of IS NULL AND declined IS NULL AS allowed
    FROM (
        SELECT pending, ordered, oldest,
            EXISTS ({_OF_CART.format(ids=":carts", bought=":bought")}) AS ordered_before,
            CASE WHEN :guest::boolean AND pending > 0 THEN ({_TOO_MANY_OF}) END AS too_many_of,
            greatest(
                {_DECLINED.format(of="shopper_id = :shopper", most=":shopper_declined")},
                {_DECLINED.format(of="network = :network::bytea", most=":network_declined")}
            ) AS declined
        FROM (
            SELECT count(*) AS pending FROM orders WHERE shopper_id = :shopper AND status = 'pending'
        ) AS unpaid, (
            SELECT coalesce(sum(jsonb_array_length(lines)), 0) AS ordered, min(created_at) AS oldest
            FROM orders WHERE shopper_id = :shopper AND order_id > :first_recent
        ) AS recent
    ) AS found
"""  # noqa: S608
_FURTHER_CARTS = """
    INSERT INTO further_carts (order_id, cart_id) SELECT :order_id, unnest(:carts::uuid[]) FROM placed
"""
