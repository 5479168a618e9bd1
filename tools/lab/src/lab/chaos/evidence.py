"""The reasons for long recoveries, from orders' timelines and services' logs, once the storm is over."""

import asyncio
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import asyncpg

from devstack import Stack
from lab.chaos.memory import Checkout
from lab.chaos.recovery import Injected, Recovery
from lab.chaos.report import LONG
from lab.chaos.why import Gap, Moment, explain, logged, longest_gap
from shop.targets import SERVICES

_TIMELINE = "SELECT type, said_by, time FROM timeline WHERE order_id = $1::uuid ORDER BY time"
_ROTATED = ".1"


async def with_reasons(
    stack: Stack,
    recoveries: Sequence[Recovery],
    checkouts: Sequence[Checkout],
    injected: Sequence[Injected],
) -> list[Recovery]:
    """Those over LONG seconds, and the longest in any case, say why."""
    longest = max((one.alone or 0 for one in recoveries), default=0)
    over = {id(one.fault): one.over for one in injected}
    by_order = {order_id: one for one in checkouts for order_id in one.order_ids}
    return [
        replace(one, why=await _why(stack, one.held, over[id(one.fault)], by_order[one.held]))
        if one.held and one.alone and (one.alone > LONG or one.alone == longest)
        else one
        for one in recoveries
    ]


async def _why(stack: Stack, order_id: str, over: float, checkout: Checkout) -> str | None:
    connection = await asyncpg.connect(stack.operator_dsn("order"), timeout=10, command_timeout=10)
    try:
        events = await connection.fetch(_TIMELINE, order_id)
    finally:
        await connection.close()
    assert checkout.accepted_at is not None
    assert checkout.ended_at is not None
    ended = _wall(checkout.ended_at)
    gap = longest_gap(
        [
            Moment("the fault's end", "nobody", _wall(over)),
            Moment("the checkout was accepted", "order", _wall(checkout.accepted_at)),
            *(Moment(row["type"], row["said_by"], row["time"]) for row in events if row["time"] <= ended),
            Moment("the order was paid", "order", ended),
        ]
    )
    assert gap is not None
    return explain(gap, await asyncio.to_thread(_logged, stack, gap))


def _logged(stack: Stack, gap: Gap) -> list[str]:
    return logged(_lines(stack, gap.after.service), gap)


def _lines(stack: Stack, service: str) -> Iterator[str]:
    for copy in stack.copies(service) if service in SERVICES else []:
        log = stack.layout.log(copy)
        for file in (log.with_name(log.name + _ROTATED), log):
            if file.exists():
                with file.open(errors="replace") as lines:
                    yield from lines


def _wall(monotonic: float) -> datetime:
    return datetime.now(UTC) - timedelta(seconds=time.monotonic() - monotonic)
