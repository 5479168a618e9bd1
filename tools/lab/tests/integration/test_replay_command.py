"""`shop replay` over the whole shop: a small file with every kind of invoice."""

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from devstack import Stack
from devstack.programs import script
from tools.lab.tests.invoice_files import Fields, WriteFile, row


@pytest.fixture
def lamp() -> str:
    """A stock code that no other test has."""
    return f"LAMP-{uuid4().hex[:8]}"


@pytest.fixture
def replay(stack: Stack, write: WriteFile) -> Callable[..., tuple[int, dict[str, Any]]]:
    """`replay(*rows, options=())`: the exit code and the document."""

    def run(*rows: Fields, options: tuple[str, ...] = ()) -> tuple[int, dict[str, Any]]:
        done = _shop(stack.folder, "replay", str(write(*rows)), "--json", *options)
        assert done.stdout, done.stderr
        document: dict[str, Any] = json.loads(done.stdout)
        return done.returncode, document

    return run


def _shop(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "SHOP_STACK": str(folder)}
    return subprocess.run(
        [script("shop"), *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def _outcomes(document: dict[str, Any]) -> dict[str, tuple[str, str | None]]:
    return {one["invoice"]: (one["outcome"], one["reason"]) for one in document["invoices"]}


def test_every_invoice_is_played_or_skipped_and_the_same_file_again_resumes(
    replay: Callable[..., tuple[int, dict[str, Any]]], lamp: str
) -> None:
    rows = (
        row("1", sku=lamp, quantity=4),
        row("1", sku=lamp, quantity=2, price="5.17"),
        row("1", sku="POST", quantity=1),
        row("2", sku=lamp, quantity=1, customer="nan"),
        row("3", sku=lamp.lower(), quantity=3, customer="17850.0"),
        row("C4", sku=lamp, quantity=-6),
        row("C5", sku=lamp, quantity=-1),
    )
    skipped = ("skipped", "returns a part of a sale, and orders are cancelled whole")

    code, document = replay(*rows)

    assert code == 0
    assert _outcomes(document) == {
        "1": ("paid", None),
        "2": ("paid", None),
        "3": ("paid", None),
        "C4": ("cancelled", "returned"),
        "C5": skipped,
    }
    totals = document["totals"]
    assert (totals["rows_repriced"], totals["rows_respelt"], totals["lines"]) == (1, 1, 8)
    ids = {one["order_id"] for one in document["invoices"]} - {None}
    assert len(ids) == 3

    code, document = replay(*rows)

    assert code == 0
    assert _outcomes(document) == {
        "1": ("placed_before", "cancelled"),
        "2": ("placed_before", "paid"),
        "3": ("placed_before", "paid"),
        "C4": ("placed_before", "cancelled"),
        "C5": skipped,
    }
    assert {one["order_id"] for one in document["invoices"]} - {None} == ids

    code, document = replay(*rows, options=("--again",))

    assert (code, document["totals"]["paid"], document["totals"]["placed_before"]) == (0, 3, 0)
    assert ids.isdisjoint(one["order_id"] for one in document["invoices"])


def test_a_row_that_cannot_be_read_sets_the_exit_code_and_the_others_are_played(
    replay: Callable[..., tuple[int, dict[str, Any]]], lamp: str
) -> None:
    code, document = replay(row("1", sku=lamp), row("6", sku=lamp, quantity="six"))

    assert code == 1
    assert _outcomes(document) == {"1": ("paid", None), "6": ("skipped", "a row of it cannot be read")}
    assert [bad["line"] for bad in document["refused"]] == [3]


def test_a_product_of_the_shop_keeps_its_price_name_and_stock(
    replay: Callable[..., tuple[int, dict[str, Any]]], stack: Stack, lamp: str
) -> None:
    product = {"sku": lamp, "name": "Lamp", "price": 500, "stock": 7}
    login = {"username": stack.admin_email, "password": stack.admin_password}
    with httpx.Client(base_url=stack.gateway_url) as admin:
        token = admin.post("/v1/token", data=login).json()["access_token"]
        admin.headers["Authorization"] = f"Bearer {token}"
        assert admin.post("/v1/products", json=product).status_code == 201

        rows = (row("1", sku=lamp, quantity=6), row("2", sku=lamp, customer=""))
        code, document = replay(*rows, options=("--concurrency", "1"))

        found = admin.get(f"/v1/products/{lamp}").json()
    assert (found["name"], found["price"], found["available"]) == ("Lamp", 500, 1)
    assert _outcomes(document) == {"1": ("paid", None), "2": ("cancelled", "out_of_stock")}
    assert (code, document["totals"]["products"]["kept"]) == (0, 1)


def test_with_half_of_the_stock_the_later_orders_are_cancelled(
    replay: Callable[..., tuple[int, dict[str, Any]]], lamp: str
) -> None:
    rows = [row(str(n), sku=lamp, quantity=2, customer="") for n in range(4)]

    code, document = replay(*rows, options=("--stock-factor", "0.5", "--concurrency", "1"))

    assert code == 0
    assert [one["outcome"] for one in document["invoices"]] == ["paid", "paid", "cancelled", "cancelled"]
    assert document["invoices"][2]["detail"] == f"{lamp}: 2 wanted, 0 left"


def test_a_checkout_that_the_shop_refuses_fails_and_sets_the_exit_code(
    replay: Callable[..., tuple[int, dict[str, Any]]], lamp: str
) -> None:
    code, document = replay(row("1", sku=lamp, quantity=20_000), row("2", sku=lamp))

    assert code == 1
    assert [one["outcome"] for one in document["invoices"]] == ["failed", "paid"]


def test_a_file_without_the_columns_is_reported_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "other.csv"
    path.write_text("a,b\n1,2\n")

    done = _shop(tmp_path / "none", "replay", str(path))

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"shop: {path} lacks the columns InvoiceNo, ")
    assert done.stderr.count("\n") == 1


def test_without_a_shop_the_error_tells_how_to_start_one(tmp_path: Path, write: WriteFile) -> None:
    done = _shop(tmp_path / "none", "replay", str(write(row())))

    assert done.returncode == 1
    assert done.stderr == f"shop: no stack in {tmp_path}/none: start one with `shop up`\n"
