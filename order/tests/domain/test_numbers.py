"""An order's number: how it is generated and read."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from order import ids


def test_a_new_number_is_in_the_displayed_form() -> None:
    drawn = [ids.new_number() for _ in range(1000)]
    assert [ids.read_number(one) for one in drawn] == drawn
    assert len(set(drawn)) == 1000


@pytest.mark.parametrize("typed", ["K7Q2X-9XMDA", "k7q2x-9xmda", "K7Q2X9XMDA", "k7q2x 9xmda"])
def test_a_number_is_read_however_it_is_typed(typed: str) -> None:
    assert ids.id_or_number(typed) == "K7Q2X-9XMDA"


def test_letters_that_look_like_digits_are_read_as_those() -> None:
    assert ids.read_number("OIL2X-9XMDO") == "0112X-9XMD0"


@pytest.mark.parametrize(
    "typed", ["", "K7Q2X", "K7Q2X-9XMD", "K7Q2X-9XMDAA", "K7Q2X-9XMDU", "K7Q2X-9XMD\u0661"]
)
def test_an_invalid_number_is_not_read(typed: str) -> None:
    assert ids.read_number(typed) is None
    with pytest.raises(ValueError, match="an order's id or its number"):
        ids.id_or_number(typed)


@given(st.uuids())
def test_an_id_is_never_read_as_a_number(order_id: UUID) -> None:
    assert ids.id_or_number(str(order_id)) == order_id
    assert ids.read_number(str(order_id)) is None
