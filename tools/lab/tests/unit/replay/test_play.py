"""Steps are played as a shopper would, each is followed to its end, and an error in one stops no other."""

import asyncio
import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from lab.replay.catalogue import Offer
from lab.replay.customers import Customers
from lab.replay.invoices import InvoiceFile
from lab.replay.journal import Journal
from lab.replay.plan import Order, Playable, plan, resumed
from lab.replay.play import Player, Result
from tools.lab.tests.invoice_files import ReadInvoices, row
from tools.lab.tests.unit.replay.small_shop import PRICE, SmallShop

OFFERS = dict.fromkeys(("85123A", "71053", "SHORT", "STUCK", "REFUSED", "DEAR"), Offer(PRICE))
NONE: Mapping[str, Order] = {}


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "journal")


async def play(
    shop: SmallShop,
    file: InvoiceFile,
    *,
    run: str = "one",
    at_once: int = 4,
    offers: Mapping[str, Offer] = OFFERS,
    orders: Mapping[str, Order] = NONE,
    journal: Journal | None = None,
) -> dict[str, Result]:
    steps = resumed(plan(file.invoices), orders)
    reported: list[Result] = []
    journal = journal or Journal(Path(os.devnull))
    async with shop.client() as http:
        player = Player(Customers(http, "secret"), offers, journal, run, timeout=0.5)
        results = await player.play_all(steps, at_once, reported.append)
    assert [result.step for result in results] == steps
    played = [result for result in results if isinstance(result.step, Playable)]
    assert sorted(map(id, reported)) == sorted(map(id, played))
    return {result.step.invoice.number: result for result in results}


async def test_a_sale_is_checked_out_and_paid(invoices_of: ReadInvoices) -> None:
    shop = SmallShop()

    results = await play(shop, invoices_of(row(quantity=4), row(quantity=2), row(sku="71053")))

    assert (results["536365"].outcome, results["536365"].order_id) == ("paid", "1")
    assert shop.sold == [{"85123A": 6, "71053": 6}]


async def test_a_customer_registers_and_logs_in_once(invoices_of: ReadInvoices) -> None:
    shop = SmallShop()

    await play(shop, invoices_of(row("1"), row("2"), row("3")))

    assert shop.accounts == {"customer-17850@example.com"}
    assert (shop.requests["POST /v1/users"], shop.requests["POST /v1/token"]) == (1, 1)


async def test_known_customers_log_in_and_new_ones_register(invoices_of: ReadInvoices) -> None:
    shop = SmallShop()
    first = [row(f"1{n}", customer=f"1{n}") for n in range(8)]
    await play(shop, invoices_of(*first))
    shop.requests.clear()

    results = await play(shop, invoices_of(*first, row("20", customer="20")), at_once=1)

    assert {result.outcome for result in results.values()} == {"paid"}
    assert shop.requests["POST /v1/users"] == 2
    assert len(shop.accounts) == 9


async def test_a_guest_is_new_each_time(invoices_of: ReadInvoices) -> None:
    shop = SmallShop()

    await play(shop, invoices_of(row("1", customer=""), row("2", customer="")))

    assert shop.requests["POST /v1/guests"] == 2
    assert not shop.accounts


async def test_a_replay_can_be_repeated_with_other_keys(invoices_of: ReadInvoices) -> None:
    shop = SmallShop()
    invoices = invoices_of(row("1"))

    for run in ("one", "two"):
        results = await play(shop, invoices, run=run)
        assert results["1"].outcome == "paid"

    [invoice] = invoices.invoices
    assert shop.keys == [f"replay-one-{invoice.fingerprint}", f"replay-two-{invoice.fingerprint}"]


async def test_a_customers_next_cart_waits_until_what_was_bought_has_left(invoices_of: ReadInvoices) -> None:
    shop = SmallShop()

    await play(shop, invoices_of(row("1"), row("2", sku="71053")))

    assert shop.sold == [{"85123A": 6}, {"71053": 6}]
    assert shop.requests["GET /v1/cart/lines"] == 2


async def test_a_cart_that_was_not_sold_is_replaced_without_waiting(invoices_of: ReadInvoices) -> None:
    sheet = invoices_of(row("1"), row("2", sku="SHORT"), row("3", sku="71053"))

    results = await play(SmallShop(), sheet)

    assert [results[number].outcome for number in ("1", "2", "3")] == ["paid", "cancelled", "paid"]


async def test_no_more_orders_are_under_way_than_allowed(invoices_of: ReadInvoices) -> None:
    shop = SmallShop()

    await play(shop, invoices_of(*(row(str(n), customer="") for n in range(9))), at_once=3)

    assert shop.most_at_once == 3


async def test_an_order_that_is_out_of_stock_is_cancelled_with_its_reason(invoices_of: ReadInvoices) -> None:
    result = (await play(SmallShop(), invoices_of(row(sku="SHORT"))))["536365"]

    assert (result.outcome, result.reason) == ("cancelled", "out_of_stock")
    assert result.detail == "SHORT: 6 wanted, 2 left"


