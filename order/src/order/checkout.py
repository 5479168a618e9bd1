"""From a cart to a pending order: read the neighbours first, then commit everything at once or nothing."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from uuid import UUID
from weakref import WeakValueDictionary

import orjson
from fastapi import Response

from chassis.http.idempotency import Claim, IdempotencyKeys
from chassis.http.problems import Unprocessable
from chassis.messaging.encryption import Cipher
from contracts import Line, Money
from order import numbers, views
from order.budget import Budgets, LineBudget
from order.clients import Carts, Offers
from order.domain import Address, Order
from order.ids import new_order_id
from order.placing import ACCEPTED, NumberTaken, PlaceAgain, Placing
from order.pricing import ANYTHING, Cart, Expected, Limits, NotCharged, Refused, Wanted, orderable, priced
from order.seen import NotAsSeen

# Two orders share a number once in 10^15 pairs, and nobody cancels as fast: twice in a row is no chance.
_ATTEMPTS = 3


class NotOrderable(Unprocessable):
    """422: no order comes of this cart."""

    type = "/problems/cart-not-orderable"
    title = "The cart cannot be ordered"


class NotChargeable(Unprocessable):
    """422: the order would come to more, or to less, than can be charged; `amount`, `minimum` and `maximum`
    are minor units of `currency`."""

    type = "/problems/total-not-chargeable"
    title = "The total cannot be charged"


@dataclass(frozen=True, slots=True)
class Request:
    """Who orders with which token, how it is to be paid, written to and shipped, and what was seen. Only a
    free order needs no payment method."""

    shopper_id: UUID
    token: str
    payment_method: str | None
    email: str
    shipping: Address | None
    guest: bool
    expires_in: int | None = None
    expected: Expected = ANYTHING
    return_url: str | None = None
    network: bytes | None = None


class Checkout:
    """Accepts checkouts; `patience` is how long an order may stay pending, and `guest_pieces` how many of one
    product a guest may order.

    A shopper's orders are committed one after the other, so that the limit on open ones holds: with N
    processes it can be exceeded by N - 1.
    """

    def __init__(
        self,
        carts: Carts,
        offers: Offers,
        placing: Placing,
        keys: IdempotencyKeys,
        cipher: Cipher,
        budgets: Budgets,
        *,
        limits: Limits,
        guest_pieces: int,
        patience: timedelta,
    ) -> None:
        self._carts = carts
        self._offers = offers
        self._placing = placing
        self._keys = keys
        self._cipher = cipher
        self._budgets = budgets
        self._limits = limits
        self._guest_limits = replace(limits, quantity=min(limits.quantity, guest_pieces))
        self._patience = patience
        self._turns: WeakValueDictionary[UUID, asyncio.Lock] = WeakValueDictionary()

    async def accept(self, request: Request, key: str, payload: bytes) -> Response:
        """Carry out a checkout, once for each key; `payload` is the whole request. Raises problems."""
        async with self._keys.claim(request.shopper_id, key, payload) as claim:
            if claim.stored:
                return claim.stored.replay()
            budget = self._budgets.of(guest=request.guest)
            budget.check(request.shopper_id, 1)
            cart = await self._carts.read(request.token)
            budget.spend(request.shopper_id, len(cart.lines))
            order = await self._priced(request, cart)
            async with self._turns.setdefault(request.shopper_id, asyncio.Lock()):
                body, headers = await self._commit(order, cart, claim, budget)
        return Response(body, ACCEPTED, headers)

    async def _commit(
        self, order: Order, cart: Cart, claim: Claim, budget: LineBudget
    ) -> tuple[bytes, dict[str, str]]:
        """Commit the order under a number that no other has; returns the answer to the checkout."""
        for _ in range(_ATTEMPTS - 1):
            with suppress(NumberTaken, PlaceAgain):
                return await self._place(order, cart, claim, budget)
        return await self._place(order, cart, claim, budget)

    async def _place(
        self, order: Order, cart: Cart, claim: Claim, budget: LineBudget
    ) -> tuple[bytes, dict[str, str]]:
        order.number = numbers.new()
        body, headers = accepted(order)
        await self._placing.commit(order, cart, claim, body, headers, budget)
        return body, headers

    async def _priced(self, request: Request, cart: Cart) -> Order:
        """The order of this cart at the prices of this moment. If it was ordered before, that is the reason
        to give, and not that it is empty since or has become dearer."""
        try:
            limits = self._guest_limits if request.guest else self._limits
            lines, total = await self._price(cart.lines, limits)
            if not request.expected.allows(lines, total):
                raise NotAsSeen.now(lines, total)
        except (NotOrderable, NotChargeable, NotAsSeen):
            await self._placing.raise_if_ordered(cart)
            raise
        _can_be_paid(request, total)
        return self._order(request, cart, lines, total)

    async def _price(self, wanted: Sequence[Wanted], limits: Limits) -> tuple[tuple[Line, ...], Money]:
        try:
            orderable(wanted, limits)
            offers = await self._offers.load([one.sku for one in wanted])
            return priced(wanted, offers, limits)
        except NotCharged as refused:
            amounts = {"minimum": refused.minimum, "maximum": refused.maximum, **refused.total.model_dump()}
            raise NotChargeable(str(refused), **amounts) from None
        except Refused as refused:
            raise NotOrderable(str(refused), errors=refused.errors) from None

    def _lifetime(self, request: Request) -> timedelta:
        """The shop's patience, or the shopper's if that ends sooner."""
        if request.expires_in is None:
            return self._patience
        return timedelta(seconds=min(self._patience.total_seconds(), request.expires_in))

    def _sealed(self, shipping: Address | None) -> str | None:
        return None if shipping is None else self._cipher.encrypt(orjson.dumps(shipping).decode())

    def _order(self, request: Request, cart: Cart, lines: tuple[Line, ...], total: Money) -> Order:
        now = datetime.now(UTC)
        return Order(
            order_id=new_order_id(),
            shopper_id=request.shopper_id,
            lines=lines,
            total=total.amount,
            currency=total.currency,
            payment_method=(request.payment_method or "") if total.amount else "",
            contact=self._cipher.encrypt(request.email),
            guest=request.guest,
            sealed_shipping=self._sealed(request.shipping),
            created_at=now,
            deadline=now + self._lifetime(request),
            shipping=request.shipping,
            cart_id=cart.ids[0] if cart.ids else None,
            return_url=request.return_url,
            network=request.network,
        )


def _can_be_paid(request: Request, total: Money) -> None:
    if total.amount and request.payment_method is None:
        missing = {"pointer": "/payment_method", "detail": "An order that is not free needs one."}
        raise Unprocessable("The request is not valid.", errors=[missing])


def accepted(order: Order) -> tuple[bytes, dict[str, str]]:
    """The answer to a checkout."""
    links = views.links(order.order_id)
    body = {
        "order_id": order.order_id,
        "number": order.number,
        "status": order.status,
        "total": {"amount": order.total, "currency": order.currency},
        "links": links,
    }
    return views.dumps(body), {"Location": links["self"], "Content-Type": "application/json"}
