"""Steps are played as a shopper would, each is followed to its end, and an error in one stops no other."""

import asyncio

from lab.replay.customers import Customers
from lab.replay.invoices import InvoiceFile
from lab.replay.plan import Sale, Skip, plan
from lab.replay.play import Player, Result
from tools.lab.tests.invoice_files import ReadInvoices, row
from tools.lab.tests.unit.replay.small_shop import PRICE, SmallShop

SKUS = ("85123A", "71053", "SHORT", "STUCK", "REFUSED", "DEAR")


async def play(
    shop: SmallShop, file: InvoiceFile, *, run: str = "one", at_once: int = 4
) -> dict[str, Result]:
    steps = [step for step in plan(file.invoices) if not isinstance(step, Skip)]
    reported: list[Result] = []
    async with shop.client() as http:
        player = Player(Customers(http, "secret"), dict.fromkeys(SKUS, PRICE), run, timeout=0.5)
        results = await player.play_all(steps, at_once, reported.append)
    by_invoice = {result.step.invoice.number: result for result in results}
    assert {result.step.invoice.number: result for result in reported} == by_invoice
    return by_invoice


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

    assert shop.keys == ["replay-one-1", "replay-two-1"]


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


async def test_a_sale_that_cannot_be_charged_is_skipped(invoices_of: ReadInvoices) -> None:
    shop = SmallShop()
    [invoice] = invoices_of(row("1", sku="CHEAP", quantity=2)).invoices
    async with shop.client() as http:
        player = Player(Customers(http, "secret"), {"CHEAP": 10}, "one", timeout=0.5)
        results = await player.play_all([Sale(invoice)], 1, lambda _: None)

    assert [(one.outcome, one.detail) for one in results] == [("skipped", "£0.20")]
    assert not shop.requests
