"""The checkout with Stripe's Payment Element, which makes a token of what is entered."""

import json

import pytest

from storefront.payment_form import stripe_amount
from storefront.settings import Settings

from ..conftest import Browser, FakeApi
from .test_cart import CART, LINE, add_a_mug
from .test_checkout import answer_checkout, form_of

KEY = "pk_test_51Example"
TOKEN = "pm_1QxYz2Example"


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"stripe_publishable_key": KEY})


@pytest.fixture
def api(api: FakeApi) -> FakeApi:
    return answer_checkout(api)


@pytest.fixture
async def at_the_checkout(browser: Browser) -> Browser:
    await add_a_mug(browser)
    await browser.get("/checkout")
    return browser


async def test_the_page_says_what_stripe_needs_to_know(at_the_checkout: Browser) -> None:
    assert f'data-key="{KEY}" data-amount="2500"' in at_the_checkout.page
    assert 'data-currency="gbp" data-locale="en"' in at_the_checkout.page
    assert '<script src="https://js.stripe.com/v3/" defer>' in at_the_checkout.page
    assert "<noscript>" in at_the_checkout.page
    assert "pm_card_visa" not in at_the_checkout.page


async def test_only_the_checkout_may_load_from_stripe_and_only_what_it_needs(
    at_the_checkout: Browser,
) -> None:
    policy = (await at_the_checkout.get("/checkout")).headers["content-security-policy"]
    directives = dict(one.strip().split(" ", 1) for one in policy.split(";"))
    assert directives["script-src"] == "'self' https://js.stripe.com"
    assert directives["connect-src"] == "'self' https://api.stripe.com"
    assert directives["frame-src"] == "https://js.stripe.com https://hooks.stripe.com"
    assert directives["default-src"] == "'none'"
    assert "unsafe" not in policy
    for path in ("/", "/cart", "/p/MUG-1"):
        assert "stripe" not in (await at_the_checkout.get(path)).headers["content-security-policy"]


async def test_the_token_is_sent_in_place_of_a_card(at_the_checkout: Browser, api: FakeApi) -> None:
    answer = await at_the_checkout.post("/checkout", **form_of(at_the_checkout, card=TOKEN))
    assert answer.status_code == 303
    assert json.loads(api.sent("POST /v1/orders")[0].content)["payment_method"] == TOKEN


@pytest.mark.parametrize("card", ["", "4242424242424242", "pm_4242424242424242", "pm_a b", "pm_" + "a" * 65])
async def test_without_a_token_nothing_is_ordered(at_the_checkout: Browser, api: FakeApi, card: str) -> None:
    page = await at_the_checkout.post("/checkout", **form_of(at_the_checkout, card=card))
    assert page.status_code == 422
    assert "Enter your card." in page.text
    assert at_the_checkout.value("card") == ""
    assert not api.sent("POST /v1/orders")


async def test_a_token_stays_when_something_else_needs_a_change(
    at_the_checkout: Browser, api: FakeApi
) -> None:
    await at_the_checkout.post("/checkout", **form_of(at_the_checkout, card=TOKEN, city=""))
    assert at_the_checkout.value("card") == TOKEN
    api.refuse("POST /v1/orders", 503)
    await at_the_checkout.post("/checkout", **form_of(at_the_checkout, card=TOKEN))
    assert at_the_checkout.value("card") == TOKEN, "once more has to be the same order"
    api.refuse("POST /v1/orders", 422, errors=[{"pointer": "/payment_method", "detail": "unknown"}])
    await at_the_checkout.post("/checkout", **form_of(at_the_checkout, card=TOKEN))
    assert at_the_checkout.value("card") == ""


async def test_what_is_free_needs_nothing_of_stripes(browser: Browser, api: FakeApi) -> None:
    api.answer("GET /v1/cart", {**CART, "items": [{**LINE, "price": 0, "total": 0}], "total": 0})
    await add_a_mug(browser)
    await browser.get("/checkout")
    assert 'id="card-element"' not in browser.page
    assert (await browser.post("/checkout", **form_of(browser, card=""))).status_code == 303


@pytest.mark.parametrize(
    ("total", "currency", "expected"),
    [("2500", "GBP", 2500), ("2500", "JPY", 2500), ("25", "ISK", 2500), ("x", "GBP", None)],
)
def test_stripe_gets_the_amount_in_its_own_units(total: str, currency: str, expected: int | None) -> None:
    assert stripe_amount(total, currency) == expected


def test_an_amount_that_cannot_be_charged_is_none() -> None:
    assert stripe_amount("2501", "KWD") is None
    assert stripe_amount("9" * 12, "GBP") is None
    assert stripe_amount("100", "XXX") is None
    assert stripe_amount("", "") is None


@pytest.mark.parametrize("key", ["sk_live_secret", "pk_test_<script>", "pk_other_1"])
def test_a_key_that_is_not_publishable_is_refused(settings: Settings, key: str) -> None:
    with pytest.raises(ValueError, match="stripe_publishable_key"):
        Settings(**settings.model_dump() | {"stripe_publishable_key": key})
