"""What an order takes out of a cart, and what a login adds to one."""

from uuid import UUID

from cart.domain import MOST_LINES, MOST_PIECES, Cart

GUEST, ACCOUNT = UUID(int=1), UUID(int=2)


def test_what_was_bought_leaves_the_cart() -> None:
    cart = Cart(ACCOUNT, {"lamp": 3, "vase": 1})
    assert cart.remove({"lamp": 2, "vase": 1}) == {"lamp": 2, "vase": 1}
    assert cart.items == {"lamp": 1}


def test_no_more_leaves_the_cart_than_is_in_it() -> None:
    cart = Cart(ACCOUNT, {"lamp": 1, "vase": 1})
    assert cart.remove({"lamp": 2, "clock": 1}) == {"lamp": 1}
    assert cart.items == {"vase": 1}


def test_an_account_takes_over_what_its_guest_had() -> None:
    guest, account = Cart(GUEST, {"lamp": 2, "vase": 1}), Cart(ACCOUNT, {"lamp": 1})
    account.take_over(guest)
    assert account.items == {"lamp": 3, "vase": 1}
    assert guest.merged_into == ACCOUNT


def test_no_line_grows_beyond_its_limit() -> None:
    account = Cart(ACCOUNT, {"lamp": MOST_PIECES - 1})
    account.take_over(Cart(GUEST, {"lamp": 5}))
    assert account.items == {"lamp": MOST_PIECES}


def test_a_full_cart_takes_over_only_what_it_has_already() -> None:
    account = Cart(ACCOUNT, {str(n): 1 for n in range(MOST_LINES)})
    account.take_over(Cart(GUEST, {"0": 1, "lamp": 1}))
    assert len(account.items) == MOST_LINES
    assert account.items["0"] == 2
