"""What shoppers were told, against what the shop has to show."""

from datetime import UTC, datetime
from typing import Any

from lab.chaos import witness
from lab.chaos.witness import Checkout
from shop.ledger import Evidence
from shop.ledger.evidence import OrderSeen

NOW = datetime(2026, 11, 1, tzinfo=UTC)


def order(order_id: str, status: str = "paid") -> OrderSeen:
    return OrderSeen(order_id, status, None, 100, "GBP", {}, NOW)


def checkout(*order_ids: str, key: str = "k", token: str | None = None, **more: Any) -> Checkout:
    whose = token or f"token of {key} {order_ids}"
    return Checkout(key, whose, "a@example.com", "pm_card_visa", order_ids=set(order_ids), **more)


def test_what_was_promised_and_is_there_is_neither_lost_nor_doubled() -> None:
    checkouts = [checkout("1"), checkout("2"), checkout(refused="422 empty")]
    seen = Evidence(NOW, orders=(order("1"), order("2", "cancelled")))
    assert list(witness.lost(checkouts, seen)) == []
    assert list(witness.doubled(checkouts, seen)) == []
    assert list(witness.stuck(seen)) == []
    assert list(witness.wrong(checkouts, seen)) == []


def test_an_accepted_order_that_the_shop_does_not_know_is_lost() -> None:
    assert list(witness.lost([checkout("1")], Evidence(NOW))) == [
        "order 1 was accepted, the shop does not know it"
    ]


def test_a_checkout_that_never_was_answered_is_lost() -> None:
    assert list(witness.lost([checkout(key="k7")], Evidence(NOW))) == ["the checkout k7 was never answered"]


def test_two_orders_of_one_checkout_are_doubled() -> None:
    seen = Evidence(NOW, orders=(order("1"), order("2")))
    assert list(witness.doubled([checkout("1", "2")], seen)) == ["the checkout k became the orders 1, 2"]


def test_an_order_that_no_shopper_was_told_of_is_doubled() -> None:
    seen = Evidence(NOW, orders=(order("1"), order("2")))
    assert list(witness.doubled([checkout("1")], seen)) == [
        "order 2 belongs to no checkout that was answered"
    ]


def test_one_order_for_two_checkouts_is_told() -> None:
    seen = Evidence(NOW, orders=(order("1"),))
    found = list(witness.doubled([checkout("1"), checkout("1", token="another")], seen))
    assert found == ["order 1 was the answer to 2 checkouts"]


def test_a_cart_that_was_bought_in_two_tabs_is_doubled() -> None:
    tabs = [checkout("1", key="a", token="one"), checkout("2", key="b", token="one")]
    seen = Evidence(NOW, orders=(order("1"), order("2", "pending")))
    assert list(witness.doubled(tabs, seen)) == ["the checkouts a, b of one cart all became orders"]
    after_a_decline = Evidence(NOW, orders=(order("1", "cancelled"), order("2")))
    assert list(witness.doubled(tabs, after_a_decline)) == []


def test_a_tab_is_answered_when_it_is_told_of_the_others_order_which_is_known() -> None:
    first = checkout("1")
    tab = first.tab("k-tab")
    tab.ordered_before = "1"
    assert list(witness.lost([first, tab], Evidence(NOW, orders=(order("1"),)))) == []
    tab.ordered_before = "2"
    assert list(witness.lost([first, tab], Evidence(NOW, orders=(order("1"),)))) == [
        "order 2 was told of, the shop does not know it"
    ]


def test_a_pending_order_is_stuck() -> None:
    assert list(witness.stuck(Evidence(NOW, orders=(order("1", "pending"),)))) == ["order 1 is still pending"]


def test_an_order_that_was_cancelled_and_is_paid_is_wrong() -> None:
    seen = Evidence(NOW, orders=(order("1"),))
    assert list(witness.wrong([checkout("1", cancelled_by_shopper=True)], seen)) == [
        "order 1 was cancelled by its shopper and is paid"
    ]