async def test_a_returned_sale_is_cancelled_until_all_is_back(invoices_of: ReadInvoices) -> None:
    shop = SmallShop()

    results = await play(shop, invoices_of(row("1"), row("C2", quantity=-6)))

    assert results["1"].outcome == "paid"
    assert (results["C2"].outcome, results["C2"].reason) == ("cancelled", "returned")
    assert results["C2"].order_id == results["1"].order_id


async def test_what_was_not_paid_cannot_be_returned(invoices_of: ReadInvoices) -> None:
    results = await play(SmallShop(), invoices_of(row("1", sku="SHORT"), row("C2", sku="SHORT", quantity=-6)))

    assert (results["C2"].outcome, results["C2"].detail) == ("skipped", "1")


async def test_after_an_order_that_does_not_end_its_customer_is_not_played_any_more(
    invoices_of: ReadInvoices,
) -> None:
    results = await play(
        SmallShop(), invoices_of(row("1", sku="STUCK"), row("2"), row("3", customer="13047"))
    )

    assert (results["1"].outcome, results["1"].order_id) == ("unended", "1")
    assert (results["2"].outcome, results["2"].detail) == ("failed", "1")
    assert results["3"].outcome == "paid"


async def test_a_refused_checkout_fails_with_the_shops_message(invoices_of: ReadInvoices) -> None:
    results = await play(SmallShop(), invoices_of(row("1", sku="REFUSED"), row("2")))

    assert results["1"].outcome == "failed"
    assert "422" in (results["1"].reason or "")
    assert results["2"].outcome == "paid"


async def test_an_order_with_another_total_has_failed(invoices_of: ReadInvoices) -> None:
    result = (await play(SmallShop(), invoices_of(row(sku="DEAR"))))["536365"]

    assert (result.outcome, result.detail) == ("failed", "1531 in place of 1530")


async def test_an_interrupted_replay_leaves_nothing_running(invoices_of: ReadInvoices) -> None:
    playing = asyncio.create_task(play(SmallShop(), invoices_of(row(sku="STUCK"))))
    await asyncio.sleep(0)

    playing.cancel()
    await asyncio.wait([playing])

    assert asyncio.all_tasks() == {asyncio.current_task()}


@pytest.mark.parametrize(
    ("offers", "reason", "detail"),
    [
        ({"85123A": Offer(10)}, "comes to more or less than can be charged", "£0.20"),
        ({}, "the shop has retired what it sells", "85123A"),
    ],
)
async def test_a_sale_that_cannot_be_charged_is_skipped(
    offers: dict[str, Offer], reason: str, detail: str, invoices_of: ReadInvoices
) -> None:
    shop = SmallShop()

    result = (await play(shop, invoices_of(row(quantity=2)), offers=offers))["536365"]

    assert (result.outcome, result.reason, result.detail) == ("skipped", reason, detail)
    assert not shop.requests


async def test_a_sale_in_two_currencies_is_skipped(invoices_of: ReadInvoices) -> None:
    offers = {"85123A": Offer(PRICE), "71053": Offer(PRICE, "EUR")}

    result = (await play(SmallShop(), invoices_of(row(), row(sku="71053")), offers=offers))["536365"]

    assert (result.outcome, result.detail) == ("skipped", "EUR, GBP")


async def test_an_accepted_order_is_in_the_journal_before_it_has_ended(
    journal: Journal, tmp_path: Path, invoices_of: ReadInvoices
) -> None:
    file = invoices_of(row(sku="STUCK"))

    await play(SmallShop(), file, journal=journal)

    fingerprint = file.invoices[0].fingerprint
    assert (tmp_path / "journal").read_text().startswith(f"\n{fingerprint} ")


async def test_what_an_earlier_replay_has_placed_is_reported_and_may_be_returned(
    invoices_of: ReadInvoices,
) -> None:
    shop = SmallShop()
    before = (await play(shop, invoices_of(row("1"))))["1"]
    orders = {"1": Order(str(before.order_id), "paid", was_paid=True)}

    results = await play(shop, invoices_of(row("1"), row("C2", quantity=-6)), orders=orders)

    assert (results["1"].outcome, results["1"].reason) == ("placed_before", "paid")
    assert (results["C2"].outcome, results["C2"].order_id) == ("cancelled", before.order_id)
    assert len(shop.orders) == 1


async def test_an_earlier_replays_order_that_has_not_ended_is_reported(invoices_of: ReadInvoices) -> None:
    orders = {"1": Order("ABC", "pending", was_paid=False)}

    result = (await play(SmallShop(), invoices_of(row("1")), orders=orders))["1"]

    assert (result.outcome, result.order_id) == ("unended", "ABC")


async def test_an_order_whose_response_was_lost_is_not_placed_twice(invoices_of: ReadInvoices) -> None:
    shop = SmallShop()
    file = invoices_of(row("1"), row("2", sku="71053"))
    await play(shop, file)

    results = await play(shop, file)

    assert {result.outcome for result in results.values()} == {"paid"}
    assert len(shop.orders) == 2
