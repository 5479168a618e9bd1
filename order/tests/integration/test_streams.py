"""Event streams over HTTP; the changes are committed by another process than the one that streams."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from typing import Any
from uuid import UUID, uuid4

import pytest

from contracts.testing import stock_reserved

Start = Callable[..., Awaitable[Any]]
StreamEvent = tuple[str, str, dict[str, Any]]


@pytest.fixture
def watch(bearer: Any) -> Any:
    """`async with watch(order, order_id, shopper) as events`: iterate over (event, id, data)."""

    @asynccontextmanager
    async def open_(order: Any, order_id: UUID, shopper: UUID, last: str = "") -> AsyncIterator[Any]:
        headers = bearer(shopper) | ({"Last-Event-ID": last} if last else {})
        async with order.http.stream("GET", f"/v1/orders/{order_id}/events", headers=headers) as answer:
            assert answer.status_code == 200, await answer.aread()
            assert answer.headers["content-type"].startswith("text/event-stream")
            async with aclosing(parsed(answer.aiter_lines())) as events:
                yield events

    return open_


async def parsed(lines: AsyncIterator[str]) -> AsyncGenerator[StreamEvent, None]:
    """The events of a stream; comments come as such. Source: HTML, 9.2.6."""
    fields: dict[str, str] = {}
    async for line in lines:
        if line.startswith(":"):
            yield ("comment", "", {})
        elif line:
            name, _, value = line.partition(": ")
            fields[name] = value
        elif "retry" in fields:
            yield ("retry", "", {})
            fields = {}
        elif fields:
            yield (fields["event"], fields.get("id", ""), json.loads(fields["data"]))
            fields = {}


async def everything(events: Any) -> list[str]:
    return [data.get("type") or f"order {data['status']}" async for _, _, data in events]


async def test_a_stream_sends_past_events_then_new_ones_until_the_order_ends(
    order: Any, paid: Any, shopper: UUID, watch: Any
) -> None:
    order_id = await order.placed(shopper)
    await order.consume(stock_reserved(order_id=order_id))
    async with watch(order, order_id, shopper) as events:
        event, id_, data = await anext(events)
        assert (event, id_, data["type"]) == ("timeline", "stock.reserved", "stock.reserved")
        view = (await order.get(f"/v1/orders/{order_id}", shopper)).json()
        state = {name: view[name] for name in ("order_id", "number", "status", "reason", "action")}
        assert await anext(events) == ("order", "", state)
        await order.consume(paid(order_id))
        event, id_, data = await anext(events)
        assert (event, id_, data["type"]) == ("timeline", "stock.reserved,order.paid", "order.paid")
        assert (await anext(events))[2]["status"] == "paid"
        assert await anext(events, None) is None


async def test_a_stream_of_an_ended_order_sends_everything_at_once(
    order: Any, paid: Any, shopper: UUID, watch: Any
) -> None:
    order_id = await order.placed(shopper)
    await order.consume(paid(order_id))
    async with watch(order, order_id, shopper) as events:
        assert await everything(events) == ["order.paid", "order paid"]


async def test_a_reconnecting_reader_gets_only_what_it_missed(
    order: Any, paid: Any, shopper: UUID, watch: Any
) -> None:
    order_id = await order.placed(shopper)
    await order.consume(stock_reserved(order_id=order_id))
    async with watch(order, order_id, shopper) as events:
        last = (await anext(events))[1]
    await order.consume(paid(order_id))
    async with watch(order, order_id, shopper, last) as events:
        assert await everything(events) == ["order.paid", "order paid"]


async def test_a_reader_that_has_everything_gets_204(
    order: Any, paid: Any, shopper: UUID, watch: Any, bearer: Any
) -> None:
    order_id = await order.placed(shopper)
    await order.consume(paid(order_id))
    async with watch(order, order_id, shopper) as events:
        last = (await anext(events))[1]
    headers = bearer(shopper) | {"Last-Event-ID": last}
    assert (await order.http.get(f"/v1/orders/{order_id}/events", headers=headers)).status_code == 204


async def test_changes_in_this_process_are_streamed_without_waiting_for_the_poll(
    start: Start, paid: Any, shopper: UUID, watch: Any
) -> None:
    order = await start(watch_every=300)
    order_id = await order.placed(shopper)
    async with watch(order, order_id, shopper) as events:
        assert (await anext(events))[2]["status"] == "pending"
        async with asyncio.timeout(20):
            await order.consume(paid(order_id), here=True)
            assert await everything(events) == ["order.paid", "order paid"]


async def test_many_orders_are_watched_at_once(
    order: Any, services: Any, paid: Any, shopper: UUID, watch: Any
) -> None:
    ids = [await order.placed(shopper) for _ in range(8)]

    async def read(order_id: UUID) -> list[str]:
        async with watch(order, order_id, shopper) as events:
            return await everything(events)

    readers = [asyncio.create_task(read(order_id)) for order_id in ids for _ in range(2)]
    for order_id in ids[:4]:
        await order.consume(stock_reserved(order_id=order_id))
    await order.consume(*[paid(order_id) for order_id in ids[:4]])
    for order_id in ids[4:]:
        await order.cancel(order_id, shopper)
    streams = await asyncio.gather(*readers)
    assert all(events[-1] == "order paid" for events in streams[:8])
    assert all(
        [one for one in events if "." in one] == ["stock.reserved", "order.paid"] for events in streams[:8]
    )
    assert all(events[-1] == "order cancelled" for events in streams[8:])


async def test_a_silent_stream_is_kept_alive(start: Start, shopper: UUID, watch: Any) -> None:
    order = await start(stream_heartbeat=0.05)
    order_id = await order.placed(shopper)
    async with watch(order, order_id, shopper) as events:
        kinds = [(await anext(events))[0] for _ in range(4)]
    assert kinds.count("order") == 1
    assert kinds.count("comment") == 3


async def test_streams_are_limited_and_closing_one_allows_another(
    start: Start, services: Any, shopper: UUID, watch: Any
) -> None:
    order = await start(max_streams=1)
    order_id = await order.placed(shopper)
    other = uuid4()
    services.carts[other] = {"MUG": 1}
    others_id = await order.placed(other)
    async with watch(order, order_id, shopper) as events:
        await anext(events)
        refused = await order.get(f"/v1/orders/{others_id}/events", other)
        assert refused.status_code == 503
        assert refused.headers["retry-after"]
    async with asyncio.timeout(10):
        while True:
            try:
                async with watch(order, others_id, other) as events:
                    assert (await anext(events))[2]["status"] == "pending"
                    return
            except AssertionError:
                await asyncio.sleep(0.02)  # until the server has noticed that the first one left


async def test_a_caller_with_all_streams_loses_some_to_others(
    start: Start, services: Any, shopper: UUID, watch: Any
) -> None:
    order = await start(max_streams=4)
    order_id = await order.placed(shopper)
    other = uuid4()
    services.carts[other] = {"MUG": 1}
    others_id = await order.placed(other)
    async with AsyncExitStack() as opened:
        hostile = [await opened.enter_async_context(watch(order, order_id, shopper)) for _ in range(6)]
        async with watch(order, others_id, other) as events:
            assert (await anext(events))[2]["status"] == "pending"
            async with asyncio.timeout(10):
                for displaced in hostile[:3]:
                    assert [event async for event, _, _ in displaced][-1] == "retry"


async def test_a_stream_ends_with_the_token_that_opened_it(order: Any, shopper: UUID, bearer: Any) -> None:
    order_id = await order.placed(shopper)
    expiring = bearer(shopper, lifetime=-9)  # a second is left of the leeway for clocks that differ
    async with (
        asyncio.timeout(10),
        order.http.stream("GET", f"/v1/orders/{order_id}/events", headers=expiring) as answer,
    ):
        assert answer.status_code == 200
        assert "event: order" in (await answer.aread()).decode()


async def test_streams_end_when_the_server_stops(order: Any, shopper: UUID, watch: Any) -> None:
    order_id = await order.placed(shopper)
    async with watch(order, order_id, shopper) as events:
        await anext(events)
        order.stopping.set()
        async with asyncio.timeout(10):
            assert await anext(events, None) is None
    assert (await order.get(f"/v1/orders/{order_id}/events", shopper)).status_code == 503


async def test_two_events_of_one_type_are_both_sent_and_not_repeated(
    order: Any, paid: Any, shopper: UUID, watch: Any
) -> None:
    order_id = await order.placed(shopper)
    returns = [await returned(order, order_id) for _ in range(2)]
    async with watch(order, order_id, shopper) as events:
        assert [(await anext(events))[2]["id"] for _ in returns] == returns
        await order.consume(paid(order_id))
        assert (await anext(events))[0] == "order"
        _, last, data = await anext(events)
        assert data["type"] == "order.paid"
    assert last == ",".join([*returns, "order.paid"])
    async with watch(order, order_id, shopper, ",".join(returns)) as events:
        assert await everything(events) == ["order.paid", "order paid"]


async def test_events_after_the_end_do_not_lengthen_the_last_event_id(
    order: Any, paid: Any, shopper: UUID, watch: Any
) -> None:
    order_id = await order.placed(shopper)
    await order.consume(paid(order_id))
    late = [await returned(order, order_id) for _ in range(2)]
    async with watch(order, order_id, shopper) as events:
        ids = [(data.get("id"), last) async for _, last, data in events][:-1]
    assert ids == [(f"order.paid/{order_id}", "order.paid"), *((id_, "order.paid") for id_ in late)]


async def returned(order: Any, order_id: UUID) -> str:
    """An event of a subject of its own in the order's timeline."""
    event_id = f"stock.returned/{uuid4()}"
    await order.database.execute(
        "INSERT INTO timeline (event_id, order_id, type, said_by, time, data)"
        " VALUES ($1, $2, 'stock.returned', 'product', clock_timestamp(), '{}')",
        event_id,
        order_id,
    )
    return event_id
