"""Two releases compare a checkout's address by the same bytes."""

from typing import Any

import pytest

from contracts import PostalAddress
from order.checkout_schemas import PlaceOrder

ADDRESS = {"name": "Ada", "street": "1 Main St", "city": "Hull", "postcode": "HU1", "country": "GB"}
OPTIONAL = ("company", "line2", "state", "phone", "vat_id")


@pytest.mark.parametrize("empty", [{}, dict.fromkeys(OPTIONAL, ""), dict.fromkeys(OPTIONAL, " ")])
def test_an_address_without_the_newer_parts_is_the_previous_releases_request(empty: dict[str, str]) -> None:
    request = PlaceOrder(payment_method="pm_card_visa", shipping=PostalAddress(**ADDRESS, **empty))
    address = b'{"name":"Ada","street":"1 Main St","city":"Hull","postcode":"HU1","country":"GB"}'
    known = b'{"payment_method":"pm_card_visa","email":null,"shipping":%b,"expires_in":null}'
    assert request.payload() == known % address


@pytest.mark.parametrize("part", OPTIONAL)
def test_each_newer_part_is_part_of_the_request(part: str) -> None:
    def payload(**more: Any) -> bytes:
        return PlaceOrder(shipping=PostalAddress(**ADDRESS, **more)).payload()

    assert len({payload(), payload(**{part: "12345"}), payload(**{part: "12346"})}) == 3
