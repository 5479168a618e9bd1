"""A saga that lost an event is stuck, is found, and continues when it is nudged: on the whole shop."""

import asyncio
from uuid import uuid4

import pytest

from devstack import Stack
from lab.services import scenario_shop
from scenarios.play import new_play
from shop.audit.trail import Audit, Entry
from shop.errors import ShopError

from ..conftest import Run

AT_ONCE = ("--patience", "0.001")


async def placed(stack: Stack, queue: str, key: str, *, until: str) -> str:
    """An order of which one event never reaches a queue, once `until` was published."""
    async with new_play(scenario_shop(stack)) as play:
        await play.fill_cart()
        bound = await play.broker.channel.declare_queue(queue, passive=True)
        await bound.unbind("events", key)
        try:
            order_id = await play.check_out()
            await play.until_published(until)
        finally:
            await bound.bind("events", key)
    return order_id


async def audited(stack: Stack, order_id: str) -> list[Entry]:
    async with Audit.opened(stack, "test") as audit:
        return await audit.entries(limit=10, order_id=order_id)


def test_an_order_that_missed_its_payment_is_found_nudged_and_paid(stack: Stack, run: Run) -> None:
    order_id = asyncio.run(placed(stack, "order", "order.paid", until="order.paid"))

    code, listed = run("saga", "list", *AT_ONCE)
    assert code == 3
    assert "paid-not-consumed" in [one["kind"] for one in listed["stuck"] if one["order_id"] == order_id]
    code, shown = run("saga", "show", order_id, *AT_ONCE)
    assert (code, shown["order"]["status"]) == (0, "pending")
    assert shown["waits_for"] == ["order to consume order.paid"]

    number = shown["order"]["number"]
    assert number in [one["number"] for one in listed["stuck"] if one["order_id"] == order_id]
    assert run("saga", "show", number.lower(), *AT_ONCE)[1]["order"] == shown["order"]

    why = "order lost order.paid"
    code, nudged = run("saga", "nudge", number, "--why", why, "--yes", "--wait", "60", *AT_ONCE)
    assert (code, nudged["says_again"]["payment"]) == (0, ["order.paid"])
    assert nudged["after"]["order"]["status"] == "paid"
    assert (nudged["after"]["waits_for"], nudged["after"]["stuck"]) == ([], [])
    [entry] = asyncio.run(audited(stack, order_id))
    assert (entry.action, entry.why, entry.state) == ("nudge", why, "done")
    assert entry.message_id == f"saga.nudged/{nudged['nudge_id']}"

    code, again = run("saga", "nudge", order_id, "--why", "to be sure", "--yes", "--wait", "60", *AT_ONCE)
    assert code == 0
    assert again["after"]["events"] == nudged["after"]["events"], "a repeated event has no effect"


def test_a_nudge_reserves_stock_if_product_missed_the_order(stack: Stack, run: Run) -> None:
    order_id = asyncio.run(placed(stack, "product", "order.created", until="payment.authorized"))

    code, nudged = run(
        "saga", "nudge", order_id, "--why", "product lost it", "--yes", "--wait", "60", *AT_ONCE
    )
    assert (code, nudged["says_again"]["order"]) == (0, ["order.created"])
    assert nudged["after"]["order"]["status"] == "paid"
    causes = {event["type"]: event["causation_id"] for event in nudged["after"]["events"]}
    assert causes["stock.reserved"] == f"order.created/{order_id}"


def test_orders_are_listed_by_status(stack: Stack, run: Run) -> None:
    async def paid() -> str:
        async with new_play(scenario_shop(stack)) as play:
            await play.fill_cart()
            order_id = await play.check_out()
            await play.until("paid")
        return order_id

    order_id = asyncio.run(paid())
    code, listed = run("saga", "list", "--state", "paid", "--limit", "1")
    assert code == 0
    assert [one["order_id"] for one in listed["orders"]] == [order_id]


def test_an_unknown_order_is_neither_shown_nor_nudged(run: Run) -> None:
    nobodys = str(uuid4())
    with pytest.raises(ShopError, match=f"no order {nobodys}"):
        run("saga", "show", nobodys)
    with pytest.raises(ShopError, match="no order 00000-00000"):
        run("saga", "show", "0000000000")
    with pytest.raises(ShopError, match=f"no order {nobodys}"):
        run("saga", "nudge", nobodys, "--why", "a slip", "--yes")
