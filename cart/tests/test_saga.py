"""Every step: the happy way, the repeat, and each order of arrival."""

from itertools import permutations
from uuid import UUID

import pytest

from cart.domain import Cart
from cart.saga import steps
from chassis.testing import Harness
from contracts import Event, GuestMerged, Line, Money, OrderPaid

GUEST, ACCOUNT = UUID(int=1), UUID(int=2)
MERGED = GuestMerged(guest_id=GUEST, user_id=ACCOUNT)


def paid(shopper: UUID, order: int = 9, **pieces: int) -> OrderPaid:
    return OrderPaid(
        order_id=UUID(int=order),
        shopper_id=shopper,
        lines=tuple(Line(sku=sku, name=sku, quantity=n, unit_price=1) for sku, n in pieces.items()),
        total=Money(amount=1, currency="GBP"),
        payment_id="pi_1",
    )


def items(harness: Harness, owner: UUID) -> dict[str, int] | None:
    cart = harness.row(Cart, owner)
    return None if cart is None else cart.items


@pytest.fixture
def harness() -> Harness:
    return Harness(steps)


async def test_what_was_bought_leaves_the_cart(harness: Harness) -> None:
    harness.put(Cart(ACCOUNT, {"lamp": 3, "vase": 1}))
    await harness.hear(paid(ACCOUNT, lamp=2, vase=1))
    assert items(harness, ACCOUNT) == {"lamp": 1}


async def test_a_payment_told_twice_empties_once(harness: Harness) -> None:
    harness.put(Cart(ACCOUNT, {"lamp": 3}))
    await harness.hear(paid(ACCOUNT, lamp=1), paid(ACCOUNT, lamp=1))
    assert items(harness, ACCOUNT) == {"lamp": 2}


async def test_who_never_had_a_cart_has_nothing_taken_out(harness: Harness) -> None:
    await harness.hear(paid(ACCOUNT, lamp=1))
    assert items(harness, ACCOUNT) is None


async def test_a_guest_s_items_move_to_the_account(harness: Harness) -> None:
    harness.put(Cart(GUEST, {"lamp": 2}), Cart(ACCOUNT, {"lamp": 1, "vase": 1}))
    await harness.hear(MERGED)
    assert items(harness, ACCOUNT) == {"lamp": 3, "vase": 1}


async def test_an_account_without_a_cart_gets_the_guest_s(harness: Harness) -> None:
    harness.put(Cart(GUEST, {"lamp": 2}))
    await harness.hear(MERGED)
    assert items(harness, ACCOUNT) == {"lamp": 2}


async def test_a_guest_without_a_cart_brings_nothing(harness: Harness) -> None:
    await harness.hear(MERGED)
    assert items(harness, ACCOUNT) is None


async def test_a_payment_told_again_after_the_inbox_forgot_takes_nothing(harness: Harness) -> None:
    harness.put(Cart(ACCOUNT, {"lamp": 3}))
    await harness.hear(paid(ACCOUNT, lamp=1))
    harness.forget(paid(ACCOUNT, lamp=1))
    await harness.hear(paid(ACCOUNT, lamp=1))
    assert items(harness, ACCOUNT) == {"lamp": 2}


async def test_a_cart_that_came_later_is_left_alone_by_a_payment_told_again(harness: Harness) -> None:
    await harness.hear(paid(ACCOUNT, lamp=1))
    harness.forget(paid(ACCOUNT, lamp=1))
    harness.put(Cart(ACCOUNT, {"lamp": 3}))
    await harness.hear(paid(ACCOUNT, lamp=1))
    assert items(harness, ACCOUNT) == {"lamp": 3}


async def test_a_guest_who_brought_nothing_brings_nothing_later(harness: Harness) -> None:
    await harness.hear(MERGED)
    harness.forget(MERGED)
    guest = harness.row(Cart, GUEST)
    assert guest is not None
    assert guest.merged_into == ACCOUNT
    await harness.hear(MERGED)
    assert items(harness, ACCOUNT) is None


async def test_a_merge_told_again_after_the_inbox_forgot_moves_nothing(harness: Harness) -> None:
    harness.put(Cart(GUEST, {"lamp": 2}))
    await harness.hear(MERGED)
    harness.inbox.clear()
    await harness.hear(MERGED)
    assert items(harness, ACCOUNT) == {"lamp": 2}


@pytest.mark.parametrize(
    "events", list(permutations([paid(GUEST, lamp=1), MERGED, paid(ACCOUNT, 8, vase=1)]))
)
async def test_purchases_and_the_login_end_the_same_in_any_order(
    harness: Harness, events: tuple[Event, ...]
) -> None:
    harness.put(Cart(GUEST, {"lamp": 2}), Cart(ACCOUNT, {"lamp": 1, "vase": 1}))
    await harness.hear(*events)
    assert items(harness, ACCOUNT) == {"lamp": 2}


async def test_a_guest_s_late_purchase_takes_only_what_the_guest_brought(harness: Harness) -> None:
    harness.put(Cart(GUEST, {"lamp": 1}), Cart(ACCOUNT, {"lamp": 2, "vase": 1}))
    await harness.hear(MERGED, paid(GUEST, lamp=2, vase=1))
    assert items(harness, ACCOUNT) == {"lamp": 2, "vase": 1}
