"""*How this works*: the saga's lanes, drawn from the timeline, with the steps that are still to come."""

import re
from typing import Any

from ..conftest import Browser, FakeApi
from .test_orders import CREATED, ORDER, PAID, ago, api, event, shopper
from .test_returns import SHIPPED, answer, returned

__all__ = ["api", "shopper"]

RESERVED = event("stock.reserved", "product", ago(seconds=8), "order.created")
AUTHORIZED = event("payment.authorized", "payment", ago(seconds=8), "order.created")


async def drawn(shopper: Browser, api: FakeApi, order: dict[str, Any], *events: dict[str, Any]) -> str:
    answer(api, order)
    api.answer("GET /v1/orders/0190/timeline", {"events": list(events)})
    return (await shopper.get("/orders/0190?how=1")).text


def rows(page: str) -> list[str]:
    """The kind and the type of each row."""
    drawing = page.partition('<ol class="lanes">')[2]
    found = re.findall(r'<li class="(\w+)">.*?<code>([a-z._]+)</code>', drawing, re.DOTALL)
    return [f"{kind} {type_}" for kind, type_ in found]


async def test_it_is_shown_on_demand(shopper: Browser, api: FakeApi) -> None:
    answer(api, ORDER)
    page = (await shopper.get("/orders/0190")).text
    assert 'href="/orders/0190?how=1#how"' in page
    assert 'class="lanes"' not in page
    page = await drawn(shopper, api, ORDER, CREATED)
    assert 'href="/orders/0190#how"' in page
    assert 'action="/orders/0190/cancel?how=1"' in page


async def test_a_pending_order_has_its_steps_ahead(shopper: Browser, api: FakeApi) -> None:
    page = await drawn(shopper, api, ORDER, CREATED, RESERVED)
    assert rows(page) == [
        "event order.created",
        "event stock.reserved",
        "ahead payment.authorized",
        "ahead order.paid",
    ]
    assert page.count("not taken yet") == 2


async def test_a_row_says_what_led_to_it_in_words_and_by_a_line(shopper: Browser, api: FakeApi) -> None:
    page = await drawn(shopper, api, ORDER, CREATED, RESERVED)
    [row] = [one for one in page.split("<li ") if "<code>stock.reserved</code>" in one]
    assert "after 1.00 s, because of order.created" in row
    assert '<span class="way right from-0 to-1" aria-hidden="true">' in row
    assert '<span class="lane">product</span>' in row


async def test_the_point_of_no_return_and_the_mail_are_marked(shopper: Browser, api: FakeApi) -> None:
    page = await drawn(shopper, api, {**ORDER, "status": "paid"}, CREATED, RESERVED, AUTHORIZED, PAID)
    [row] = [one for one in page.split("<li ") if "<code>order.paid</code>" in one]
    assert "◆" in row
    assert "point of no return" in row
    assert "Notification writes you a mail about it." in row
    assert rows(page)[-1] == "ahead order.fulfilled"


async def test_what_is_undone_is_marked_and_what_is_still_to_undo_is_ahead(
    shopper: Browser, api: FakeApi
) -> None:
    cancelled = {**ORDER, "status": "cancelled", "reason": "shopper", "paid_at": PAID["time"]}
    events = [
        *(CREATED, RESERVED, PAID),
        event("order.cancelled", "order", ago(seconds=5)),
        event("stock.released", "product", ago(seconds=4), "order.cancelled"),
    ]
    page = await drawn(shopper, api, {**cancelled, "stock_released_at": ago(seconds=4)}, *events)
    assert rows(page)[-3:] == [
        "refusal order.cancelled",
        "compensation stock.released",
        "ahead payment.refunded",
    ]
    assert "undoes an earlier step" in page


async def test_a_return_has_its_steps_ahead(shopper: Browser, api: FakeApi) -> None:
    requested = {**SHIPPED, "returns": [returned("requested")]}
    page = await drawn(shopper, api, requested, CREATED, PAID)
    assert rows(page)[-3:] == [
        "ahead order.returned",
        "ahead stock.returned",
        "ahead payment.refunded_in_part",
    ]


async def test_every_term_that_is_linked_is_explained(shopper: Browser, api: FakeApi) -> None:
    page = await drawn(shopper, api, ORDER, CREATED, RESERVED, AUTHORIZED, PAID)
    linked = set(re.findall('href="#(term-[a-z-]+)"', page))
    assert linked
    assert linked <= set(re.findall('id="(term-[a-z-]+)"', page))
