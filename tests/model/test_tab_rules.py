"""The two rules that the exploration of tabs tells once more are PostgreSQL's: both are given the same, drawn
from a seed, and what comes of it is compared."""

import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from cart.domain import Cart
from cart.saga import steps
from cart.store import Carts
from chassis.http.idempotency import IdempotencyKeys
from chassis.storage.database import Transactions, connect
from chassis.storage.raw_sql import fetch
from contracts import Line, Money
from contracts.testing import guest_merged, order_paid
from order import pricing
from order.budget import LineBudget, Rate
from order.domain import Order
from order.ids import new_number, new_order_id
from order.placing import Placing
from order.problems import CartOrdered
from order.settings import Settings
from tests.model.tabs import Claim, ordered_before, put_in

SEEDS = range(4)
TIMES = 120
LINE = Line(sku="A", name="A", quantity=1, unit_price=500)
TOTAL = Money(amount=500, currency="GBP")
Migrated = Callable[[str], str]


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[AsyncEngine]:
    engine = connect(url, pool_size=2, statement_timeout=10)
    yield engine
    await engine.dispose()


class Shopping:
    """An account and three guests; `carts` are theirs by the rules of the model."""

    def __init__(self, engine: AsyncEngine, rng: random.Random) -> None:
        self._transactions = Transactions(engine, "cart", lease=60)
        self._kept = Carts(engine)
        self._dice = rng
        self._account, *self._guests = (Cart(uuid4()) for _ in range(4))
        self.carts = [self._account, *self._guests]
        self._same: dict[UUID, UUID] = {}

    async def go_on(self) -> None:
        """Do something to some cart."""
        cart, sku, pieces = self._dice.choice(self.carts), self._dice.choice("AB"), self._dice.randint(1, 3)
        does = self._dice.choice(["put", "replace", "remove", "buy", "merge"])
        if does == "buy" or cart.merged_into is not None:
            await self._buy(cart, sku)
        elif does == "put":
            put_in(cart, {**cart.items, sku: pieces}, uuid4())
            await self._kept.put(cart.owner_id, sku, pieces, guest=False)
        elif does == "replace":
            items = dict.fromkeys(self._dice.choice(("", "A", "B", "AB")), pieces)
            put_in(cart, items, uuid4())
            await self._kept.replace(cart.owner_id, items, guest=False)
        elif does == "remove":
            put_in(cart, {one: count for one, count in cart.items.items() if one != sku}, uuid4())
            await self._kept.remove(cart.owner_id, sku)
        elif cart is not self._account:
            self._account.merge(cart)
            await self._hear(guest_merged(guest_id=cart.owner_id, user_id=self._account.owner_id))

    async def is_alike(self) -> bool:
        """Whether each cart holds the same in both, and counts as the same as before wherever it does in the
        other: the ids themselves are random."""
        for expected in self.carts:
            found = await self._kept.read(expected.owner_id)
            if expected.merged_into is not None:
                assert not found.items
                assert not found.ids
                continue
            if (found.items, found.bought) != (expected.items, expected.bought):
                return False
            ids = zip(expected.ids, found.ids, strict=bool(expected.items))
            if any(self._same.setdefault(one, other) != other for one, other in ids):
                return False
        return len(set(self._same.values())) == len(self._same)

    async def _buy(self, cart: Cart, sku: str) -> None:
        order_id = uuid4()
        taken = cart.remove({sku: 1})
        cart.record_bought(order_id)
        if cart.merged_into is not None:
            self._account.remove(taken)
            self._account.record_bought(order_id)
        line = LINE.model_copy(update={"sku": sku})
        await self._hear(order_paid(order_id=order_id, shopper_id=cart.owner_id, lines=(line,)))

    async def _hear(self, event: Any) -> None:
        step = steps.find(event.type, event.version)
        assert step is not None
        async with self._transactions() as tx:
            await step.run(event, tx)


