"""How long each service keeps its rows by default: long enough for the returns that order accepts."""

from typing import Any

import pytest

from cart.settings import Settings as Cart
from notification.settings import Settings as Notification
from order.settings import AFTER_RETURN_DAYS
from order.settings import Settings as Order
from payment.settings import Settings as Payment
from product.settings import Settings as Product

NEEDED: list[tuple[type[Any], str]] = [
    (Order, "order_keep_days"),
    (Order, "timeline_keep_days"),
    (Cart, "taken_out_keep_days"),
    (Product, "hold_keep_days"),
    (Payment, "payment_keep_days"),
    (Notification, "kept_mail_keep_days"),
    (Notification, "correspondence_keep_days"),
]


def default(settings: type[Any], name: str) -> int:
    days: int = settings.model_fields[name].default
    return days


@pytest.mark.parametrize(("settings", "name"), NEEDED)
def test_what_a_return_needs_is_kept_until_it_has_ended(settings: type[Any], name: str) -> None:
    kept = default(settings, name)
    assert kept == 0 or kept >= default(Order, "return_days") + AFTER_RETURN_DAYS


def test_a_guests_cart_is_kept_longer_than_a_guests_order() -> None:
    assert default(Cart, "guest_cart_keep_days") * 86_400 > default(Order, "order_deadline")


def test_a_sent_mail_is_remembered_longer_than_payment_can_republish_its_event() -> None:
    assert default(Notification, "correspondence_keep_days") > default(Payment, "payment_keep_days")
