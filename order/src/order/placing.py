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
from order.budget import WINDOW, LineBudget
from order.domain import Order
from order.ids import first_order_id

ACCEPTED = 202

_lines = TypeAdapter(tuple[Line, ...])


class TooManyOpen(Conflict):
    """The shopper holds back as much stock as one may with orders that are not paid."""

    type = "/problems/too-many-open-orders"
    title = "Too many open orders"


class NumberTaken(Exception):
    """Another order has this number already: make another one."""


class Placing:
    """Commits new orders."""

    def __init__(self, transactions: Transactions, *, max_open: int) -> None:
        self._transactions = transactions
        self._max_open = max_open

    async def commit(
        self, order: Order, claim: Claim, body: bytes, headers: Mapping[str, str], budget: LineBudget
    ) -> None:
        """Raises TooManyOpen, TooManyLines, ClaimLost, NumberTaken."""
        try:
            await self._commit(order, claim, body, headers, budget)
        except asyncpg.UniqueViolationError as error:
            if error.constraint_name != "orders_number":
                raise
            raise NumberTaken(order.number) from error

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
        )
        if outcome["placed"]:
            claim.settled = True
            if lease:
                self._transactions.on_outbox([said])
        elif outcome["pending"] >= self._max_open:
            raise TooManyOpen(f"At most {self._max_open} orders may wait for payment at once.")
        elif outcome["ordered"] + len(order.lines) > budget.per_minute:
            wait = (outcome["oldest"] - since).total_seconds()
            raise budget.refusal(order.shopper_id, outcome["ordered"], wait)
        else:
            raise ClaimLost("This request took too long.", headers={"Retry-After": "1"})


_PLACE = """
    WITH before AS (
        SELECT pending, ordered, oldest FROM (
            SELECT count(*) AS pending FROM orders WHERE shopper_id = $1 AND status = 'pending'
        ) AS unpaid, (
            SELECT coalesce(sum(jsonb_array_length(lines)), 0) AS ordered, min(created_at) AS oldest
            FROM orders WHERE shopper_id = $1 AND order_id > $26
        ) AS recent
    ), settled AS (
        UPDATE idempotency_keys SET status = $4, body = $5, headers = $6::jsonb FROM before
        WHERE owner = $1 AND key = $2 AND claim = $3 AND idempotency_keys.status IS NULL
            AND pending < $7 AND ordered + $28::int <= $27::int
        RETURNING true
    ), placed AS (
        INSERT INTO orders (order_id, shopper_id, lines, total, currency, payment_method, contact, created_at,
            deadline, shipping, number, guest, sealed_shipping)
        SELECT $8, $1, $9::jsonb, $10, $11, $12, $13, $14, $15, $16::jsonb, $17, $18, $19 FROM settled
        RETURNING true
    ), said AS (
        INSERT INTO outbox (message_id, type, version, subject, time, traceparent, data, leased_until)
        SELECT $20, $21, $22, $8, $14, $23, $24, now() + $25::float8 * interval '1 second' FROM placed
        RETURNING true
    )
    SELECT pending, ordered, oldest, EXISTS (SELECT FROM said) AS placed FROM before
"""
