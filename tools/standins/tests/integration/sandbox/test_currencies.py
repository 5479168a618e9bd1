"""Each currency is charged as Stripe's document says."""

import pytest
import stripe

from standins.sandbox import currencies
from tools.standins.tests.integration.sandbox.typed import Hold

REFUSED = [
    (199_950, "isk", "invalid_charge_amount_no_decimal_compatible", "evenly divisible by 100"),
    (1999, "ugx", "invalid_charge_amount_no_decimal_compatible", "Currency UGX"),
    (5124, "kwd", "invalid_charge_amount", "last digit"),
    (29, "gbp", "amount_too_small", "at least 0.30 gbp"),
    (49, "jpy", "amount_too_small", "at least 50 jpy"),
    (17_499, "huf", "amount_too_small", "at least 175.00 huf"),
    (100_000_000, "gbp", "amount_too_large", "no more than 999,999.99 gbp"),
    (100_000_000, "jpy", "amount_too_large", "no more than 99,999,999 jpy"),
    (1999, "xyz", None, "Stripe currently supports these currencies: usd, aed"),
    (1999, "btc", None, "Invalid currency: btc"),
]


@pytest.mark.parametrize(("amount", "currency", "code", "says"), REFUSED)
async def test_what_stripe_refuses_is_refused_with_its_code(
    client: stripe.StripeClient, hold: Hold, amount: int, currency: str, code: str | None, says: str
) -> None:
    with pytest.raises(stripe.InvalidRequestError, match=says) as caught:
        await hold(client, amount=amount, currency=currency)
    assert (caught.value.code, caught.value.http_status) == (code, 400)
    assert caught.value.param == ("currency" if code is None else "amount")


@pytest.mark.parametrize(
    ("amount", "currency"),
    [(500, "isk"), (500, "jpy"), (5120, "kwd"), (5, "mga"), (17_545, "huf"), (80_045, "twd"), (1, "bdt")],
)
async def test_what_stripe_takes_is_held(
    client: stripe.StripeClient, hold: Hold, amount: int, currency: str
) -> None:
    held = await hold(client, amount=amount, currency=currency)
    assert (held.amount_capturable, held.currency) == (amount, currency)


async def test_a_part_is_no_fraction_of_a_unit_either(client: stripe.StripeClient, hold: Hold) -> None:
    held = await hold(client, amount=1000, currency="isk")
    with pytest.raises(stripe.InvalidRequestError, match="divisible by 100"):
        await client.v1.payment_intents.capture_async(held.id, {"amount_to_capture": 950})
    await client.v1.payment_intents.capture_async(held.id)
    with pytest.raises(stripe.InvalidRequestError, match="divisible by 100"):
        await client.v1.refunds.create_async({"payment_intent": held.id, "amount": 50})
    assert (await client.v1.refunds.create_async({"payment_intent": held.id, "amount": 100})).amount == 100


def test_every_minimum_is_one_of_a_currency_that_there_is() -> None:
    assert currencies.SMALLEST.keys() <= set(currencies.SUPPORTED)
