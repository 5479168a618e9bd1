"""What an operator does after the last fault: nudge each saga for which `shop saga list` advises it."""

import asyncio
import time
from collections import Counter
from datetime import datetime, timedelta
from uuid import UUID

from devstack import Stack
from lab.services import fetch
from payment.operations import LISTS
from shop.ledger.gather import is_busy
from shop.publishing import nudge
from shop.sagas.collecting import take_snapshot
from shop.sagas.issues import stuck
from shop.sagas.snapshot import Issue
from shop.sagas.waiting import preview
from shop.services import open_databases

STUCK_AFTER = timedelta(seconds=15)  # after the last fault, what makes no progress for so long was lost
NUDGE_TIMEOUT = 30  # seconds for the shop to react to a nudge
NUDGES = 3  # of one order; then it is left to the checks
POLL_SECONDS = 2
MOST = 2000
WHY = "lost during a fault"
_LISTS_READ = "SELECT name FROM reconciliation WHERE began_at > $1 AND ended_at >= began_at"


def to_nudge(issues: list[Issue]) -> dict[UUID, str]:
    """The orders whose advice is a nudge, each with the kind of its first issue."""
    found: dict[UUID, str] = {}
    for issue in issues:
        if issue.order_id is not None and "shop saga nudge" in issue.next:
            found.setdefault(issue.order_id, issue.kind)
    return found


async def repair(stack: Stack, seconds: float, since: datetime) -> dict[str, int]:
    """Nudge stuck sagas until nothing is in progress and none is stuck any more, no shopper has time to
    confirm, and payment has compared the provider's lists since that time; at most so many seconds: the
    checks find what is left then. Returns how many orders were nudged, by kind of issue.

    Raises ShopError when a database does not answer.
    """
    deadline = time.monotonic() + seconds
    nudged: dict[UUID, float] = {}
    tries: Counter[UUID] = Counter()
    kinds: Counter[str] = Counter()
    while time.monotonic() < deadline:
        async with open_databases(stack) as databases:
            snapshot = await take_snapshot(stack, databases, limit=MOST)
        for order_id, kind in to_nudge(stuck(snapshot, STUCK_AFTER)).items():
            if order_id not in nudged:
                kinds[kind] += 1
            waited = time.monotonic() - nudged.get(order_id, float("-inf"))
            if tries[order_id] < NUDGES and waited > NUDGE_TIMEOUT:
                await nudge(stack, order_id, WHY, {"says_again": preview(snapshot, order_id)})
                nudged[order_id] = time.monotonic()
                tries[order_id] += 1
        still = [one for one in to_nudge(stuck(snapshot, timedelta())) if tries[one] < NUDGES]
        if not still and await _is_settled(stack, since) and not await is_busy(stack):
            break
        await asyncio.sleep(POLL_SECONDS)
    return dict(kinds)


async def _is_settled(stack: Stack, since: datetime) -> bool:
    """Whether no order waits for its shopper, and every list of the provider was read since that time, from
    its beginning to its end: then payment knows also what no webhook has reported."""
    if await fetch(stack, "order", "SELECT order_id FROM orders WHERE status = 'pending' LIMIT 1"):
        return False
    return {row["name"] for row in await fetch(stack, "payment", _LISTS_READ, since)} == LISTS.keys()
