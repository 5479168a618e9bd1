"""Every step: the happy path, the repeat, and each sequence of arrival."""

from itertools import permutations
from uuid import UUID

import pytest

from cart.domain import Cart
from cart.saga import steps
from chassis.testing import Harness
from contracts import Event, OrderPaid
from contracts.testing import guest_merged, line, order_paid, user_deleted

GUEST, ACCOUNT = UUID(int=1), UUID(int=2)
MERGED = guest_merged(guest_id=GUEST, user_id=ACCOUNT)


def paid(shopper: UUID, order: int = 9, **pieces: int) -> OrderPaid:
    lines = tuple(line(sku, n) for sku, n in pieces.items())
    return order_paid(order_id=UUID(int=order), shopper_id=shopper, lines=lines)


def items(harness: Harness, owner: UUID) -> dict[str, int] | None:
    cart = harness.row(Cart, owner)
    return None if cart is None else cart.items


@pytest.fixture
def harness() -> Harness:
    return Harness(steps)


async def test_bought_pieces_are_removed(harness: Harness) -> None:
    harness.put(Cart(ACCOUNT, {"lamp": 3, "vase": 1}))
    await harness.consume(paid(ACCOUNT, lamp=2, vase=1))
    assert items(harness, ACCOUNT) == {"lamp": 1}


async def test_the_cart_of_a_deleted_account_is_emptied(harness: Harness) -> None:
    harness.put(Cart(ACCOUNT, {"lamp": 3}))
    deleted = user_deleted(user_id=ACCOUNT)
    await harness.consume(deleted, deleted, user_deleted(user_id=GUEST))
    assert items(harness, ACCOUNT) == {}
    assert items(harness, GUEST) is None


async def test_a_redelivered_payment_removes_pieces_once(harness: Harness) -> None:
    harness.put(Cart(ACCOUNT, {"lamp": 3}))
    await harness.consume(paid(ACCOUNT, lamp=1), paid(ACCOUNT, lamp=1))
    assert items(harness, ACCOUNT) == {"lamp": 2}


async def test_without_a_cart_nothing_is_removed(harness: Harness) -> None:
    await harness.consume(paid(ACCOUNT, lamp=1))
    assert items(harness, ACCOUNT) is None


async def test_a_guests_items_move_to_the_account(harness: Harness) -> None:
    harness.put(Cart(GUEST, {"lamp": 2}), Cart(ACCOUNT, {"lamp": 1, "vase": 1}))
    await harness.consume(MERGED)
    assert items(harness, ACCOUNT) == {"lamp": 3, "vase": 1}


async def test_an_account_without_a_cart_gets_the_guests(harness: Harness) -> None:
    harness.put(Cart(GUEST, {"lamp": 2}))
    await harness.consume(MERGED)
    assert items(harness, ACCOUNT) == {"lamp": 2}


async def test_a_guest_without_a_cart_adds_nothing(harness: Harness) -> None:
    await harness.consume(MERGED)
    assert items(harness, ACCOUNT) is None


async def test_a_payment_that_the_inbox_has_forgotten_removes_nothing_again(harness: Harness) -> None:
    harness.put(Cart(ACCOUNT, {"lamp": 3}))
    await harness.consume(paid(ACCOUNT, lamp=1))
    harness.forget(paid(ACCOUNT, lamp=1))
    await harness.consume(paid(ACCOUNT, lamp=1))
    assert items(harness, ACCOUNT) == {"lamp": 2}


async def test_a_repeated_payment_does_not_change_a_later_cart(harness: Harness) -> None:
    await harness.consume(paid(ACCOUNT, lamp=1))
    harness.forget(paid(ACCOUNT, lamp=1))
    harness.put(Cart(ACCOUNT, {"lamp": 3}))
    await harness.consume(paid(ACCOUNT, lamp=1))
    assert items(harness, ACCOUNT) == {"lamp": 3}


async def test_a_guest_merged_without_a_cart_adds_nothing_later(harness: Harness) -> None:
    await harness.consume(MERGED)
    harness.forget(MERGED)
    guest = harness.row(Cart, GUEST)
    assert guest is not None
    assert guest.merged_into == ACCOUNT
    await harness.consume(MERGED)
    assert items(harness, ACCOUNT) is None


async def test_a_merge_that_the_inbox_has_forgotten_adds_nothing_again(harness: Harness) -> None:
    harness.put(Cart(GUEST, {"lamp": 2}))
    await harness.consume(MERGED)
    harness.inbox.clear()
    await harness.consume(MERGED)
    assert items(harness, ACCOUNT) == {"lamp": 2}


@pytest.mark.parametrize(
    "events", list(permutations([paid(GUEST, lamp=1), MERGED, paid(ACCOUNT, 8, vase=1)]))
)
async def test_purchases_and_the_login_end_the_same_in_any_order(
    harness: Harness, events: tuple[Event, ...]
) -> None:
    harness.put(Cart(GUEST, {"lamp": 2}), Cart(ACCOUNT, {"lamp": 1, "vase": 1}))
    await harness.consume(*events)
    assert items(harness, ACCOUNT) == {"lamp": 2}


async def test_a_guests_late_purchase_removes_only_the_guests_items(harness: Harness) -> None:
    harness.put(Cart(GUEST, {"lamp": 1}), Cart(ACCOUNT, {"lamp": 2, "vase": 1}))
    await harness.consume(MERGED, paid(GUEST, lamp=2, vase=1))
    assert items(harness, ACCOUNT) == {"lamp": 2, "vase": 1}
