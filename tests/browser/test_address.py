"""The fields of an address follow its country, and an account keeps addresses."""

from uuid import uuid4

import pytest
from playwright.async_api import expect

from tests.browser.conftest import NewVisitor
from tests.browser.visitor import Look, Visitor
from tests.browser.walk import SKU


async def test_a_country_brings_its_fields_and_what_was_entered_stays(visitor: Visitor) -> None:
    await visitor.put_into_cart(SKU)
    await visitor.open("/checkout")
    await visitor.fill_in()
    country = visitor.page.locator("#country")
    await expect(visitor.page.locator("#update-fields")).to_be_hidden()
    await expect(visitor.page.locator("#state")).to_have_count(0)
    await country.focus()
    await country.select_option("US")
    await expect(visitor.page.get_by_label("ZIP code")).to_have_value("N1 7AA")
    await expect(visitor.page.get_by_label("State")).to_be_visible()
    await expect(visitor.page.locator("#city")).to_have_value("London")
    await expect(country).to_be_focused()
    await visitor.page.get_by_label("State").fill("Kentucky")
    await visitor.place_order()
    await visitor.until("Kentucky")


async def test_without_javascript_a_button_brings_the_fields(new_visitor: NewVisitor) -> None:
    visitor = await new_visitor(Look(javascript=False))
    await visitor.put_into_cart(SKU)
    await visitor.open("/checkout")
    await visitor.fill_in()
    await visitor.page.locator("#country").select_option("DE")
    await visitor.page.locator("#update-fields").click()
    await expect(visitor.page.locator("#country")).to_be_focused()
    await expect(visitor.page.locator("#by-country input").nth(4)).to_have_id("postcode")
    await expect(visitor.page.locator("#city")).to_have_value("London")
    await visitor.page.locator("#city").press("Enter")
    await visitor.page.wait_for_url("**/orders/*")


@pytest.mark.parametrize("look", [Look(), Look(phone=True, dark=True, javascript=False)], ids=str)
async def test_an_address_is_saved_with_an_order_and_chosen_for_the_next(
    new_visitor: NewVisitor, look: Look
) -> None:
    visitor = await new_visitor(look)
    await register(visitor)
    await visitor.put_into_cart(SKU)
    await visitor.open("/checkout")
    await visitor.fill_in()
    await visitor.page.locator("[name=save]").check()
    await visitor.picture("checkout-account")
    await visitor.place_order()
    await visitor.open("/account/addresses")
    await expect(visitor.page.locator(".addresses li")).to_contain_text("1 Example Street, London N1 7AA")
    await visitor.picture("addresses")
    await visitor.page.get_by_role("link", name="Change:").click()
    await visitor.page.locator("#street").fill("2 Example Street")
    await visitor.picture("address")
    await visitor.page.get_by_role("button", name="Save the address").click()
    await visitor.put_into_cart(SKU)
    await visitor.open("/checkout")
    await expect(visitor.page.locator("#street")).to_be_hidden()
    await visitor.page.locator("#new").check()
    await expect(visitor.page.locator("#street")).to_be_visible()
    await visitor.page.locator("#address input").first.check()
    await visitor.picture("checkout-addresses")
    await visitor.place_order()
    await visitor.until("2 Example Street")


async def register(visitor: Visitor) -> None:
    """A new account, which is logged in then."""
    await visitor.open("/register")
    await visitor.page.locator("[name=email]").fill(f"{uuid4().hex}@example.com")
    await visitor.page.locator("[name=password]").fill(uuid4().hex)
    await visitor.page.locator("main form button.button").click()
    await visitor.page.wait_for_url(lambda url: not url.endswith("/register"))
