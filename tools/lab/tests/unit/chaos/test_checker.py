"""What the shop promised in its responses, compared with what it has."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from lab.chaos import checker
from lab.chaos.history import Account, Checkout, History, ProviderAction, ReturnRequest
from payment import bounces, disputes
from shop.ledger import Evidence
from shop.ledger.evidence import (
    ChargeRecord,
    DisputeRecord,
    LateRefundRecord,
    OrderRecord,
    RefundRecord,
    ReturnRecord,
)

NOW = datetime(2026, 11, 1, tzinfo=UTC)


def order(order_id: str, status: str = "paid", **more: Any) -> OrderRecord:
    timeline = more.pop("timeline", frozenset({"order.created", f"order.{status}"}))
    return OrderRecord(order_id, status, None, 100, "GBP", {"A": 2}, NOW, timeline, **more)


def checkout(*order_ids: str, key: str = "k", token: str | None = None, **more: Any) -> Checkout:
    whose = token or f"token of {key} {order_ids}"
    return Checkout(key, whose, "a@example.com", "pm_card_visa", order_ids=set(order_ids), **more)


def lost(history: History, evidence: Evidence) -> list[str]:
    return list(checker.lost(history, evidence))


def doubled(history: History, evidence: Evidence) -> list[str]:
    return list(checker.doubled(history, evidence))


def stuck(history: History, evidence: Evidence) -> list[str]:
    return list(checker.stuck(history, evidence))


def wrong(history: History, evidence: Evidence) -> list[str]:
    return list(checker.wrong(history, evidence))


def test_a_shop_that_has_what_it_promised_violates_nothing() -> None:
    checkouts = [checkout("1"), checkout("2"), checkout(refused="422 empty")]
    seen = Evidence(NOW, orders=(order("1"), order("2", "cancelled")))
    assert lost(History(checkouts), seen) == []
    assert doubled(History(checkouts), seen) == []
    assert stuck(History(checkouts), seen) == []
    assert wrong(History(checkouts), seen) == []


def test_an_accepted_order_that_the_shop_does_not_have_is_lost() -> None:
    assert lost(History([checkout("1")]), Evidence(NOW)) == [
        "order 1 was accepted, the shop does not have it"
    ]


def test_a_checkout_that_never_was_answered_is_lost() -> None:
    assert lost(History([checkout(key="k7")]), Evidence(NOW)) == ["the checkout k7 was never answered"]


def test_two_orders_of_one_checkout_are_doubled() -> None:
    seen = Evidence(NOW, orders=(order("1"), order("2")))
    assert doubled(History([checkout("1", "2")]), seen) == ["the checkout k became the orders 1, 2"]


def test_an_order_that_was_in_no_response_is_doubled() -> None:
    seen = Evidence(NOW, orders=(order("1"), order("2")))
    assert doubled(History([checkout("1")]), seen) == ["order 2 belongs to no checkout that was answered"]


def test_one_order_for_two_checkouts_is_doubled() -> None:
    seen = Evidence(NOW, orders=(order("1"),))
    found = doubled(History([checkout("1"), checkout("1", token="another")]), seen)
    assert found == ["order 1 was the answer to 2 checkouts"]


def test_a_cart_that_was_ordered_in_two_tabs_is_doubled() -> None:
    tabs = [checkout("1", key="a", token="one"), checkout("2", key="b", token="one")]
    seen = Evidence(NOW, orders=(order("1"), order("2", "pending")))
    assert doubled(History(tabs), seen) == ["the checkouts a, b of one cart all became orders"]
    after_a_decline = Evidence(NOW, orders=(order("1", "cancelled"), order("2")))
    assert doubled(History(tabs), after_a_decline) == []


def test_a_tab_is_answered_by_a_link_to_the_others_order_which_must_exist() -> None:
    first = checkout("1")
    tab = first.in_another_tab("k-tab")
    tab.ordered_before = "1"
    assert lost(History([first, tab]), Evidence(NOW, orders=(order("1"),))) == []
    tab.ordered_before = "2"
    assert lost(History([first, tab]), Evidence(NOW, orders=(order("1"),))) == [
        "order 2 was linked to, the shop does not have it"
    ]


def test_a_pending_order_is_stuck() -> None:
    assert stuck(History(), Evidence(NOW, orders=(order("1", "pending"),))) == ["order 1 is still pending"]


def test_an_order_that_was_cancelled_and_is_paid_is_wrong() -> None:
    seen = Evidence(NOW, orders=(order("1"),))
    assert wrong(History([checkout("1", cancelled_by_shopper=True)]), seen) == [
        "order 1 was cancelled by its shopper and is paid"
    ]


MINE = Account("ada@example.com", "secret", "guest's", "hers", frozenset({"1"}), {"A": 2})
LOGGED_IN = checkout("1", token="guest's", lines={"A": 2}, account=MINE)


def after_the_login(**more: Any) -> History:
    return History([LOGGED_IN], [replace(MINE, **more)])


CANCELLED = Evidence(NOW, orders=(order("1", "cancelled"),))


def test_an_account_that_has_its_guests_orders_and_cart_violates_nothing() -> None:
    assert lost(after_the_login(), CANCELLED) == []
    assert lost(after_the_login(cart={}), Evidence(NOW, orders=(order("1"),))) == []
    assert wrong(after_the_login(), CANCELLED) == []


def test_an_order_that_its_account_does_not_see_is_lost() -> None:
    assert lost(after_the_login(orders=frozenset()), CANCELLED) == [
        "order 1 was placed by the guest ada@example.com, whose account does not see it"
    ]


def test_an_order_from_another_tab_is_the_accounts_as_well() -> None:
    history = after_the_login()
    history.checkouts.append(checkout("2", key="tab", token="guest's"))
    assert lost(history, Evidence(NOW, orders=(order("1", "cancelled"), order("2")))) == [
        "order 2 was placed by the guest ada@example.com, whose account does not see it"
    ]


def test_a_cart_that_nobody_bought_and_the_account_does_not_have_is_lost() -> None:
    assert lost(after_the_login(cart={"A": 1}), CANCELLED) == [
        "the cart of ada@example.com had {'A': 2}, none was bought, and has {'A': 1}"
    ]


@pytest.mark.parametrize("never", [{"orders": None}, {"cart": None}])
def test_an_account_that_never_was_answered_is_lost(never: dict[str, None]) -> None:
    assert lost(after_the_login(**never), CANCELLED) == [
        "ada@example.com has logged in, and never got its orders and cart"
    ]


def test_an_order_that_is_still_the_guests_is_wrong() -> None:
    assert wrong(after_the_login(guests_orders=frozenset({"1"})), CANCELLED) == [
        "order 1 is ada@example.com's, and the guest's token still lists it"
    ]


BUYER = checkout("1", lines={"A": 2}, fulfilled=True)
BACK = ReturnRequest(
    "r", "1", "return", {"lines": [{"sku": "A", "quantity": 1}]}, BUYER, {"back"}, amount=50, received=True
)
GRANTED = ReturnRequest("g", "1", "staff", {"amount": 50}, BUYER, {"back"}, amount=50)
SEEN = ReturnRecord("back", 50, {"A": 1})


def requested(one: ReturnRequest, *seen: ReturnRecord) -> tuple[History, Evidence]:
    return History([BUYER], returns=[one]), Evidence(NOW, orders=(order("1", returns=seen),))


@pytest.mark.parametrize(("one", "seen"), [(BACK, SEEN), (GRANTED, replace(SEEN, lines={}, by="staff"))])
def test_a_return_that_is_as_promised_violates_nothing(one: ReturnRequest, seen: ReturnRecord) -> None:
    history, evidence = requested(one, seen)
    for check in (lost, doubled, stuck, wrong):
        assert check(history, evidence) == []


@pytest.mark.parametrize(
    ("one", "seen", "violation"),
    [
        (replace(BACK, return_ids=set()), [], "the return r of order 1 was never answered"),
        (
            replace(BACK, received=False),
            [SEEN],
            "the return r of order 1 was not answered when received",
        ),
        (BACK, [], "return back was accepted, order 1 does not have it"),
        (GRANTED, [], "return back was accepted, order 1 does not have it"),
    ],
)
def test_a_return_that_was_never_answered_or_does_not_exist_is_lost(
    one: ReturnRequest, seen: list[ReturnRecord], violation: str
) -> None:
    assert lost(*requested(one, *seen)) == [violation]


def test_two_returns_of_one_key_are_doubled() -> None:
    two = replace(BACK, return_ids={"back", "again"})
    assert doubled(*requested(two, SEEN, replace(SEEN, return_id="again"))) == [
        "the return r became again, back"
    ]


def test_a_return_that_nobody_requested_is_doubled_unless_the_provider_made_it() -> None:
    assert doubled(*requested(BACK, SEEN, replace(SEEN, return_id="again"))) == [
        "order 1 has the return again, which nobody requested"
    ]
    assert doubled(*requested(BACK, SEEN, replace(SEEN, return_id="again", by="provider"))) == []


def test_a_return_that_was_received_and_is_not_restocked_or_refunded_is_stuck() -> None:
    assert stuck(*requested(BACK, replace(SEEN, restocked=False))) == [
        "return back of order 1 is not restocked"
    ]
    assert stuck(*requested(BACK, replace(SEEN, refunded=False))) == [
        "return back of order 1 is not refunded"
    ]


@pytest.mark.parametrize(
    ("one", "seen", "violation"),
    [
        (BACK, replace(SEEN, amount=40), "return back of order 1 comes to 40, and 50 was promised"),
        (BACK, replace(SEEN, is_due=False), "return back of order 1 was received by staff, and is not due"),
        (
            BACK,
            replace(SEEN, lines={"A": 2}),
            "return back of order 1 is of {'A': 2}, and {'A': 1} was requested",
        ),
        (
            replace(BACK, return_ids=set(), refused="409 no"),
            SEEN,
            "the return r of order 1 was refused: 409 no",
        ),
    ],
)
def test_a_return_that_is_not_as_promised_is_wrong(
    one: ReturnRequest, seen: ReturnRecord, violation: str
) -> None:
    assert wrong(*requested(one, seen)) == [violation]


def test_an_order_that_was_fulfilled_and_is_cancelled_is_wrong() -> None:
    seen = Evidence(NOW, orders=(order("1", "cancelled"),))
    assert wrong(History([BUYER]), seen) == ["order 1 was fulfilled, and is cancelled"]


@pytest.mark.parametrize("decision", ["fail", "leave"])
def test_an_order_that_is_paid_and_was_not_confirmed_is_wrong(decision: Any) -> None:
    history = History([checkout("1", decision=decision)])
    violation = ["order 1 was paid, and its shopper has not confirmed it"]
    assert wrong(history, Evidence(NOW, orders=(order("1"),))) == violation
    late = order("1", "cancelled", timeline=frozenset({"order.paid", "order.cancelled"}))
    assert wrong(history, Evidence(NOW, orders=(late,))) == violation
    assert wrong(history, CANCELLED) == []
    assert wrong(history, Evidence(NOW, orders=(replace(order("1"), total=0),))) == []  # no bank is asked
    assert wrong(History([checkout("1", decision="complete")]), Evidence(NOW, orders=(order("1"),))) == []


def agreed(amount: int, *order_ids: str, **more: Any) -> History:
    expected = {"expected_total": {"amount": amount, "currency": "GBP"}}
    return History([checkout(*order_ids, more=expected, shown_total=100, **more)])


def test_an_order_for_more_than_was_agreed_to_is_wrong() -> None:
    seen = Evidence(NOW, orders=(order("1"),))
    assert wrong(agreed(99, "1"), seen) == ["order 1 comes to 100, its shopper agreed to 99"]
    assert wrong(agreed(100, "1"), seen) == []


def test_a_checkout_that_is_refused_although_nothing_has_changed_is_wrong() -> None:
    violation = ["the checkout k was refused, and nothing had changed"]
    assert wrong(agreed(100, refused=checker.TOTAL_CHANGED), Evidence(NOW)) == violation
    assert wrong(agreed(99, refused=checker.TOTAL_CHANGED), Evidence(NOW)) == []
    assert wrong(History([checkout(refused=checker.TOTAL_CHANGED)]), Evidence(NOW)) == violation


REFUND = RefundRecord("re_1", 50, "succeeded")
KNOWN_AS = str(bounces.refund_id_of(REFUND))
MADE = History([checkout("1")], provider_actions=[ProviderAction("1", "refund", "re_1")])
FAILED = History([checkout("1")], provider_actions=[ProviderAction("1", "failure", "re_1")])
KNOWN_DISPUTE = str(disputes.dispute_id_of("dp_1"))
DISPUTED = History([checkout("1")], provider_actions=[ProviderAction("1", "dispute", "dp_1")])


def at_the_provider(*refunds: RefundRecord, **more: Any) -> Evidence:
    dispute = DisputeRecord("dp_1", "won", 100)
    charge = ChargeRecord("pi_1", "1", "succeeded", 100, 100, 50, "GBP", refunds, (dispute,))
    return Evidence(NOW, orders=(order("1", **more),), charges=(charge,))


def test_what_was_done_at_the_provider_and_is_shown_violates_nothing() -> None:
    back = ReturnRecord(KNOWN_AS, 50, by="provider")
    assert lost(MADE, at_the_provider(REFUND, returns=(back,))) == []
    assert lost(FAILED, at_the_provider(REFUND, late=(LateRefundRecord(KNOWN_AS, 50),))) == []
    assert lost(DISPUTED, at_the_provider(disputes={KNOWN_DISPUTE: "won"})) == []


def test_what_was_done_at_the_provider_and_is_not_shown_is_lost() -> None:
    hidden = "order 1: the {} at the provider is not shown".format
    assert lost(MADE, at_the_provider(REFUND)) == [hidden("refund re_1")]
    due = ReturnRecord(KNOWN_AS, 50, refunded=False, by="provider")
    assert lost(MADE, at_the_provider(REFUND, returns=(due,))) == [hidden("refund re_1")]
    again = LateRefundRecord(KNOWN_AS, 50, failed=False)
    assert lost(FAILED, at_the_provider(REFUND, late=(again,))) == [hidden("failure re_1")]
    unknown = "order 1: the dispute dp_1 at the provider is won, and shown as {}".format
    assert lost(DISPUTED, at_the_provider()) == [unknown(None)]
    open_still = at_the_provider(disputes={KNOWN_DISPUTE: "needs_response"})
    assert lost(DISPUTED, open_still) == [unknown("needs_response")]


def test_a_refund_that_the_provider_has_forgotten_is_lost() -> None:
    assert lost(MADE, at_the_provider()) == [
        "order 1: the refund re_1 at the provider is not in the provider's list"
    ]
