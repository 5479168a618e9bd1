"""The poll that supplies all streams: shared, repeated after failures, and waiting for the timeline."""

import asyncio
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from cryptography.fernet import Fernet

from chassis.messaging.encryption import Cipher
from order.bank_page import Actions
from order.settings import Settings
from order.streams import Reader, Stream
from order.watch import Watch

from ..conftest import SETTINGS

FIRST, SECOND = UUID(int=1), UUID(int=2)
ADA = Reader(UUID(int=3), math.inf)


class Orders:
    """Answers each poll from the state that a test has set, and records the polls."""

    def __init__(self) -> None:
        self.status: dict[UUID, str] = {}
        self.timeline: dict[UUID, list[str]] = {}
        self.polls: list[list[UUID]] = []
        self.broken = 0

    async def changes(
        self, ids: Sequence[UUID], states: Sequence[str], delivered: Sequence[str]
    ) -> list[Any]:
        self.polls.append([*ids])
        if self.broken:
            self.broken -= 1
            raise ConnectionError
        rows: list[Any] = []
        for n, (order, status, known) in enumerate(zip(ids, states, delivered, strict=True), 1):
            new: list[str | None] = [
                type_ for type_ in self.timeline.get(order, []) if type_ not in known.split(",")
            ]
            types = new or ([None] if self.status.get(order, "pending") != status else [])
            rows += [self._row(n, order, type_) for type_ in types]
        return rows

    def _row(self, n: int, order: UUID, type_: str | None) -> dict[str, Any]:
        row = {"n": n, "status": self.status.get(order, "pending"), "reason": None, "type": type_}
        row |= {"number": "K7Q2X-9XMDA", "state": row["status"], "order_id": order, "action_url": None}
        row |= {"event_id": f"{type_}/{order}", "name": type_, "said_by": "x", "data": "{}"}
        row["time"] = datetime.now(UTC)
        return {**row, "causation_id": None, "traceparent": None}


@pytest.fixture
def orders() -> Orders:
    return Orders()


@pytest.fixture
def make(orders: Orders) -> Callable[..., Watch]:
    def watch(**changed: Any) -> Watch:
        given = {"watch_every": 0.02, "watch_gap": 0.01, "stream_heartbeat": 10, "stream_patience": 0.05}
        settings = Settings.model_validate(SETTINGS | given | {"max_streams": 10} | changed)
        actions = Actions(Cipher([Fernet.generate_key().decode()]))
        return Watch(settings, orders, actions, asyncio.Event())  # type: ignore[arg-type]

    return watch


async def read(watch: Watch, stream: Stream) -> str:
    async with asyncio.timeout(10):
        return b"".join([chunk async for chunk in watch.read(stream)]).decode()


async def test_one_poll_reads_for_all_streams(orders: Orders, make: Callable[..., Watch]) -> None:
    watch = make()
    streams = [watch.open(order, [], ADA) for order in (FIRST, SECOND)]
    orders.status = {FIRST: "paid", SECOND: "cancelled"}
    orders.timeline = {FIRST: ["order.paid"], SECOND: ["order.cancelled"]}
    first, second = await asyncio.gather(*(read(watch, stream) for stream in streams))
    assert "order.paid" in first
    assert "order.cancelled" in second
    assert set(orders.polls[0]) == {FIRST, SECOND}


async def test_without_streams_nothing_is_polled(orders: Orders, make: Callable[..., Watch]) -> None:
    watch = make()
    stream = watch.open(FIRST, [], ADA)
    await asyncio.sleep(0)
    watch.close(stream)
    for _ in range(10):
        watch.wake()
        await asyncio.sleep(0.01)
    assert len(orders.polls) <= 2  # the first, and one that was on its way


async def test_a_failed_poll_is_repeated(orders: Orders, make: Callable[..., Watch]) -> None:
    orders.broken = 2
    orders.status, orders.timeline = {FIRST: "paid"}, {FIRST: ["order.paid"]}
    watch = make()
    assert '"status":"paid"' in await read(watch, watch.open(FIRST, [], ADA))


async def test_the_last_state_waits_for_its_event(orders: Orders, make: Callable[..., Watch]) -> None:
    orders.status = {FIRST: "paid"}
    watch = make(stream_patience=10)
    stream = watch.open(FIRST, [], ADA)
    reading = asyncio.create_task(read(watch, stream))
    while len(orders.polls) < 3:
        await asyncio.sleep(0.005)
    orders.timeline = {FIRST: ["order.created", "order.paid"]}
    received = await reading
    assert received.index("order.created") < received.index("order.paid") < received.index('"status":"paid"')


async def test_the_last_state_waits_a_limited_time(orders: Orders, make: Callable[..., Watch]) -> None:
    orders.status = {FIRST: "paid"}
    watch = make(stream_patience=0.05)
    assert '"status":"paid"' in await read(watch, watch.open(FIRST, [], ADA))


async def test_closing_ends_the_poll_and_the_streams(orders: Orders, make: Callable[..., Watch]) -> None:
    watch = make()
    stream = watch.open(FIRST, [], ADA)
    await asyncio.sleep(0.03)
    await watch.aclose()
    assert '"status":"pending"' in await read(watch, stream)


async def test_a_stream_ends_with_its_token(orders: Orders, make: Callable[..., Watch]) -> None:
    watch = make()
    expiring = replace(ADA, until=time.time() + 0.05)
    assert '"status":"pending"' in await read(watch, watch.open(FIRST, [], expiring))
    expired = replace(ADA, until=time.time() - 1)
    assert await read(watch, watch.open(FIRST, [], expired)) == ""


async def test_a_displaced_stream_tells_its_reader_to_reconnect_later(
    orders: Orders, make: Callable[..., Watch]
) -> None:
    watch = make()
    oldest, *_ = [watch.open(FIRST, [], ADA) for _ in range(6)]
    assert (await read(watch, oldest)).endswith("retry: 15000\n\n")
