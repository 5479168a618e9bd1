"""Collecting evidence from a shop: databases, provider, mailbox and queues, each read once."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import httpx

from chassis.saga.intents import OutcomePending
from notification.recipients import PutOff
from order.late import settled_as
from payment.stripe_requests import LIST
from scenarios.mails import mails
from shop.errors import ShopError
from shop.gateway import TIMEOUT_SECONDS
from shop.ledger import provider
from shop.ledger.evidence import (
    CartSeen,
    ChargeSeen,
    Evidence,
    KeptSeen,
    LateSeen,
    MailSeen,
    OrderSeen,
    ReturnSeen,
    StockSeen,
)
from shop.targets import SERVICES, Target, management

POLL_SECONDS = 0.5
_ORDERS = """
    SELECT order_id::text, status, reason, total, currency, deadline,
           (SELECT json_object_agg(line->>'sku', (line->>'quantity')::int)
              FROM jsonb_array_elements(lines) AS line) AS lines,
           ARRAY(SELECT type FROM timeline WHERE timeline.order_id = orders.order_id) AS checked_json, guest,
           array_remove(cart_id::text || ARRAY(
               SELECT cart_id::text FROM further_carts WHERE further_carts.order_id = orders.order_id
           ), NULL) AS cart_ids, returns, late_refunds, refunded_rest, disputes
    FROM orders
"""
_CARTS = """
    SELECT owner_id::text, ids::text[], bought::text[] FROM cart WHERE merged_into IS NULL AND items <> '{}'
"""
_LOGGED_IN = "SELECT guest_id::text, account_id::text FROM merged_guest"
_MOVED = "SELECT guest_id::text, user_id::text FROM merged_guests"
_KEPT = """
    SELECT subject_id::text, reason, fate, why, jsonb_array_length(resends)
    FROM kept_mail WHERE fate <> 'withheld'
