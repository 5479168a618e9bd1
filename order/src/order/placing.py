"""Commits a new order, `order.created` and the response stored under the idempotency key with a single
statement.

This is the most frequent write of the shop; a round trip for each part would cost five times the CPU.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import asyncpg
import orjson
from pydantic import TypeAdapter

from chassis.http.idempotency import Claim
from chassis.http.problems import Conflict, TooManyRequests
from chassis.storage.database import Transactions
from chassis.storage.raw_sql import Part, fetch
from contracts import Line
from order import schemas
from order.budget import WINDOW, LineBudget
from order.domain import Order
from order.ids import first_order_id
from order.pricing import Cart

ACCEPTED = 202

_lines = TypeAdapter(tuple[Line, ...])


class TooManyOpen(Conflict):
    """409: the shopper has the maximum number of pending orders."""

    type = "/problems/too-many-open-orders"
    title = "Too many open orders"


class TooManyPieces(Conflict):
    """409: the guest has the maximum number of pieces of a product in pending orders."""

    type = "/problems/too-many-open-pieces"
    title = "Too many pieces in open orders"


class TooManyDeclined(TooManyRequests):
    """429: too many payments of the shopper, or from the same network, were declined."""

    type = "/problems/too-many-declined"
    title = "Too many declined payments"


class CartOrdered(Conflict):
    """409: this cart already has an order, pending or paid."""

    type = "/problems/cart-already-ordered"
    title = "The cart has been ordered"


class NumberTaken(Exception):
    """Another order already has this number: try another one."""


class PlaceAgain(Conflict):
    """409: other orders of the cart were placed and cancelled at the same time, in every attempt."""

    type = "/problems/place-again"
    title = "The order could not be placed at this moment"


@dataclass(frozen=True)
class Caps:
    """Limits on stock that is reserved without being paid for.

    A shopper may have `open_orders` pending orders, a guest `guest_pieces` of one product in them. Within
    `window`, `shopper_declined` payments of one shopper and `network_declined` of one network may be
    declined.
    """

    open_orders: int
    guest_pieces: int
    shopper_declined: int
    network_declined: int
    window: timedelta


class Placing:
    """Commits new orders."""

    def __init__(self, transactions: Transactions, caps: Caps) -> None:
        self._transactions = transactions
        self._caps = caps

    async def commit(
        self,
        order: Order,
        cart: Cart,
        claim: Claim,
        body: bytes,
        headers: Mapping[str, str],
        budget: LineBudget,
    ) -> None:
        """Raises CartOrdered, TooManyOpen, TooManyPieces, TooManyDeclined, TooManyLines, ClaimLost,
        NumberTaken, PlaceAgain."""
        try:
            await self._commit(order, cart, claim, body, headers, budget)
        except asyncpg.UniqueViolationError as error:
            if error.constraint_name == "orders_number":
                raise NumberTaken(order.number) from error
            if error.constraint_name != "orders_cart":
                raise
            await self.raise_if_ordered(cart)
            raise _place_again() from error

    async def raise_if_ordered(self, cart: Cart) -> None:
        """Raises CartOrdered, with the order, if this cart already has one."""
        for found in await fetch(self._transactions.engine, _ORDERED, cart.ids, cart.bought):
            raise CartOrdered(
                f"Order {found['number']} was placed from this cart. The cart can be ordered again if that"
                " order is cancelled.",
                order_id=found["order_id"],
                number=found["number"],
                links=schemas.links(found["order_id"]),
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
        lines = _lines.dump_json(order.lines).decode()
        found = await self._transactions.run(
            Part("before", _BEFORE, self._limits(order, lines, cart, budget, since)),
            claim.settling(ACCEPTED, body, headers, given="before", when="allowed"),
            Part("placed", _INSERT, _row(order, lines)),
            Part("further", _FURTHER_CARTS, {"order_id": order.order_id, "carts": cart.ids[1:]}),
            self._transactions.publishing(order.created(), order.created_at, given="placed"),
            select="before.* FROM before",
        )
        if claim.settled:
            return
        if found["ordered_before"]:
            await self.raise_if_ordered(cart)
            raise _place_again()
        self._raise_if_capped(order, found["pending"], found["too_many_of"], found["declined"])
        if found["ordered"] + len(order.lines) > budget.per_minute:
            wait = (found["oldest"] - since).total_seconds()
            raise budget.refusal(order.shopper_id, found["ordered"], wait)
        raise claim.lost()

    def _limits(
        self, order: Order, lines: str, cart: Cart, budget: LineBudget, since: datetime
    ) -> dict[str, Any]:
        caps = self._caps
        return {
            "shopper": order.shopper_id,
            "guest": order.guest,
            "network": order.network,
            "carts": cart.ids,
            "bought": cart.bought,
            "lines": lines,
            "count": len(order.lines),
            "first_recent": first_order_id(since),
            "lines_per_minute": budget.per_minute,
            "open_orders": caps.open_orders,
            "guest_pieces": caps.guest_pieces,
            "declined_since": order.created_at - caps.window,
            "shopper_declined": caps.shopper_declined - 1,
            "network_declined": caps.network_declined - 1,
        }

    def _raise_if_capped(
        self, order: Order, pending: int, too_many_of: str | None, declined: datetime | None
    ) -> None:
        """`too_many_of` is a product with too many pieces in pending orders; `declined` is when the oldest of
        too many payments was declined."""
        if pending >= self._caps.open_orders:
            raise TooManyOpen(f"At most {self._caps.open_orders} orders can be pending at once.")
        if too_many_of is not None:
            raise TooManyPieces(
                f"Without an account at most {self._caps.guest_pieces} pieces of one product can be in"
                " pending orders at once.",
                sku=too_many_of,
            )
        if declined is not None:
            raise TooManyDeclined(
                "Too many payments from you or your network were declined: wait and try again.",
                retry_after=(declined + self._caps.window - order.created_at).total_seconds(),
            )


def _row(order: Order, lines: str) -> dict[str, Any]:
    return {
        "order_id": order.order_id,
        "shopper": order.shopper_id,
        "lines": lines,
        "total": order.total,
        "currency": order.currency,
        "payment_method": order.payment_method,
        "contact": order.contact,
        "created_at": order.created_at,
        "deadline": order.deadline,
        "shipping": orjson.dumps(order.shipping).decode() if order.shipping else None,
        "number": order.number,
        "guest": order.guest,
        "sealed_shipping": order.sealed_shipping,
        "cart": order.cart_id,
        "return_url": order.return_url,
        "network": order.network,
    }


def _place_again() -> PlaceAgain:
    return PlaceAgain(
        "Other orders of this cart are being placed and cancelled.", headers={"Retry-After": "1"}
    )


# The cart's first id is stored with the order, in a unique index that refuses a second order at the same
# moment. Further ids, of carts that were merged or bought in part, are only compared. The query is written so
# that each look-up uses an index, whatever the statistics say.
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
    ORDER BY declined_at DESC OFFSET {most} LIMIT 1
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

_BEFORE = f"""
    SELECT *, NOT ordered_before AND pending < :open_orders
        AND ordered + :count::int <= :lines_per_minute::int
        AND too_many_of IS NULL AND declined IS NULL AS allowed
    FROM (
        SELECT pending, ordered, oldest,
            EXISTS ({_OF_CART.format(ids=":carts", bought=":bought")}) AS ordered_before,
            CASE WHEN :guest::boolean AND pending > 0 THEN ({_TOO_MANY_OF}) END AS too_many_of,
            greatest(
                {_DECLINED.format(of="shopper_id = :shopper", most=":shopper_declined::int")},
                {_DECLINED.format(of="network = :network::bytea", most=":network_declined::int")}
            ) AS declined
        FROM (
            SELECT count(*) AS pending FROM orders WHERE shopper_id = :shopper AND status = 'pending'
        ) AS unpaid, (
            SELECT coalesce(sum(jsonb_array_length(lines)), 0) AS ordered, min(created_at) AS oldest
            FROM orders WHERE shopper_id = :shopper AND order_id > :first_recent
        ) AS recent
    ) AS found
"""  # noqa: S608
_INSERT = """
    INSERT INTO orders (order_id, shopper_id, lines, total, currency, payment_method, contact, created_at,
        deadline, shipping, number, guest, sealed_shipping, cart_id, return_url, network)
    SELECT :order_id, :shopper, :lines::jsonb, :total, :currency, :payment_method, :contact, :created_at,
        :deadline, :shipping::jsonb, :number, :guest, :sealed_shipping, :cart, :return_url, :network
    FROM settled RETURNING true
"""
_FURTHER_CARTS = """
    INSERT INTO further_carts (order_id, cart_id) SELECT :order_id, unnest(:carts::uuid[]) FROM placed
"""
