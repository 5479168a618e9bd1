"""What a replay has placed is known to the next one, as far as the shop still knows it."""

import os
from pathlib import Path

import httpx
import pytest

from lab.replay.journal import IDS_IN_URL, Journal
from lab.replay.plan import Order
from tools.lab.tests.invoice_files import ReadInvoices, row

ID = "01a1fbbe-d185-7793-91b9-{:012}"


async def orders(journal: Journal, file: ReadInvoices, count: int, status: str = "paid") -> dict[str, Order]:
    """Those of the first so many invoices; the shop has all but the one whose id ends in 13."""

    def answer(request: httpx.Request) -> httpx.Response:
        ids = request.url.params.get_list("id")
        assert len(ids) <= IDS_IN_URL == int(request.url.params["limit"])
        items = [{"order_id": one, "status": status, "paid_at": None} for one in ids if one != ID.format(13)]
        return httpx.Response(200, json={"items": items})

    async with httpx.AsyncClient(base_url="http://shop", transport=httpx.MockTransport(answer)) as admin:
        return await journal.orders(admin, file(*(row(str(n)) for n in range(count))).invoices)


@pytest.fixture
def path(tmp_path: Path, invoices_of: ReadInvoices) -> Path:
    """A journal of the orders of 150 invoices."""
    journal = Journal(tmp_path / "folder" / "journal")
    for n, invoice in enumerate(invoices_of(*(row(str(n)) for n in range(150))).invoices):
        journal.placed(invoice, ID.format(n))
    return tmp_path / "folder" / "journal"


async def test_orders_that_the_shop_still_has_are_found(path: Path, invoices_of: ReadInvoices) -> None:
    found = await orders(Journal(path), invoices_of, 200)

    assert len(found) == 149
    assert found["0"] == Order(ID.format(0), "paid", was_paid=False)
    assert "13" not in found


async def test_the_last_order_of_an_invoice_counts(path: Path, invoices_of: ReadInvoices) -> None:
    Journal(path).placed(invoices_of(row("0")).invoices[0], ID.format(999))

    assert (await orders(Journal(path), invoices_of, 1))["0"].id == ID.format(999)


async def test_half_a_line_is_passed_over_and_spoils_no_other(path: Path, invoices_of: ReadInvoices) -> None:
    os.truncate(path, os.stat(path).st_size - 20)
    Journal(path).placed(invoices_of(row("150")).invoices[0], ID.format(150))

    found = await orders(Journal(path), invoices_of, 151)

    assert len(found) == 149
    assert "149" not in found


def test_each_file_has_a_journal_in_each_shop() -> None:
    names = {Journal.of(secret, file).name for secret in ("one", "other") for file in ("a.csv", "b.csv")}

    assert len(names) == 4
    assert Journal.of("one", "a.csv").name in names
