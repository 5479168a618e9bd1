"""What a shopper reads before paying, on the pages of a running shop: lists, suggestions, and a cart whose
products change."""

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import uuid4

import pytest

from devstack import Stack
from scenarios.shopper import poll
from shop.http import admin_client, checked_json
from tests.storefront.guest import Guest

pytestmark = pytest.mark.timeout(180)
SECONDS = 90  # until facets, which are counted now and then, know a new product
Create = Callable[..., Awaitable[str]]


@pytest.fixture
def create(stack: Stack) -> Create:
    """`await create("Lantern", price=100)`: makes a product with five pieces, and returns its stock code."""

    async def create(name: str, **given: Any) -> str:
        sku = f"SEEN-{uuid4().hex[:8]}"
        async with admin_client(stack) as admin:
            product = {"sku": sku, "name": name, "price": 895, "stock": 5, **given}
            checked_json(await admin.post("/v1/products", json=product))
        return sku

    return create


async def change(stack: Stack, sku: str, **changes: Any) -> None:
    async with admin_client(stack) as admin:
        checked_json(await admin.patch(f"/v1/products/{sku}", json=changes))


async def put_into_the_cart(guest: Guest, sku: str, quantity: int) -> None:
    await guest.open(f"/p/{sku}")
    hidden = {name: guest.value(name) for name in ("key", "price", "currency")}
    await guest.send("/cart/add", sku=sku, quantity=str(quantity), **hidden)


async def test_a_list_is_narrowed_by_links_until_nothing_is_left(guest: Guest, create: Create) -> None:
    category = f"browsing {uuid4().hex[:8]}"
    cheap = await create("Cheap browser", category=category, price=500)
    dear = await create("Dear browser", category=category, price=50_000, stock=0)
    path = f"/c/{category.replace(' ', '%20')}"
    await poll(lambda: guest.open(path), lambda page: "2 products" in page, SECONDS, 1)
    assert f'href="/p/{cheap}"' in guest.page
    assert f'href="/p/{dear}"' in guest.page
    await guest.open(f"{path}?in_stock=true")
    assert f'href="/p/{dear}"' not in guest.page
    await guest.open(f"{path}?in_stock=true&currency=GBP&from=100&to=")
    assert "Nothing found" in guest.page
    assert "without “In stock”" in guest.page
    assert "without “from £100.00”" in guest.page


async def test_a_stock_code_is_suggested_while_it_is_typed(guest: Guest, create: Create) -> None:
    sku = await create("Suggested thing")
    await guest.open(f"/suggest?q={sku[:-2].lower()}")
    assert f'data-href="/p/{sku}"' in guest.page


async def test_what_has_changed_is_said_before_paying(guest: Guest, create: Create, stack: Stack) -> None:
    sku = await create("Changing thing", price=1250)
    await put_into_the_cart(guest, sku, 2)
    await change(stack, sku, price=1300)
    await guest.open("/cart")
    assert "One costs £13.00 now; it was £12.50 when you put it in." in guest.page
    assert "£26.00" in guest.page
    assert 'href="/checkout"' in guest.page
    await change(stack, sku, status="retired")
    await guest.open("/cart")
    assert "This product is not sold any more." in guest.page
    assert 'href="/checkout"' not in guest.page


async def test_fewer_pieces_than_wanted_are_said_before_paying(guest: Guest, create: Create) -> None:
    sku = await create("Scarce thing")
    await put_into_the_cart(guest, sku, 6)
    await guest.open("/cart")
    assert "Only 5 left." in guest.page
    assert 'href="/checkout"' not in guest.page


async def test_two_tabs_keep_each_others_changes(guest: Guest, create: Create) -> None:
    first, second = await create("First thing"), await create("Second thing")
    for sku in (first, second):
        await put_into_the_cart(guest, sku, 2)
    await guest.open("/cart")
    version = guest.value("version")
    line = {"was": "2", "version": version}
    await guest.send("/cart/change", sku=first, quantity="3", **line)
    # The other tab still shows two pieces of both.
    await guest.send("/cart/change", sku=second, quantity="4", **line)
    assert "The quantity was changed." in guest.page
    await guest.send("/cart/change", sku=first, quantity="1", **line)
    assert "It has 3 pieces of that product." in guest.page
    await guest.send("/cart/remove", sku=first, **line)
    assert "It has 3 pieces of that product." in guest.page
    assert guest.page.count('class="line"') == 2
