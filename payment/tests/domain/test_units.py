from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from contracts import CURRENCIES, Money
from payment import stripe_answers
from payment.events import is_chargeable
from payment.lookups import from_provider
from payment.outcomes import Authorized, Captured
from payment.stripe_requests import to_provider


@st.composite
def totals(draw: st.DrawFn) -> Money:
    """Anything that an order may come to."""
    currency = CURRENCIES[draw(st.sampled_from(list(CURRENCIES)))]
    most = min(currency.maximum, 99_999_999) // currency.step
    return Money(amount=draw(st.integers(0, most)) * currency.step, currency=currency.code)


def intent(requested: dict[str, Any], **amounts: int) -> dict[str, Any]:
    return {"id": "pi_1", "status": "requires_capture", "currency": requested["currency"], **amounts}


@given(totals())
def test_an_amount_held_as_requested_is_the_orders_total(total: Money) -> None:
    requested = to_provider(total)
    held = intent(requested, amount_capturable=requested["amount"])
    taken = intent(requested, amount_received=requested["amount"]) | {"status": "succeeded"}
    assert is_chargeable(total)
    assert stripe_answers.OUTCOME_READERS["authorize"](held) == Authorized("pi_1", total)
    assert stripe_answers.OUTCOME_READERS["capture"](taken) == Captured(total)


@given(totals(), st.integers(-200, 200).filter(bool))
def test_a_single_unit_more_or_less_is_not_the_orders_total(total: Money, by: int) -> None:
    requested = to_provider(total)
    assume(requested["amount"] + by >= 0)
    assert from_provider(requested["amount"] + by, requested["currency"]) != total


@pytest.mark.parametrize(("units", "currency"), [(199_950, "isk"), (5124, "kwd"), (1999, "iqd"), (1, "xxx")])
def test_an_amount_that_the_shop_never_requests_is_not_converted(units: int, currency: str) -> None:
    assert from_provider(units, currency) is None