@pytest.mark.parametrize("seed", SEEDS)
async def test_what_is_put_into_a_cart_makes_another_of_it_as_the_model_says(
    migrated: Migrated, seed: int
) -> None:
    async with connected(migrated("cart")) as engine:
        shopping = Shopping(engine, random.Random(seed))
        for _ in range(TIMES):
            await shopping.go_on()
            assert await shopping.is_alike()
        assert any(len(one.ids) > 1 for one in shopping.carts)


NO_CAPS = Settings.model_construct(
    max_open_orders=10**6,
    guest_open_pieces=10**6,
    declines_per_shopper=10**6,
    declines_per_network=10**6,
    decline_window_seconds=60,
)


class Submits:
    """Orders of carts that count as whatever there is; `orders` and `claims` are as the model has them."""

    def __init__(self, engine: AsyncEngine, rng: random.Random) -> None:
        self._engine = engine
        self._dice = rng
        self._keys = IdempotencyKeys(engine)
        self._placing = Placing(Transactions(engine, "order", lease=0), NO_CAPS)
        self._budget = LineBudget(per_minute=10**6, large=10**6, rate=Rate(1, 1))
        self._carts = [uuid4() for _ in range(6)]
        self._shoppers = [uuid4() for _ in range(2)]
        self.orders: list[Order] = []
        self.claims: list[Claim] = []

    async def go_on(self) -> bool | None:
        """Submit a cart, and tell whether it became an order; or pay or cancel one."""
        if (open_ := [one for one in self.orders if one.status != "cancelled"]) and self._dice.random() < 0.4:
            await self._end(self._dice.choice(open_))
            return None
        ids = tuple(self._dice.sample(self._carts, self._dice.choice((1, 1, 2, 3))))
        # What is left when an order was taken out has a new id, in front of that order's.
        taken_out = [one for one in self.orders if one.status == "paid" and self._dice.random() < 0.3]
        if taken_out:
            ids = (uuid4(), *ids)
        cart = pricing.Cart([], ids, tuple(one.order_id for one in taken_out))
        expected = not ordered_before(self.orders, self.claims, cart.ids, cart.bought)
        placed = self._order(ids[0])
        blocking = await self._place(placed, cart)
        assert (blocking is None) == expected
        assert blocking in {None, *(str(one.order_id) for one in self.orders)}
        if expected:
            self.orders.append(placed)
            self.claims.append(Claim(placed.order_id, ids))
        return expected

    async def _place(self, placed: Order, cart: pricing.Cart) -> str | None:
        """Returns the order that blocks it."""
        key = uuid4().hex
        try:
            async with self._keys.claim(placed.shopper_id, key, b"") as claim:
                await self._placing.commit(placed, cart, claim, self._budget)
        except CartOrdered as refused:
            return str(refused.extensions["order_id"])
        return None

    async def _end(self, order: Order) -> None:
        order.status = self._dice.choice(("paid", "cancelled"))  # by whatever led to it
        ends = {
            "paid": "paid_at = now(), payment_id = 'pi_1', cancelled_at = NULL, reason = NULL",
            "cancelled": "paid_at = NULL, payment_id = NULL, cancelled_at = now(), reason = 'shopper'",
        }
        statement = f"UPDATE orders SET status = $2, {ends[order.status]} WHERE order_id = $1"
        await fetch(self._engine, statement, order.order_id, order.status)

    def _order(self, cart_id: UUID) -> Order:
        now = datetime.now(UTC)
        return Order(
            order_id=new_order_id(),
            shopper_id=self._dice.choice(self._shoppers),
            lines=(LINE,),
            total=TOTAL.amount,
            currency=TOTAL.currency,
            payment_method="pm_card_visa",
            contact="sealed",
            created_at=now,
            deadline=now + timedelta(minutes=15),
            number=new_number(),
            cart_id=cart_id,
        )


@pytest.mark.parametrize("seed", SEEDS)
async def test_an_order_is_placed_or_refused_as_the_model_says(migrated: Migrated, seed: int) -> None:
    async with connected(migrated("order")) as engine:
        submits = Submits(engine, random.Random(seed))
        outcomes = [await submits.go_on() for _ in range(TIMES)]
        assert min(outcomes.count(True), outcomes.count(False)) > TIMES // 20
