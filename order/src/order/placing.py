"""A new order, `order.created` and the answer to the checkout's key, committed by a single statement.

Written as a transaction of four statements it costs five times the CPU, most of it in round trips, and this
is where the shop spends most.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import asyncpg
import orjson
from pydantic import TypeAdapter

from chassis.http.idempotency import Claim, ClaimLost
from chassis.http.problems import Conflict, TooManyRequests
from chassis.storage import outbox
from chassis.storage.database import Transactions
from chassis.storage.direct import fetch
from chassis.telemetry.logs import current_traceparent
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


class TooManyPieces(Conflict):
    """409: a guest holds back as many pieces of a product as one may with orders that are not paid."""

    type = "/problems/too-many-open-pieces"
    title = "Too many pieces in open orders"


class TooManyDeclined(TooManyRequests):
    """429: too many payments of the shopper, or from her network, were declined."""

    type = "/problems/too-many-declined"
    title = "Too many declined payments"


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


@dataclass(frozen=True)
class Caps:
    """How much of the shop's stock may be held back without being paid for.

    A shopper has so many open orders, a guest so many pieces of one product in them. Within `window` so many
    payments may be declined, one shopper's and one network's.
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
        row, lease, caps = claim.row, self._transactions.outbox_lease(), self._caps
        [outcome] = await fetch(
            self._transactions.engine,
            _PLACE,
            row["owner"],
            row["key"],
            row["claim"],
            ACCEPTED,
            body,
            orjson.dumps(headers).decode(),
            caps.open_orders,
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
            order.network,
            order.created_at - caps.window,
            caps.shopper_declined - 1,
            caps.network_declined - 1,
            caps.guest_pieces,
        )
        if outcome["placed"]:
            claim.settled = True
            if lease:
                self._transactions.on_outbox([said])
            return
        if outcome["ordered_before"]:
            await self.raise_if_ordered(cart)
            raise _again()
        self._raise_if_capped(order, outcome["pending"], outcome["too_many_of"], outcome["declined"])
        if outcome["ordered"] + len(order.lines) > budget.per_minute:
            wait = (outcome["oldest"] - since).total_seconds()
            raise budget.refusal(order.shopper_id, outcome["ordered"], wait)
        raise ClaimLost("This request took too long.", headers={"Retry-After": "1"})

    def _raise_if_capped(
        self, order: Order, pending: int, too_many_of: str | None, declined: datetime | None
    ) -> None:
        """`too_many_of` is a product of which too many pieces would be open, `declined` when the oldest of
        those payments was that count."""
        if pending >= self._caps.open_orders:
            raise TooManyOpen(f"At most {self._caps.open_orders} orders may wait for payment at once.")
        if too_many_of is not None:
            raise TooManyPieces(
                f"Without an account at most {self._caps.guest_pieces} pieces of one product may wait for"
                " payment at once.",
                sku=too_many_of,
            )
        if declined is not None:
            raise TooManyDeclined(
                "Too many payments were declined, of yours or from your network: wait and try again.",
                retry_after=(declined + self._caps.window - order.created_at).total_seconds(),
            )


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

# The time of the last but so many: with it there are too many.
_DECLINED = """(
    SELECT declined_at FROM orders WHERE {column} = {value} AND declined_at > $33
    ORDER BY declined_at DESC OFFSET {most} LIMIT 1
)"""
_TOO_MANY_OF = """
    SELECT wanted.sku FROM jsonb_to_recordset($9::jsonb) AS wanted (sku text, quantity bigint)
    JOIN (
        SELECT line.sku, sum(line.quantity) AS pieces
        FROM orders CROSS JOIN jsonb_to_recordset(lines) AS line (sku text, quantity bigint)
        WHERE shopper_id = $1 AND status = 'pending' GROUP BY line.sku
    ) AS open USING (sku)
    WHERE wanted.quantity + open.pieces > $36::bigint LIMIT 1
"""

_PLACE = f"""
    WITH before AS (
        SELECT pending, ordered, oldest, EXISTS (
            {_OF_CART.format(ids="$29", bought="$31")}
        ) AS ordered_before, CASE WHEN $18::boolean AND pending > 0 THEN ({_TOO_MANY_OF}) END AS too_many_of,
        greatest(
            {_DECLINED.format(column="shopper_id", value="$1", most="$34::int")},
            {_DECLINED.format(column="network", value="$32::bytea", most="$35::int")}
        ) AS declined FROM (
            SELECT count(*) AS pending FROM orders WHERE shopper_id = $1 AND status = 'pending'
        ) AS unpaid, (
            SELECT coalesce(sum(jsonb_array_length(lines)), 0) AS ordered, min(created_at) AS oldest
            FROM orders WHERE shopper_id = $1 AND order_id > $26
        ) AS recent
    ), settled AS (
        UPDATE idempotency_keys SET status = $4, body = $5, headers = $6::jsonb FROM before
        WHERE owner = $1 AND key = $2 AND claim = $3 AND idempotency_keys.status IS NULL
            AND NOT ordered_before AND pending < $7 AND ordered + $28::int <= $27::int
            AND too_many_of IS NULL AND declined IS NULL
        RETURNING true
    ), placed AS (
        INSERT INTO orders (order_id, shopper_id, lines, total, currency, payment_method, contact, created_at,
            deadline, shipping, number, guest, sealed_shipping, cart_id, return_url, network)
        SELECT $8, $1, $9::jsonb, $10, $11, $12, $13, $14, $15, $16::jsonb, $17, $18, $19,
            ($29::uuid[])[1], $30, $32
        FROM settled
        RETURNING true
    ), others AS (
        INSERT INTO further_carts (order_id, cart_id) SELECT $8, unnest(($29::uuid[])[2:]) FROM placed
    ), said AS (
        INSERT INTO outbox (message_id, type, version, subject, time, traceparent, data, leased_until)
        SELECT $20, $21, $22, $8, $14, $23, $24, now() + $25::float8 * interval '1 second' FROM placed
        RETURNING true
    )
    SELECT pending, ordered, oldest, ordered_before, too_many_of, declined,
        EXISTS (SELECT FROM said) AS placed
    FROM before
"""  # noqa: S608
