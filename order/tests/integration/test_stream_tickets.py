"""Tickets for event streams: a browser's EventSource opens one with a ticket."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID, uuid4

Start = Callable[..., Awaitable[Any]]
# Exactly what Firefox sends.
BROWSER = {"Accept": "text/event-stream", "Cache-Control": "no-cache", "Pragma": "no-cache"}


async def ticket(order: Any, order_id: UUID, headers: Any) -> dict[str, Any]:
    answer = await order.http.post(f"/v1/orders/{order_id}/events/ticket", headers=headers)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


async def opened(order: Any, path: str, **headers: str) -> Any:
    """The status, and what the stream sent until it ended."""
    async with asyncio.timeout(20), order.http.stream("GET", path, headers=BROWSER | headers) as answer:
        return answer.status_code, (await answer.aread()).decode()


async def test_a_browser_opens_the_stream_with_only_a_ticket(
    order: Any, paid: Any, shopper: UUID, bearer: Any
) -> None:
    order_id = await order.placed(shopper)
    issued = await ticket(order, order_id, bearer(shopper))
    assert issued["events"] == f"/v1/orders/{order_id}/events?ticket={issued['ticket']}"
    assert 28 <= issued["expires_in"] <= 30
    async with order.http.stream("GET", issued["events"], headers=BROWSER) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        chunks = answer.aiter_text()
        assert "event: order" in await anext(chunks)
        await order.consume(paid(order_id))
        rest = "".join([chunk async for chunk in chunks])
    assert '"status":"paid"' in rest


async def test_a_browser_reconnects_with_the_same_ticket_and_gets_what_it_missed(
    order: Any, paid: Any, shopper: UUID, bearer: Any
) -> None:
    order_id = await order.placed(shopper)
    await order.consume(paid(order_id))
    events = (await ticket(order, order_id, bearer(shopper)))["events"]
    status, first = await opened(order, events)
    assert (status, "id: order.paid" in first) == (200, True)
    assert (await opened(order, events, **{"Last-Event-ID": "order.paid"}))[0] == 204


async def test_an_order_may_be_named_by_its_number(order: Any, paid: Any, shopper: UUID, bearer: Any) -> None:
    order_id = await order.placed(shopper)
    await order.consume(paid(order_id))
    number = (await order.get(f"/v1/orders/{order_id}", shopper)).json()["number"]
    text = (await ticket(order, number, bearer(shopper)))["ticket"]
    assert (await opened(order, f"/v1/orders/{number}/events?ticket={text}"))[0] == 200


async def test_only_the_owner_gets_a_ticket(order: Any, shopper: UUID, bearer: Any) -> None:
    order_id = await order.placed(shopper)
    path = f"/v1/orders/{order_id}/events/ticket"
    assert (await order.http.post(path)).status_code == 401
    assert (await order.http.post(path, headers=bearer(uuid4()))).status_code == 404
    assert (await order.http.post(path, headers=bearer(uuid4(), role="admin"))).status_code == 201


async def test_every_invalid_ticket_gets_the_same_response(start: Start, shopper: UUID, bearer: Any) -> None:
    order = await start(ticket_seconds=1)
    order_id, other = await order.placed(shopper), await order.placed(shopper)
    old = (await ticket(order, order_id, bearer(shopper)))["ticket"]
    await asyncio.sleep(1.1)
    good = (await ticket(order, order_id, bearer(shopper)))["ticket"]
    tampered = good[:-1] + ("A" if good[-1] != "A" else "Q")
    others = (await ticket(order, other, bearer(shopper)))["ticket"]
    refused = [
        await order.http.get(f"/v1/orders/{where}/events", params={"ticket": text}, headers=BROWSER)
        for where, text in [
            (order_id, old),
            (order_id, tampered),
            (order_id, others),
            (uuid4(), good),
            (order_id, ""),
            (order_id, "x" * 5000),
            (order_id, "\x00\u202e"),
            (order_id, bearer(shopper)["Authorization"].split()[1]),
        ]
    ]
    assert {answer.status_code for answer in refused} == {401}
    assert len({answer.content for answer in refused}) == 1
    assert refused[0].json()["type"] == "/problems/ticket-not-valid"
    assert refused[0].headers["content-type"] == "application/problem+json"


async def test_a_ticket_opens_nothing_else(order: Any, shopper: UUID, bearer: Any) -> None:
    order_id = await order.placed(shopper)
    text = (await ticket(order, order_id, bearer(shopper)))["ticket"]
    for path in (f"/v1/orders/{order_id}", f"/v1/orders/{order_id}/timeline", "/v1/orders"):
        assert (await order.http.get(path, params={"ticket": text})).status_code == 422  # no such parameter
        as_token = {"Authorization": f"Bearer {text}"}
        assert (await order.http.get(path, headers=as_token)).status_code == 401


async def test_an_invalid_ticket_is_refused_even_with_a_valid_token(
    order: Any, shopper: UUID, bearer: Any
) -> None:
    order_id = await order.placed(shopper)
    path = f"/v1/orders/{order_id}/events"
    answer = await order.http.get(path, params={"ticket": "x"}, headers=bearer(shopper))
    assert answer.status_code == 401


async def test_a_stream_ends_with_the_token_that_got_its_ticket(
    order: Any, shopper: UUID, bearer: Any
) -> None:
    order_id = await order.placed(shopper)
    expiring = bearer(shopper, lifetime=-7)  # three seconds are left of the leeway for clocks that differ
    issued = await ticket(order, order_id, expiring)
    assert issued["expires_in"] <= 3
    status, received = await opened(order, issued["events"])
    assert (status, "event: order" in received) == (200, True)


async def test_streams_count_for_their_caller_with_tickets_as_with_tokens(
    start: Start, shopper: UUID, bearer: Any
) -> None:
    order = await start(max_streams_per_order=1)
    order_id = await order.placed(shopper)
    events = (await ticket(order, order_id, bearer(shopper)))["events"]
    first = asyncio.create_task(opened(order, events))
    await asyncio.sleep(0.3)
    async with order.http.stream("GET", f"/v1/orders/{order_id}/events", headers=bearer(shopper)) as answer:
        assert answer.status_code == 200
        status, received = await first
    assert (status, "retry: 15000" in received) == (200, True)
