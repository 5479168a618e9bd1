"""Every request to the provider is valid by the official SDK's types."""

from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, get_args
from uuid import UUID

import pytest
import stripe
from pydantic import ValidationError

from chassis.saga.intents import OutcomePending
from contracts import OrderCreated
from payment import stripe_requests
from payment.domain import Call, Payment
from payment.reconciliation import LISTS
from payment.refunds import Refund
from payment.stripe_answers import OutcomeUnknown

from .. import stripe_parameters
from ..provider import client

NOW = datetime(2026, 1, 1, tzinfo=UTC)
CREATE = "/v1/payment_intents"
LISTED = [("get", f"/v1/{name}") for name in LISTS]
GOOD: dict[str, Any] = {"amount": 2000, "currency": "gbp"}


class RecordingStripe:
    """Answers nothing of use, and lets nothing pass that the SDK does not know."""

    def __init__(self, status: str) -> None:
        self._status = status
        self.requests: list[tuple[str, str]] = []

    async def raw_request_async(
        self, method: str, path: str, *, idempotency_key: str = "", **form: Any
    ) -> SimpleNamespace:
        stripe_parameters.validate(method, path, form)
        self.requests.append((method, path))
        if path.endswith("/search") or (method, path) in LISTED:
            return SimpleNamespace(data={"data": [], "has_more": False})
        answer = {"id": "pi_1", "object": "it", "status": self._status, "amount": 2000, "currency": "gbp"}
        amounts: dict[str, Any] = {
            "amount_capturable": 2000,
            "amount_received": 2000,
            "latest_charge": None,
            "metadata": {},
            "created": 1_700_000_000,
        }
        return SimpleNamespace(data=answer | amounts)


async def test_a_request_for_a_page_of_each_list_is_well_formed() -> None:
    provider = client()
    stripe_api = RecordingStripe("succeeded")
    provider._stripe = stripe_api  # type: ignore[assignment]
    for name in LISTS:
        for after in (None, "re_1"):
            await provider.call(stripe_requests.page_intent(name, 1_700_000_000, after))
    assert {path for _, path in stripe_api.requests} == {f"/v1/{name}" for name in LISTS}


def payments(created: OrderCreated) -> Iterator[Payment]:
    """An order with all optional fields, and with none."""
    for return_url in (None, "https://shop.example/back?order=1"):
        order = created.model_copy(update={"return_url": return_url})
        yield Payment(order.order_id, order=order, payment_id="pi_1", action_expires_at=NOW)


@pytest.mark.parametrize("hours", [0, 23.5, 26])
@pytest.mark.parametrize("status", ["processing", "requires_capture", "canceled"])
@pytest.mark.parametrize("call", get_args(Call))
async def test_every_request_to_the_provider_is_well_formed(
    created: OrderCreated, call: Call, status: str, hours: float
) -> None:
    for payment in payments(created):
        provider = client(clock=lambda: NOW + timedelta(hours=hours))
        stripe_api = RecordingStripe(status)
        provider._stripe = stripe_api  # type: ignore[assignment]
        with suppress(OutcomeUnknown, OutcomePending):
            await provider.call(stripe_requests.call_intent(call, payment, NOW))
        assert stripe_api.requests


@pytest.mark.parametrize("hours", [0, 23.5])
async def test_a_refund_of_a_part_is_well_formed(created: OrderCreated, hours: float) -> None:
    payment = Payment(created.order_id, order=created, payment_id="pi_1")
    provider = client(clock=lambda: NOW + timedelta(hours=hours))
    stripe_api = RecordingStripe("pending")
    provider._stripe = stripe_api  # type: ignore[assignment]
    with suppress(OutcomeUnknown):
        await provider.call(
            stripe_requests.part_intent(Refund(UUID(int=1), created.order_id, 500, "return"), payment, NOW)
        )
    assert ("post", "/v1/refunds") in stripe_api.requests
    assert ("get", "/v1/refunds") in stripe_api.requests


@pytest.mark.parametrize(
    "wrong",
    [
        {"ammount": 1},
        {"amount": "2000"},
        {"api_key": "sk_test"},
        {"confirm": "true"},
        {"capture_method": "by hand"},
        {"metadata": {"order_id": 1}},
        {"automatic_payment_methods": {"allow_redirects": "never"}},
        {"automatic_payment_methods": {"enabled": True, "allow_redirects": "sometimes"}},
        {"automatic_payment_methods": {"enabled": True, "redirects": "never"}},
    ],
)
def test_a_malformed_request_is_found(wrong: dict[str, Any]) -> None:
    stripe_parameters.validate("post", CREATE, GOOD)
    with pytest.raises(ValidationError):
        stripe_parameters.validate("post", CREATE, GOOD | wrong)


def test_an_amount_or_a_currency_that_is_missing_is_found() -> None:
    for name in GOOD:
        with pytest.raises(ValidationError):
            stripe_parameters.validate(
                "post", CREATE, {key: value for key, value in GOOD.items() if key != name}
            )


def test_an_unlisted_request_is_found() -> None:
    with pytest.raises(AssertionError, match="add its type"):
        stripe_parameters.validate("post", "/v1/customers", {})


def test_the_sandbox_has_the_sdks_api_version() -> None:
    from standins.sandbox.render import API_VERSION

    assert stripe.api_version == API_VERSION
