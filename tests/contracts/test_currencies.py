"""The shop's list of currencies equals the sandbox's, which is written down separately."""

import pytest

from contracts import CURRENCIES, Currency
from standins.sandbox import currencies as sandbox
from standins.sandbox.errors import Refusal

ALL = pytest.mark.parametrize("currency", CURRENCIES.values(), ids=CURRENCIES)


def is_taken(currency: Currency, units: int) -> bool:
    try:
        sandbox.check_charge(units, currency.code.lower())
    except Refusal:
        return False
    return True


def test_shop_and_sandbox_have_the_same_currencies() -> None:
    assert {code.lower() for code in CURRENCIES} == set(sandbox.SUPPORTED)


@ALL
def test_the_provider_accepts_the_amounts_that_the_shop_charges_and_no_others(currency: Currency) -> None:
    least, most = currency.to_provider(currency.minimum), currency.to_provider(currency.maximum)
    step = currency.to_provider(2 * currency.step) - currency.to_provider(currency.step)
    assert is_taken(currency, least)
    assert is_taken(currency, most)
    assert least == step or not is_taken(currency, least - step)
    assert not is_taken(currency, most + step)
    assert step == 1 or not is_taken(currency, least + 1)


@ALL
def test_shop_and_sandbox_agree_on_each_currencys_decimals(currency: Currency) -> None:
    code = currency.code.lower()
    decimals = 0 if code in sandbox.ZERO_DECIMALS else 3 if code in sandbox.THREE_DECIMALS else 2
    assert currency.provider_decimals == decimals
