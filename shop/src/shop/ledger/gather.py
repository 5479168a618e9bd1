"""Collecting evidence from a shop: databases, provider, mailbox and queues, each read once."""

import asyncio
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx

import auth.operations
import cart.operations
import notification.operations
import order.operations
import payment.operations
import product.operations
from shop.errors import ShopError
from shop.http import TIMEOUT_SECONDS, checked_json, management
from shop.ledger import provider
from shop.ledger.evidence import (
    CartRecord,
    Evidence,
    KeptMailRecord,
    LateRefundRecord,
    MailRecord,
    OrderRecord,
    ReturnRecord,
    StockRecord,
)
from shop.sagas.collecting import put_off_mails
from shop.services import ReadOnlyDatabases, open_databases
from shop.targets import SERVICES, Target

POLL_SECONDS = 0.5
STATISTICS_SECONDS = 12.0  # the broker counts its queues' messages every ten seconds
PAGE = 1000
# `<reason.order@host>`, for a partial refund `<refund.order.refund@host>`; `welcome` and `account` are about
# an account.
_MESSAGE_ID = re.compile(
    r"<?(?P<reason>receipt|cancellation|refund|welcome|account)\.(?P<subject>[0-9a-f-]{36})(?:\.(?P<refund>[0-9a-f-]{36}))?@"
)
_TRESPASSERS = """
    SELECT role || ' -> ' || database FROM unnest($1::text[]) AS role, unnest($1::text[]) AS database
    WHERE role <> database AND has_database_privilege(role, database, 'CONNECT') ORDER BY 1"""


async def until_quiet(target: Target, seconds: float) -> None:
    """Wait until no order is pending and nothing is in progress, at most `seconds`; the checks find the rest.

    It has to be quiet twice: the broker's statistics are seconds old, so a message between an outbox and its
    consumer is in neither for a moment. Raises ShopError if a database, provider, mailbox or broker does not
    answer.
    """
    deadline = time.monotonic() + seconds
    quiet = 0
    while time.monotonic() < deadline:
        quiet = 0 if await is_busy(target) else quiet + 1
        if quiet == 2:
            return
        await asyncio.sleep(POLL_SECONDS)


async def is_busy(target: Target) -> bool:
    """Whether an order is pending, or an event or a call in progress. Raises ShopError as `gather` does."""
    with _unavailable_reported():
        async with open_databases(target, TIMEOUT_SECONDS) as databases:
            counts = [
                *(await _counts(databases, "outbox")).values(),
                *(await _open_calls(databases)).values(),
                await _count(databases, "order", order.operations.PENDING_COUNT),
                await _count(databases, "payment", payment.operations.IN_PROGRESS_COUNT),
            ]
        depths = await _queue_depths(target)
    return any(counts) or _hold_live_messages(depths)


@contextmanager
def _unavailable_reported() -> Iterator[None]:
    try:
        yield
    except httpx.HTTPError as error:
        raise ShopError(f"a source of evidence does not answer ({error!r}): see `shop status`") from error


async def gather(target: Target) -> Evidence:
    """Raises ShopError when a source of evidence does not answer."""
    with _unavailable_reported():
        queues = await _recounted_depths(target)
        async with (
            open_databases(target, TIMEOUT_SECONDS) as databases,
            httpx.AsyncClient(timeout=TIMEOUT_SECONDS) as http,
        ):
            read = databases.rows
            first = (await read("order", order.operations.FIRST_PLACED))[0][0]
            charges, balances = await provider.charges(target, first and first - timedelta(days=1))
            return Evidence(
                now=datetime.now(UTC),
                orders=tuple(_order(row) for row in await read("order", order.operations.ORDERS)),
                payments=dict(await read("payment", payment.operations.PAYMENT_STATES)),
                disputes=dict(await read("payment", payment.operations.DISPUTE_STATUSES)),
                charges=charges,
                balances=balances,
                stock=await databases.records("product", StockRecord, product.operations.STOCK),
                holds=dict(await read("product", product.operations.HOLD_STATES)),
                refunds=dict(await read("payment", payment.operations.REFUND_STATES)),
                restocked={
                    return_id: lines
                    for (returned,) in await read("product", product.operations.RESTOCKED)
                    for return_id, lines in returned.items()
                },
                mails=await mails(http, target.mailbox_url),
                fates=dict(await read("notification", notification.operations.FATES_OF_MAILS)),
                kept=await databases.records(
                    "notification", KeptMailRecord, notification.operations.KEPT_MAILS
                ),
                put_off=frozenset(
                    (str(one.subject_id), one.reason) for one in await put_off_mails(databases)
                ),
                carts=tuple(
                    CartRecord(owner, tuple(ids), tuple(bought))
                    for owner, ids, bought in await read("cart", cart.operations.FILLED_CARTS)
                ),
                logged_in=dict(await read("auth", auth.operations.ACCOUNTS_OF_GUESTS)),
                moved=dict(await read("order", order.operations.ACCOUNTS_OF_GUESTS)),
                queues=queues,
                outboxes=await _counts(databases, "outbox"),
                intents=await _open_calls(databases),
                trespassers=tuple(found for (found,) in await read("order", _TRESPASSERS, SERVICES)),
            )


