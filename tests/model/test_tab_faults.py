"""The exploration of tabs can fail: each of these faults breaks a promise, by name."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

import pytest

import tests.model.tab_promises
import tests.model.tabs
from cart.domain import Cart
from tests.model.shops import BOUGHT_IN_PART, CARRIED, CHANGED, RESUBMITTED, TWO_CARTS, search
from tests.model.tabs import Claim, Tabs, ordered_before, put_in

Patch = pytest.MonkeyPatch
TWICE = "no more is bought than was put into carts"
LEFT = "what is left in a cart can be ordered"


@dataclass(frozen=True)
class Fault:
    """What is done to the code, the promise that breaks, and the shop in which it does."""

    seed: Callable[[Patch], None]
    breaks: str
    shop: Tabs


FAULTS: list[Fault] = []


def fault(breaks: str, shop: Tabs) -> Callable[[Callable[[Patch], None]], Callable[[Patch], None]]:
    def register(seed: Callable[[Patch], None]) -> Callable[[Patch], None]:
        FAULTS.append(Fault(seed, breaks, shop))
        return seed

    return register


@fault(TWICE, RESUBMITTED)
def orders_claim_no_cart(patch: Patch) -> None:
    patch.setattr(tests.model.tabs, "ordered_before", lambda *_: False)


@fault(LEFT, RESUBMITTED)
def a_cancelled_order_keeps_its_cart(patch: Patch) -> None:
    def never_free(orders: Any, claims: Any, ids: Any, bought: Any) -> bool:
        return ordered_before([replace(one, status="paid") for one in orders], claims, ids, bought)

    patch.setattr(tests.model.tabs, "ordered_before", never_free)
    patch.setattr(tests.model.tab_promises, "ordered_before", never_free)


@fault("a-bought-cart-is-empty", BOUGHT_IN_PART)
def what_is_left_is_the_cart_that_was_bought(patch: Patch) -> None:
    patch.setattr(Cart, "record_bought", lambda self, order_id: None)


@fault(TWICE, BOUGHT_IN_PART)
def a_cart_that_was_bought_in_part_is_another(patch: Patch) -> None:
    record_bought = Cart.record_bought

    def forget(self: Cart, order_id: UUID) -> None:
        record_bought(self, order_id)
        self.ids = self.ids[:1]

    patch.setattr(Cart, "record_bought", forget)


@fault(TWICE, CHANGED)
def a_cart_that_is_changed_is_another(patch: Patch) -> None:
    def change(held: Cart, items: Mapping[str, int], other: UUID) -> None:
        put_in(held, items, other)
        held.ids = (other,)

    patch.setattr(tests.model.tabs, "put_in", change)


@fault(TWICE, CARRIED)
def a_login_makes_another_cart_of_the_guests(patch: Patch) -> None:
    merge = Cart.merge

    def renew(self: Cart, guest: Cart) -> None:
        merge(self, guest)
        self.ids = (self.owner_id,)

    patch.setattr(Cart, "merge", renew)


@fault(TWICE, TWO_CARTS)
def two_carts_that_are_merged_are_the_guests_alone(patch: Patch) -> None:
    merge = Cart.merge

    def forget(self: Cart, guest: Cart) -> None:
        merge(self, guest)
        self.ids = guest.ids

    patch.setattr(Cart, "merge", forget)


@fault(TWICE, TWO_CARTS)
def an_order_claims_one_of_the_carts_that_were_merged(patch: Patch) -> None:
    patch.setattr(tests.model.tabs, "Claim", lambda order_id, ids: Claim(order_id, ids[:1]))


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.seed.__name__)
def test_a_fault_is_caught(fault: Fault, monkeypatch: Patch) -> None:
    fault.seed(monkeypatch)
    violation = search(fault.shop).violation
    assert violation is not None, "the fault went unnoticed"
    assert fault.breaks in violation[1].broken
    assert violation[1].history
