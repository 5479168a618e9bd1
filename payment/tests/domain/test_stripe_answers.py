"""What the statuses of Stripe's objects mean for the call that was made."""

from typing import Any

import pytest

from contracts import Money
from payment import stripe_answers
from payment.outcomes import Authorized, Captured, Declined, Outcome, Refunded, RefundRefused, Voided

PAGE = {"type": "redirect_to_url", "redirect_to_url": {"url": "https://b", "return_url": "https://s"}}
SDK = {"type": "use_stripe_sdk", "use_stripe_sdk": {"stripe_js": "https://b"}}
AMOUNTS = {"amount": 800, "amount_capturable": 700, "amount_received": 600, "currency": "gbp"}


def _gbp(amount: int) -> Money:
    return Money(amount=amount, currency="GBP")


@pytest.mark.parametrize(
    ("call", "answer", "outcome"),
    [
        ("authorize", {"status": "requires_capture"}, Authorized("pi_1", _gbp(700))),
        ("authorize", {"status": "succeeded"}, Authorized("pi_1", _gbp(600))),
        ("authorize", {"status": "processing"}, None),
        (
            "authorize",
            {"status": "requires_action", "next_action": None},
            Declined("authentication_required"),
        ),
        ("authorize", {"status": "requires_action", "next_action": SDK}, Declined("authentication_required")),
        (
            "authorize",
            {"status": "requires_action", "next_action": PAGE},
            stripe_answers.Redirect("pi_1", "https://b"),
        ),
        ("confirm", {"status": "requires_action", "next_action": PAGE}, None),
        ("confirm", {"status": "processing"}, None),
        ("confirm", {"status": "requires_capture"}, Authorized("pi_1", _gbp(700))),
        ("confirm", {"status": "canceled"}, Declined("canceled")),
        (
            "confirm",
            {"status": "requires_payment_method", "last_payment_error": {"code": "refused"}},
            Declined("refused"),
        ),
        ("authorize", {"status": "canceled"}, Declined("canceled")),
        (
            "authorize",
            {"status": "requires_payment_method"},
            Declined("declined"),
        ),
        (
            "authorize",
            {"status": "requires_payment_method", "last_payment_error": {"code": "expired_card"}},
            Declined("expired_card"),
        ),
        ("capture", {"status": "succeeded"}, Captured(_gbp(600))),
        ("capture", {"status": "canceled"}, Declined("canceled")),
        ("capture", {"status": "requires_capture"}, None),
        ("capture", {"status": "processing"}, None),
        ("void", {"status": "canceled", "latest_charge": None}, Voided(held=False)),
        ("void", {"status": "canceled", "latest_charge": {"status": "failed"}}, Voided(held=False)),
        ("void", {"status": "canceled", "latest_charge": {"status": "succeeded"}}, Voided()),
        ("void", {"status": "canceled", "latest_charge": "ch_1"}, Voided()),
        ("void", {"status": "succeeded"}, Captured(_gbp(600))),
        ("void", {"status": "requires_capture"}, None),
        ("refund", {"status": "succeeded", "amount": 500}, Refunded(_gbp(500))),
        ("refund", {"status": "pending"}, None),
        ("refund", {"status": "requires_action"}, None),
        ("refund", {"status": "failed", "failure_reason": "declined"}, RefundRefused("declined")),
        ("refund", {"status": "canceled"}, RefundRefused("canceled")),
    ],
)
def test_a_status_is_read_as_an_outcome_or_as_undecided(
    call: str, answer: dict[str, Any], outcome: Outcome | None
) -> None:
    assert stripe_answers.OUTCOME_READERS[call]({"id": "pi_1", **AMOUNTS, **answer}) == outcome


def test_of_several_payments_of_an_order_the_one_that_holds_money_is_taken() -> None:
    search = {
        "data": [{"id": "pi_2", "status": "canceled"}, {"id": "pi_1", "status": "requires_capture"} | AMOUNTS]
    }

    assert stripe_answers.searched_authorization(search) == Authorized("pi_1", _gbp(700))
    redirected = {"id": "pi_3", "status": "requires_action", "next_action": PAGE}
    assert stripe_answers.searched_authorization(
        {"data": [*search["data"][:1], redirected]}
    ) == stripe_answers.Redirect("pi_3", "https://b")
    assert stripe_answers.searched_authorization({"data": [redirected, *search["data"]]}) == Authorized(
        "pi_1", _gbp(700)
    )
    assert stripe_answers.searched_authorization({"data": []}) is None


@pytest.mark.parametrize(
    ("statuses", "outcome"),
    [
        ([], None),
        (["failed"], RefundRefused("failed")),
        (["pending", "failed"], None),
        (["failed", "succeeded"], Refunded(_gbp(800))),
    ],
)
def test_a_refund_has_failed_only_when_no_other_is_pending_or_succeeded(
    statuses: list[str], outcome: Outcome | None
) -> None:
    own = [{"status": status, "metadata": {"order_id": "o"}, **AMOUNTS} for status in statuses]
    by_hand = {"status": "succeeded", "metadata": {}}

    part = {"status": "pending", "metadata": {"order_id": "o", "refund_id": "r"}}

    assert stripe_answers.listed_refund([by_hand, part, *own], "o") == outcome
