"""An order removes items from a cart, a login merges two."""

from uuid import UUID

from cart.domain import MOST_LINES, MOST_PIECES, Cart

GUEST, ACCOUNT = UUID(int=1), UUID(int=2)


def test_bought_pieces_are_removed() -> None:
    cart = Cart(ACCOUNT, {"lamp": 3, "vase": 1})
    assert cart.remove({"lamp": 2, "vase": 1}) == {"lamp": 2, "vase": 1}
    assert cart.items == {"lamp": 1}


def test_only_pieces_in_the_cart_are_removed() -> None:
    cart = Cart(ACCOUNT, {"lamp": 1, "vase": 1})
    assert cart.remove({"lamp": 2, "clock": 1}) == {"lamp": 1}
    assert cart.items == {"vase": 1}


def test_a_guests_items_are_merged_into_the_accounts_cart() -> None:
    guest, account = Cart(GUEST, {"lamp": 2, "vase": 1}), Cart(ACCOUNT, {"lamp": 1})
    account.merge(guest)
    assert account.items == {"lamp": 3, "vase": 1}
    assert guest.merged_into == ACCOUNT


def test_merging_respects_the_limit_of_a_line() -> None:
    account = Cart(ACCOUNT, {"lamp": MOST_PIECES - 1})
    account.merge(Cart(GUEST, {"lamp": 5}))
    assert account.items == {"lamp": MOST_PIECES}


def test_a_full_cart_merges_only_products_that_it_has() -> None:
    account = Cart(ACCOUNT, {str(n): 1 for n in range(MOST_LINES)})
    account.merge(Cart(GUEST, {"0": 1, "lamp": 1}))
    assert len(account.items) == MOST_LINES
    assert account.items["0"] == 2
