"""An account in two tabs, the forms of its mails and of registering, and all of it without JavaScript."""

from playwright.async_api import expect

from tests.browser.conftest import NewVisitor
from tests.browser.visitor import Look, Visitor
from tests.browser.walk import SKU


async def test_logging_in_in_one_tab_is_logged_in_in_the_other(visitor: Visitor) -> None:
    email, password = await visitor.register()
    other = await visitor.new_tab()
    await other.goto("/account")
    await expect(other.locator("main")).to_contain_text(email)
    await visitor.open("/account")
    await visitor.page.locator("main form[action='/logout'] button").click()
    await other.reload()
    await expect(other).to_have_url(f"{visitor.stack.gateway_url}/login?next=%2Faccount")
    await other.locator("[name=email]").fill(email)
    await other.locator("[name=password]").fill(password)
    await other.keyboard.press("Enter")
    await expect(other.locator("main")).to_contain_text(email)


async def test_the_link_of_a_mail_fills_in_the_form_and_leaves_the_address(visitor: Visitor) -> None:
    await visitor.open("/reset/new#token-of-a-mail")
    await expect(visitor.page.locator("#token")).to_have_value("token-of-a-mail")
    assert visitor.page.url == f"{visitor.stack.gateway_url}/reset/new"
    await visitor.page.goto("/reset/new#main")  # a link within the page
    await expect(visitor.page.locator("#token")).to_have_value("token-of-a-mail")
    await visitor.page.goto("/reset/new#token-of-another")  # while its page is open
    await expect(visitor.page.locator("#token")).to_have_value("token-of-another")
    await visitor.send("/reset/new", password="a long password")
    await expect(visitor.page.locator(".warning")).to_be_focused()


async def test_what_is_wrong_gets_the_focus_and_leads_to_its_field(visitor: Visitor) -> None:
    await visitor.open("/register")
    await visitor.send("/register", email="ada", password="a long password")
    await expect(visitor.page.locator("#errors")).to_be_focused()
    await visitor.page.keyboard.press("Tab")
    await visitor.page.keyboard.press("Enter")
    await expect(visitor.page.locator("#email")).to_be_focused()


async def test_a_cart_comes_along_into_an_account_without_javascript(new_visitor: NewVisitor) -> None:
    visitor = await new_visitor(Look(phone=True, language="de", javascript=False))
    await visitor.put_into_cart(SKU, 2)
    email, _ = await visitor.register()
    await visitor.open("/cart")
    await expect(visitor.page.locator("main [name=quantity]").first).to_have_value("2")
    await visitor.open("/checkout")
    await expect(visitor.page.locator("main [name=email]")).to_have_value(email)
