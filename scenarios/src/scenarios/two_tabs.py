"""One cart in two tabs, and a price that is raised after the page was shown."""

import asyncio
from typing import Any

from scenarios.play import PRICE, Outcome, Play, scenario

RAISED_PRICE = 2 * PRICE


@scenario(Outcome("paid", captured=1000, mails=("receipt",), taken=2))
async def two_tabs(play: Play) -> None:
    """Two tabs submit one cart, again after a cancellation and once it is paid: one order each time."""
    async with play.stopped("payment"):
        await play.fill_cart(2)
        cancelled = await _submit_twice(play)
        await play.shopper.cancel(cancelled)
        play.order_id = await _submit_twice(play)
        play.claim("a cancelled order's cart can be ordered again", play.order_id != cancelled)
    await play.until("paid")
    await play.shopper.until_cart_is_empty()
    late = await play.shopper.try_check_out()
    play.claim(
        "a tab that submits later gets a link to the paid order", _linked_order(late.json()) == play.order_id
    )


async def _submit_twice(play: Play) -> str:
    """Submit the cart in two tabs at once; returns the order that comes of it."""
    answers = await asyncio.gather(*(play.shopper.try_check_out() for _ in range(2)))
    statuses = sorted(answer.status_code for answer in answers)
    play.claim("one tab is accepted, the other rejected", statuses == [202, 409])
    accepted, refused = sorted((answer.json() for answer in answers), key=lambda body: "type" in body)
    order_id = str(accepted["order_id"])
    play.claim("the other tab gets a link to the order", _linked_order(refused) == order_id)
    return order_id


def _linked_order(problem: dict[str, Any]) -> str | None:
    """The order that a rejection links to."""
    is_right = problem.get("type") == "/problems/cart-already-ordered"
    return problem["links"]["self"].removeprefix("/v1/orders/") if is_right else None


@scenario(Outcome("paid", captured=2000, mails=("receipt",), taken=2))
async def price_raised(play: Play) -> None:
    """The price doubles after the page was shown: the shopper is not charged more than she agreed to."""
    await play.fill_cart(2)
    shown = {"amount": 2 * PRICE, "currency": "GBP"}
    lines = [{"sku": play.sku, "quantity": 2}]
    await play.reprice(RAISED_PRICE)
    rejected = await play.shopper.try_check_out(key="agreed", expected_total=shown, expected_lines=lines)
    now = rejected.json()
    play.claim("it is rejected", (rejected.status_code, now["type"]) == (409, "/problems/total-changed"))
    play.claim(
        "the response has the new total", now["total"] == {"amount": 2 * RAISED_PRICE, "currency": "GBP"}
    )
    play.claim("and the new prices", [line["unit_price"] for line in now["lines"]] == [RAISED_PRICE])
    await play.check_out(key="agreed", expected_total=now["total"], expected_lines=lines)
    await play.until("paid")