"""
# Mails that wait for their recipient's hourly limit, perhaps for long.
_PUT_OFF = f"SELECT subject::text, kind FROM intent WHERE error LIKE '{PutOff.__name__}: %'"  # noqa: S608
# Likewise an order whose shopper has time to confirm with her bank, and payment, which looks whether she has.
_PENDING = f"SELECT count(*) FROM intent WHERE error LIKE '{OutcomePending.__name__}: %'"  # noqa: S608
# Reading the provider's lists comes round whatever goes on; what it finds is looked up by calls that count.
_READING = f"SELECT count(*) FROM intent WHERE kind = '{LIST}' AND error IS NULL"  # noqa: S608
_BUSY = {
    "order": """SELECT count(*) FROM orders
        WHERE status = 'pending' AND coalesce(action_expires_at, '-infinity') < now()""",
    "payment": """SELECT (SELECT count(*) FROM payment
            WHERE state IN ('authorizing', 'capturing', 'voiding', 'refunding'))
        + (SELECT count(*) FROM refund WHERE state = 'refunding')""",
}


async def until_quiet(target: Target, seconds: float) -> None:
    """Wait until no order is pending and nothing is in progress, at most `seconds`; the checks find the rest.

    It has to be quiet twice: the broker's statistics are seconds old, so a message between an outbox and its
    consumer is in neither for a moment. Raises ShopError if a database, provider, mailbox or broker does not
    answer.
    """
    deadline = time.monotonic() + seconds
    quiet = 0
    with _unavailable_reported():
        while time.monotonic() < deadline:
            quiet = 0 if await is_busy(target) else quiet + 1
            if quiet == 2:
                return
            await asyncio.sleep(POLL_SECONDS)


@contextmanager
def _unavailable_reported() -> Iterator[None]:
    try:
        yield
    except* ShopError as errors:
        raise errors.exceptions[0] from None
    except* (OSError, httpx.HTTPError, asyncpg.PostgresError) as errors:
        raise ShopError(
            f"a source of evidence does not answer ({errors.exceptions[0]!r}): see `shop status`"
        ) from errors


async def gather(target: Target) -> Evidence:
    """Raises ShopError when a source of evidence does not answer."""
    with _unavailable_reported():
        async with asyncio.TaskGroup() as group:
            orders = group.create_task(_orders(target))
            disputes = group.create_task(_pairs(target, "payment", "SELECT provider_id, status FROM dispute"))
            payments = group.create_task(
                _pairs(target, "payment", "SELECT order_id::text, state FROM payment")
            )
            refunds = group.create_task(
                _pairs(target, "payment", "SELECT refund_id::text, state FROM refund")
            )
            holds = group.create_task(_pairs(target, "product", "SELECT order_id::text, state FROM hold"))
            restocked = group.create_task(_restocked(target))
            letters = group.create_task(_letters(target))
            kept = group.create_task(_kept(target))
            put_off = group.create_task(_put_off(target))
            stock = group.create_task(_stock(target))
            carts = group.create_task(_carts(target))
            logged_in = group.create_task(_pairs(target, "auth", _LOGGED_IN))
            moved = group.create_task(_pairs(target, "order", _MOVED))
            charges = group.create_task(_charges(target))
            mails = group.create_task(_mails(target))
            queues = group.create_task(queue_depths(target))
            outboxes = group.create_task(_counts(target, "outbox"))
            intents = group.create_task(_calls(target))
            trespassers = group.create_task(_trespassers(target))
    seen, balance = charges.result()
    return Evidence(
        now=datetime.now(UTC),
        orders=orders.result(),
        payments=payments.result(),
        disputes=disputes.result(),
        charges=seen,
        books_balance=balance,
        stock=stock.result(),
        holds=holds.result(),
        refunds=refunds.result(),
        restocked=restocked.result(),
        mails=mails.result(),
        letters=letters.result(),
        kept=kept.result(),
        put_off=put_off.result(),
        carts=carts.result(),
        logged_in=logged_in.result(),
        moved=moved.result(),
        queues=queues.result(),
        outboxes=outboxes.result(),
        intents=intents.result(),
        trespassers=trespassers.result(),
    )


async def queue_depths(target: Target) -> dict[str, int]:
    async with management(target) as broker:
        return {queue["name"]: queue.get("messages", 0) for queue in await broker.get("queues")}


async def is_busy(target: Target) -> bool:
    """Whether an order is pending, or an event or a call in progress."""
    counts = [*(await _counts(target, "outbox")).values(), *(await _calls(target)).values()]
    for service, query in _BUSY.items():
        counts.append((await _rows(target, service, query))[0][0])
    depths = await queue_depths(target)
    return any(counts) or any(count for name, count in depths.items() if not name.endswith(".dead"))


async def _orders(target: Target) -> tuple[OrderSeen, ...]:
    return tuple(
        OrderSeen(
            row["order_id"],
            row["status"],
            row["reason"],
            row["total"],
            row["currency"],
            json.loads(row["lines"]),
            row["deadline"],
            frozenset(row["checked_json"]),
            row["guest"],
            tuple(row["cart_ids"]),
            tuple(_return(one) for one in json.loads(row["returns"])),
            _late(json.loads(row["late_refunds"])),
            row["refunded_rest"],
            {one["dispute_id"]: one["status"] for one in json.loads(row["disputes"])},
        )
        for row in await _rows(target, "order", _ORDERS)
    )


def _late(known: list[dict[str, Any]]) -> tuple[LateSeen, ...]:
    """Without what was settled in another way: the provider keeps that money, and no mail is sent."""
    settled = {str(settled_as(UUID(one["refund_id"]))) for one in known if one["code"] is not None}
    return tuple(
        LateSeen(one["refund_id"], one["amount"], one["code"] is not None)
        for one in known
        if one["refund_id"] not in settled
    )


def _return(one: dict[str, Any]) -> ReturnSeen:
    return ReturnSeen(
        one["return_id"],
        one["amount"],
        {line["sku"]: line["quantity"] for line in one["lines"]} if one["restock"] else {},
        one["state"] in ("received", "granted"),
        one["restocked_at"] is not None,
        one["refunded_at"] is not None,
        one["by"],
    )


async def _restocked(target: Target) -> dict[str, dict[str, int]]:
    query = "SELECT order_id::text, returned FROM hold WHERE returned <> '{}'"
    found = await _pairs(target, "product", query)
    return {return_id: lines for held in found.values() for return_id, lines in json.loads(held).items()}


async def _stock(target: Target) -> tuple[StockSeen, ...]:
    query = "SELECT sku, on_hand, reserved, sold, received FROM stock"
    return tuple(StockSeen(*row) for row in await _rows(target, "product", query))


async def _carts(target: Target) -> tuple[CartSeen, ...]:
    rows = await _rows(target, "cart", _CARTS)
    return tuple(CartSeen(owner, tuple(ids), tuple(bought)) for owner, ids, bought in rows)


async def _letters(target: Target) -> dict[str, dict[str, str]]:
    found = await _pairs(target, "notification", "SELECT subject_id::text, letters FROM correspondence")
    return {order_id: json.loads(letters) for order_id, letters in found.items()}


async def _kept(target: Target) -> tuple[KeptSeen, ...]:
    return tuple(KeptSeen(*row) for row in await _rows(target, "notification", _KEPT))


async def _put_off(target: Target) -> frozenset[tuple[str, str]]:
    return frozenset((row["subject"], row["kind"]) for row in await _rows(target, "notification", _PUT_OFF))


async def _calls(target: Target) -> dict[str, int]:
    """Without mails that are put off, what waits for a shopper to confirm, and the reading of lists."""
    waiting = {
        "notification": len(await _put_off(target)),
        "payment": sum([(await _rows(target, "payment", query))[0][0] for query in (_PENDING, _READING)]),
    }
    counts = await _counts(target, "intent")
    return {service: count - waiting.get(service, 0) for service, count in counts.items()}


async def _charges(target: Target) -> tuple[tuple[ChargeSeen, ...], bool]:
    """Since a day before the first order."""
    first = (await _rows(target, "order", "SELECT min(created_at) FROM orders"))[0][0]
    return await provider.charges(target, first and first - timedelta(days=1))


async def _mails(target: Target) -> tuple[MailSeen, ...]:
    async with httpx.AsyncClient(timeout=TIMEOUT_SECONDS) as http:
        caught = await mails(http, target.mailbox_url)
    return tuple(MailSeen(mail.order_id, mail.reason, mail.message_id, mail.refund_id) for mail in caught)


async def _counts(target: Target, table: str) -> dict[str, int]:
    query = f"SELECT count(*) FROM {table}"  # noqa: S608  one of two names of ours
    return {service: (await _rows(target, service, query))[0][0] for service in SERVICES}


async def _trespassers(target: Target) -> tuple[str, ...]:
    query = "SELECT has_database_privilege($1, $2, 'CONNECT')"
    async with _connected(target, "postgres") as connection:
        found = [
            f"{role} -> {database}"
            for role in SERVICES
            for database in SERVICES
            if role != database and await connection.fetchval(query, role, database)
        ]
    return tuple(found)


async def _pairs(target: Target, database: str, query: str) -> dict[str, str]:
    return dict(await _rows(target, database, query))


async def _rows(target: Target, database: str, query: str) -> list[Any]:
    async with _connected(target, database) as connection:
        rows: list[Any] = await connection.fetch(query)
        return rows


@asynccontextmanager
async def _connected(target: Target, database: str) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(
        target.operator_dsn(database), timeout=TIMEOUT_SECONDS, command_timeout=TIMEOUT_SECONDS
    )
    try:
        yield connection
    finally:
        await connection.close()
