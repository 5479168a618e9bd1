"""What a payment decides, in whatever order events and outcomes come."""

from datetime import UTC, datetime, timedelta

import pytest

from contracts import Money, OrderCreated, OrderPaid, PaymentDeclined, PaymentRefunded
from contracts.testing import CONTACT, TOTAL
from payment.domain import Decision, Impossible, Payment
from payment.outcomes import (
    Authorized,
    Captured,
    Declined,
    Outcome,
    Refunded,
    RefundRefused,
    Voided,
    conclude,
    lapse,
    note_lookup,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def paid(order: OrderCreated) -> Payment:
    payment = Payment(order.order_id)
    payment.authorize(order)
    payment.reserve()
    conclude(payment, Authorized("pi_1", TOTAL), NOW)
    conclude(payment, Captured(TOTAL), NOW)
    return payment


def types(decision: Decision) -> list[str]:
    return [event.type for event in decision.events]


def test_the_money_is_authorized_when_the_order_is_created(created: OrderCreated) -> None:
    payment = Payment(created.order_id)

    assert payment.authorize(created).call == "authorize"
    assert types(conclude(payment, Authorized("pi_1", TOTAL), NOW)) == ["payment.authorized"]
    assert payment.state == "authorized"


def test_the_money_is_captured_once_it_is_authorized_and_the_stock_reserved(created: OrderCreated) -> None:
    payment = Payment(created.order_id)
    payment.authorize(created)
    conclude(payment, Authorized("pi_1", TOTAL), NOW)

    assert payment.reserve().call == "capture"
    (event,) = conclude(payment, Captured(TOTAL), NOW).events
    assert event.model_dump(include={"type", "payment_id", "total"}) == {
        "payment_id": "pi_1",
        "total": {"amount": 2000, "currency": "GBP"},
    }
    assert payment.state == "captured"


def test_the_stock_may_be_reserved_before_any_other_event(created: OrderCreated) -> None:
    payment = Payment(created.order_id)

    assert payment.reserve() == Decision()
    assert payment.authorize(created).call == "authorize"
    decision = conclude(payment, Authorized("pi_1", TOTAL), NOW)
    assert (types(decision), decision.call) == (["payment.authorized"], "capture")


def test_an_order_cancelled_before_it_was_created_is_refused(created: OrderCreated) -> None:
    payment = Payment(created.order_id)

    assert payment.cancel() == payment.authorize(created) == payment.reserve() == Decision()
    assert payment.state == "refused"


def test_an_order_cancelled_during_the_authorization_is_voided_afterwards(created: OrderCreated) -> None:
    payment = Payment(created.order_id)
    payment.authorize(created)
    payment.reserve()

    assert payment.cancel() == Decision()
    decision = conclude(payment, Authorized("pi_1", TOTAL), NOW)
    assert (types(decision), decision.call) == (["payment.authorized"], "void")
    assert types(conclude(payment, Voided(), NOW)) == ["payment.voided"]


def test_an_order_cancelled_after_the_authorization_is_voided(created: OrderCreated) -> None:
    payment = Payment(created.order_id)
    payment.authorize(created)
    conclude(payment, Authorized("pi_1", TOTAL), NOW)

    assert payment.cancel().call == "void"
    assert payment.reserve() == Decision()


def test_a_capture_that_a_void_has_overtaken_publishes_nothing(created: OrderCreated) -> None:
    payment = Payment(created.order_id)
    payment.authorize(created)
    payment.reserve()
    conclude(payment, Authorized("pi_1", TOTAL), NOW)

    assert payment.cancel().call == "void"
    assert types(conclude(payment, Voided(), NOW)) == ["payment.voided"]
    assert conclude(payment, Declined("canceled"), NOW) == Decision()
    assert payment.state == "voided"


@pytest.mark.parametrize("source", ["the capture", "the void"])
def test_a_capture_faster_than_the_void_is_refunded_and_never_published_as_paid(
    created: OrderCreated, source: str
) -> None:
    payment = Payment(created.order_id)
    payment.authorize(created)
    payment.reserve()
    conclude(payment, Authorized("pi_1", TOTAL), NOW)
    payment.cancel()

    assert conclude(payment, Captured(TOTAL), NOW) == Decision(call="refund"), source
    assert conclude(payment, Captured(TOTAL), NOW) == Decision(), "both outcomes say the same"
    assert types(conclude(payment, Refunded(TOTAL), NOW)) == ["payment.refunded"]
    assert conclude(payment, Captured(TOTAL), NOW) == Decision()


def test_order_paid_describes_the_order_as_created(created: OrderCreated) -> None:
    payment = Payment(created.order_id)
    payment.authorize(created)
    payment.reserve()
    conclude(payment, Authorized("pi_1", TOTAL), NOW)
    (event,) = conclude(payment, Captured(TOTAL), NOW).events
    order_snapshot = created.model_dump(exclude={"payment_method", "deadline", "return_url"})
    assert None not in order_snapshot.values()
    assert event.model_dump() == {**order_snapshot, "payment_id": "pi_1"}


def test_an_order_cancelled_after_it_was_paid_is_refunded(created: OrderCreated) -> None:
    payment = paid(created)

    assert payment.cancel().call == "refund"
    (event,) = conclude(payment, Refunded(TOTAL), NOW).events
    assert event.model_dump() == {
        "order_id": created.order_id,
        "payment_id": "pi_1",
        "contact": CONTACT,
        "total": {"amount": 2000, "currency": "GBP"},
        "number": created.number,
        "before": None,
    }


def test_a_declined_card_declines_the_payment(created: OrderCreated) -> None:
    payment = Payment(created.order_id)
    payment.authorize(created)

    (event,) = conclude(payment, Declined("insufficient_funds"), NOW).events
    why = "insufficient_funds"
    assert event.model_dump(exclude={"order_id"}) == {"code": why, "decline_reason": why}
    assert payment.reserve() == payment.cancel() == Decision()
    assert payment.state == "declined"


def test_a_lapsed_authorization_declines_and_is_voided(created: OrderCreated) -> None:
    payment = Payment(created.order_id)
    payment.authorize(created)
    conclude(payment, Authorized("pi_1", TOTAL), NOW)

    decision = lapse(payment)
    (declined,) = decision.events
    assert isinstance(declined, PaymentDeclined)
    assert (declined.code, declined.decline_reason) == ("canceled", "not_completed")
    assert decision.call == "void"
    assert types(conclude(payment, Voided(), NOW)) == ["payment.voided"]
    assert lapse(payment) == Decision()


def test_a_lapsed_authorization_changes_no_captured_payment(
    created: OrderCreated,
) -> None:
    payment = paid(created)
    assert lapse(payment) == Decision()
    assert payment.state == "captured"


def test_news_during_a_lookup_leads_to_another_lookup(created: OrderCreated) -> None:
    payment = paid(created)

    assert (payment.look_up().call, payment.news) == ("look", 1)
    assert (payment.look_up().call, payment.news) == ("look", 2)
    assert note_lookup(payment, 1).call == "look"
    assert (note_lookup(payment, 2), payment.news) == (Decision(), 0)


def test_a_stolen_card_is_published_as_a_generic_decline(created: OrderCreated) -> None:
    payment = Payment(created.order_id)
    payment.authorize(created)

    (event,) = conclude(payment, Declined("stolen_card"), NOW).events
    assert "stolen" not in event.model_dump_json()
    assert (payment.code, payment.events_to_republish()) == ("stolen_card", (event,))


def test_a_declined_capture_voids_the_authorization(created: OrderCreated) -> None:
    payment = Payment(created.order_id)
    payment.reserve()
    payment.authorize(created)
    conclude(payment, Authorized("pi_1", TOTAL), NOW)

    decision = conclude(payment, Declined("expired_card"), NOW)
    assert (types(decision), decision.call) == (["payment.declined"], "void")
    assert payment.cancel() == Decision(), "order cancels on hearing of the decline"
    assert types(conclude(payment, Voided(), NOW)) == ["payment.voided"]


def test_a_refused_refund_is_retried_a_day_later(created: OrderCreated) -> None:
    payment = paid(created)
    payment.cancel()

    assert conclude(payment, RefundRefused("balance_insufficient"), NOW) == Decision()
    assert (payment.state, payment.code) == ("refund_failed", "balance_insufficient")
    assert payment.refund_at == NOW + timedelta(hours=25)
    assert payment.retry_refund().call == "refund"
    assert types(conclude(payment, Refunded(TOTAL), NOW)) == ["payment.refunded"]


@pytest.mark.parametrize(
    "outcome", [Captured(TOTAL), Voided(), Refunded(TOTAL), RefundRefused("x"), Authorized("pi_2", TOTAL)]
)
def test_an_outcome_that_contradicts_the_state_is_impossible(created: OrderCreated, outcome: Outcome) -> None:
    payment = Payment(created.order_id)
    payment.authorize(created)
    conclude(payment, Authorized("pi_1", TOTAL), NOW)

    with pytest.raises(Impossible):
        conclude(payment, outcome, NOW)


def test_an_authorization_without_reserved_stock_is_released(created: OrderCreated) -> None:
    payment = Payment(created.order_id)
    payment.authorize(created)
    assert payment.void_expired() == Decision(), "the outcome of the authorization is unknown"
    conclude(payment, Authorized("pi_1", TOTAL), NOW)

    decision = payment.void_expired()
    assert (types(decision), payment.code, decision.call) == (["payment.declined"], "expired", "void")
    assert payment.void_expired() == payment.reserve() == payment.cancel() == Decision(), (
        "whatever comes late"
    )
    assert types(conclude(payment, Voided(), NOW)) == ["payment.voided"]


def test_a_paid_or_ended_payment_is_not_released(created: OrderCreated) -> None:
    payment = paid(created)
    assert payment.void_expired() == Decision()
    payment.cancel()
    assert payment.void_expired() == Decision()
    assert payment.state == "refunding"


def test_only_events_that_are_still_true_are_republished(created: OrderCreated) -> None:
    def again(payment: Payment) -> list[str]:
        return [event.type for event in payment.events_to_republish()]

    payment = Payment(created.order_id)
    assert again(payment) == []
    payment.authorize(created)
    assert again(payment) == []
    conclude(payment, Authorized("pi_1", TOTAL), NOW)
    assert again(payment) == ["payment.authorized"]
    payment.void_expired()
    assert again(payment) == ["payment.declined"]
    conclude(payment, Voided(), NOW)
    assert again(payment) == ["payment.declined", "payment.voided"]

    payment = paid(created)
    assert again(payment) == ["order.paid"]
    payment.cancel()
    assert again(payment) == []
    conclude(payment, RefundRefused("charge_disputed"), NOW)
    assert again(payment) == [], "the code of a refused refund is no decline"
    payment.retry_refund()
    conclude(payment, Refunded(TOTAL), NOW)
    assert again(payment) == ["payment.refunded"]


OTHERS = [
    Money(amount=1999, currency="GBP"),
    Money(amount=2000, currency="EUR"),
    Money(amount=0, currency="GBP"),
]


@pytest.mark.parametrize("held", OTHERS)
def test_another_amount_than_was_requested_is_voided(created: OrderCreated, held: Money) -> None:
    payment = Payment(created.order_id)
    payment.authorize(created)
    payment.reserve()
    decision = conclude(payment, Authorized("pi_1", held), NOW)
    assert (types(decision), decision.call) == (["payment.declined"], "void")
    assert payment.code == "amount_mismatch"
    assert payment.cancel() == Decision(), "it is on its way back already"
    assert types(conclude(payment, Voided(), NOW)) == ["payment.voided"]


@pytest.mark.parametrize("taken", OTHERS)
def test_a_captured_amount_other_than_the_total_is_refunded(created: OrderCreated, taken: Money) -> None:
    payment = Payment(created.order_id)
    payment.authorize(created)
    payment.reserve()
    conclude(payment, Authorized("pi_1", TOTAL), NOW)
    decision = conclude(payment, Captured(taken), NOW)
    assert (types(decision), decision.call) == (["payment.declined"], "refund")
    assert [event.type for event in payment.events_to_republish()] == ["payment.declined"]
    conclude(payment, RefundRefused("balance_insufficient"), NOW)
    assert payment.retry_refund().call == "refund"
    conclude(payment, Refunded(TOTAL), NOW)
    assert [event.type for event in payment.events_to_republish()] == ["payment.declined", "payment.refunded"]


def test_an_order_created_again_with_other_terms_is_impossible(created: OrderCreated) -> None:
    payment = Payment(created.order_id)
    payment.authorize(created)
    assert payment.authorize(created) == Decision()
    with pytest.raises(Impossible, match="another shopper, total or lines"):
        payment.authorize(created.model_copy(update={"total": Money(amount=30, currency="GBP")}))


@pytest.mark.parametrize(("amount", "currency"), [(1500, "IQD"), (5124, "KWD"), (1_000_000, "ISK")])
def test_an_amount_that_the_provider_does_not_accept_is_declined_without_a_call(
    created: OrderCreated, amount: int, currency: str
) -> None:
    payment = Payment(created.order_id)
    total = Money(amount=amount, currency=currency)

    decision = payment.authorize(created.model_copy(update={"total": total}))

    assert (types(decision), decision.call) == (["payment.declined"], None)
    assert payment.state == "declined"


@pytest.fixture
def free(created: OrderCreated) -> OrderCreated:
    return created.model_copy(update={"total": Money(amount=0, currency="GBP"), "payment_method": ""})


@pytest.mark.parametrize("stock_first", [False, True])
def test_a_free_order_is_paid_once_its_stock_is_reserved_without_a_call(
    free: OrderCreated, stock_first: bool
) -> None:
    payment = Payment(free.order_id)
    if stock_first:
        first, second = payment.reserve(), payment.authorize(free)
    else:
        first, second = payment.authorize(free), payment.reserve()

    assert first == Decision()
    assert (types(second), second.call) == (["order.paid"], None)
    [paid] = second.events
    assert isinstance(paid, OrderPaid)
    assert paid.payment_id == f"free_{free.order_id}"
    assert payment.events_to_republish() == (paid,)


def test_a_free_order_without_stock_publishes_nothing(free: OrderCreated) -> None:
    payment = Payment(free.order_id)
    assert payment.authorize(free) == Decision()
    assert payment.events_to_republish() == ()
    assert payment.cancel() == Decision()
    assert payment.state == "refused"
    assert payment.reserve() == Decision(), "the stock comes too late"


def test_a_cancelled_free_order_publishes_its_refund_once(free: OrderCreated) -> None:
    payment = Payment(free.order_id)
    payment.authorize(free)
    payment.reserve()

    decision = payment.cancel()

    assert decision.call is None
    [refunded] = decision.events
    assert isinstance(refunded, PaymentRefunded)
    assert refunded.total == free.total
    assert payment.cancel() == Decision()
    assert payment.events_to_republish() == (refunded,)


def test_a_free_order_cancelled_before_it_was_created_is_never_paid(free: OrderCreated) -> None:
    payment = Payment(free.order_id)
    payment.cancel()
    assert payment.authorize(free) == payment.reserve() == Decision()
    assert payment.state == "refused"


def test_a_free_order_without_reserved_stock_is_declined_after_its_deadline(free: OrderCreated) -> None:
    payment = Payment(free.order_id)
    payment.authorize(free)
    decision = payment.void_expired()
    assert (types(decision), decision.call, payment.state) == (["payment.declined"], None, "declined")
