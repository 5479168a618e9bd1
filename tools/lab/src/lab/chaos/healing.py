"""What an operator does when the storm is over: nudge whatever `shop saga list` says is to be nudged."""

import asyncio
import time
from collections import Counter
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg

from devstack import Stack
from payment.operations import LISTS
from shop.ledger.gather import is_busy
from shop.sagas.collecting import take_snapshot
from shop.sagas.issues import stuck
from shop.sagas.nudging import nudge, preview
from shop.sagas.snapshot import Issue, Snapshot
from shop.services import open_databases

PATIENCE = timedelta(seconds=15)  # the storm is over: what makes no progress for so long has been lost
AGAIN_SECONDS = 30  # the shop has so long for what a nudge asks of it
TRIES = 3  # then it is a finding for the report
LOOK_SECONDS = 2
MOST = 2000
WHY = "lost in the storm"
_READ = "SELECT name FROM reconciliation WHERE began_at > $1 AND ended_at >= began_at"


def to_nudge(findings: list[Issue]) -> dict[UUID, str]:
    """The orders whose advice is a nudge, each with the kind of its first finding."""
    found: dict[UUID, str] = {}
    for finding in findings:
        if finding.order_id is not None and "shop saga nudge" in finding.next:
            found.setdefault(finding.order_id, finding.kind)
    return found


async def heal(stack: Stack, seconds: float, storm_over: datetime) -> dict[str, int]:
    """Until nothing is on its way and nothing is to be nudged any more, no shopper has time to confirm, and
    payment has compared the provider's lists since the storm was over; at most so many seconds: what is left
    then is for the checks to find. Returns how many orders were nudged, by kind of finding.

    Raises ShopError when a witness does not answer.
    """
    deadline = time.monotonic() + seconds
    nudged: dict[UUID, float] = {}
    tries: Counter[UUID] = Counter()
    kinds: Counter[str] = Counter()
    while time.monotonic() < deadline:
        seen = await _look(stack)
        waiting = to_nudge(stuck(seen, PATIENCE))
        for order_id, kind in waiting.items():
            if order_id not in nudged:
                kinds[kind] += 1
            if (
                tries[order_id] < TRIES
                and time.monotonic() - nudged.get(order_id, float("-inf")) > AGAIN_SECONDS
            ):
                await nudge(stack, order_id, WHY, {"says_again": preview(seen, order_id)})
                nudged[order_id] = time.monotonic()
                tries[order_id] += 1
        still = [one for one in to_nudge(stuck(seen, timedelta())) if tries[one] < TRIES]
        if not still and await _is_over(stack, storm_over) and not await is_busy(stack):
            break
        await asyncio.sleep(LOOK_SECONDS)
    return dict(kinds)


async def _is_over(stack: Stack, since: datetime) -> bool:
    """Whether no order waits for its shopper, and every list of the provider was read since then, from its
    beginning to its end: what no webhook has told is known."""
    pending = await _values(stack, "order", "SELECT order_id FROM orders WHERE status = 'pending' LIMIT 1")
    return not pending and set(await _values(stack, "payment", _READ, since)) == LISTS.keys()


async def _values(stack: Stack, database: str, query: str, *arguments: object) -> list[Any]:
    connection = await asyncpg.connect(stack.operator_dsn(database), timeout=10, command_timeout=10)
    try:
        return [row[0] for row in await connection.fetch(query, *arguments)]
    finally:
        await connection.close()


async def _look(stack: Stack) -> Snapshot:
    async with open_databases(stack) as databases:
        return await take_snapshot(stack, databases, limit=MOST)