async def _recounted_depths(target: Target) -> dict[str, int]:
    """Each queue's messages. A queue that seems to hold some is read until the broker has counted again: its
    figure may be that of a moment ago, when the message was on its way."""
    deadline = time.monotonic() + STATISTICS_SECONDS
    while _hold_live_messages(depths := await _queue_depths(target)) and time.monotonic() < deadline:
        await asyncio.sleep(POLL_SECONDS)
    return depths


async def _queue_depths(target: Target) -> dict[str, int]:
    async with management(target) as broker:
        return {queue["name"]: queue.get("messages", 0) for queue in await broker.get("queues")}


def _hold_live_messages(depths: Mapping[str, int]) -> bool:
    return any(count for name, count in depths.items() if not name.endswith(".dead"))


def _order(row: Mapping[str, Any]) -> OrderRecord:
    return OrderRecord(
        row["order_id"],
        row["status"],
        row["reason"],
        row["total"],
        row["currency"],
        row["lines"],
        row["deadline"],
        frozenset(row["timeline"]),
        row["guest"],
        tuple(row["cart_ids"]),
        tuple(_return(one) for one in row["returns"]),
        _late(row["late_refunds"]),
        row["refunded_rest"],
        {one["dispute_id"]: one["status"] for one in row["disputes"]},
    )


def _late(known: list[dict[str, Any]]) -> tuple[LateRefundRecord, ...]:
    """Without what was settled in another way: the provider keeps that money, and no mail is sent."""
    settled = {
        str(order.operations.settled_as(UUID(one["refund_id"]))) for one in known if one["code"] is not None
    }
    return tuple(
        LateRefundRecord(one["refund_id"], one["amount"], one["code"] is not None)
        for one in known
        if one["refund_id"] not in settled
    )


def _return(one: dict[str, Any]) -> ReturnRecord:
    return ReturnRecord(
        one["return_id"],
        one["amount"],
        {line["sku"]: line["quantity"] for line in one["lines"]} if one["restock"] else {},
        one["state"] in ("received", "granted"),
        one["restocked_at"] is not None,
        one["refunded_at"] is not None,
        one["by"],
    )


async def _open_calls(databases: ReadOnlyDatabases) -> dict[str, int]:
    """Without mails that are put off, what waits for a shopper to confirm, and the reading of lists."""
    counts = await _counts(databases, "intent")
    counts["notification"] -= len(await put_off_mails(databases))
    counts["payment"] -= await _count(databases, "payment", payment.operations.WAITING_CALL_COUNT)
    return counts


async def _counts(databases: ReadOnlyDatabases, table: str) -> dict[str, int]:
    query = f"SELECT count(*) FROM {table}"  # noqa: S608  one of two names of ours
    return {service: await _count(databases, service, query) for service in SERVICES}


async def _count(databases: ReadOnlyDatabases, service: str, query: str) -> int:
    return int((await databases.rows(service, query))[0][0])


async def mails(http: httpx.AsyncClient, mailbox_url: str) -> tuple[MailRecord, ...]:
    """All mails, the newest first, by Mailpit's API. Raises ShopError on an error response."""
    caught: dict[str, MailRecord] = {}
    start = 0
    while True:
        page = checked_json(
            await http.get(f"{mailbox_url}/api/v1/messages", params={"limit": PAGE, "start": start})
        )
        for number, listed in enumerate(page["messages"], start):
            # New mails shift the pages: a page may begin with the end of the one before.
            caught.setdefault(str(listed.get("ID", number)), _mail(listed["MessageID"]))
        start += len(page["messages"])
        if not page["messages"] or start >= page["total"]:
            return tuple(caught.values())


def _mail(message_id: str | None) -> MailRecord:
    ours = _MESSAGE_ID.match(message_id or "")
    if ours is None:
        return MailRecord(None, None, message_id)
    order_id = None if ours["reason"] in ("welcome", "account") else ours["subject"]
    return MailRecord(order_id, ours["reason"], message_id, ours["refund"])
