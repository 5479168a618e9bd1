"""From a cart to a pending order: read the other services first, then commit everything in one
transaction."""

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
from order import numbers, schemas
from order.budget import Budgets, LineBudget
from order.clients import Carts, OfferLoader
from order.domain import Address, Order
from order.expected import TotalChanged
from order.ids import new_order_id
from order.placing import ACCEPTED, NumberTaken, PlaceAgain, Placing
from order.pricing import (
    ANYTHING,
    Cart,
    Expected,
    Limits,
    Refused,
    TotalOutOfRange,
    Wanted,
    orderable,
    priced,
)

# Two orders get the same number once in 10^15 pairs, and nobody cancels that fast: if an attempt fails twice
# in a row, the cause is something else.
_ATTEMPTS = 3


class NotOrderable(Unprocessable):
    """422: the cart cannot be ordered."""

    type = "/problems/cart-not-orderable"
    title = "The cart cannot be ordered"


class NotChargeable(Unprocessable):
    """422: the total is more, or less, than can be charged; `amount`, `minimum` and `maximum` are minor units
    of `currency`."""

    type = "/problems/total-not-chargeable"
    title = "The total cannot be charged"


@dataclass(frozen=True, slots=True)
class Request:
    """A checkout: who orders, with which token, how to pay, where to write and ship to, and what the shopper
    expects. Only a free order needs no payment method."""

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
    """Accepts checkouts.

    `lifetime` is how long an order may stay pending, and `guest_pieces` how many pieces of one product a
    guest may order. A shopper's orders are committed one after the other, so that the limit on open orders
    holds; N processes can exceed it by N - 1.
    """

    def __init__(
        self,
        carts: Carts,
        offers: OfferLoader,
        placing: Placing,
        keys: IdempotencyKeys,
        cipher: Cipher,
        budgets: Budgets,
        *,
        limits: Limits,
        guest_pieces: int,
        lifetime: timedelta,
    ) -> None:
        self._carts = carts
        self._offers = offers
        self._placing = placing
        self._keys = keys
        self._cipher = cipher
        self._budgets = budgets
        self._limits = limits
        self._guest_limits = replace(limits, quantity=min(limits.quantity, guest_pieces))
        self._lifetime = lifetime
        self._locks: WeakValueDictionary[UUID, asyncio.Lock] = WeakValueDictionary()

    async def accept(self, request: Request, key: str, payload: bytes) -> Response:
        """Carry out a checkout, once for each idempotency key; `payload` is the whole request. Raises
        problems."""
        async with self._keys.claim(request.shopper_id, key, payload) as claim:
            if claim.stored:
                return claim.stored.replay()
            budget = self._budgets.of(guest=request.guest)
            budget.check(request.shopper_id, 1)
            cart = await self._carts.read(request.token)
            budget.spend(request.shopper_id, len(cart.lines))
            order = await self._priced(request, cart)
            async with self._locks.setdefault(request.shopper_id, asyncio.Lock()):
                body, headers = await self._commit(order, cart, claim, budget)
        return Response(body, ACCEPTED, headers)

    async def _commit(
        self, order: Order, cart: Cart, claim: Claim, budget: LineBudget
    ) -> tuple[bytes, dict[str, str]]:
        """Commit the order under a unique number; returns the body and headers of the response."""
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
        """The order of this cart at the current prices. If the cart was ordered before, CartOrdered takes
        precedence over refusals that follow from that, such as an empty cart."""
        try:
            limits = self._guest_limits if request.guest else self._limits
            lines, total = await self._price(cart.lines, limits)
            if not request.expected.allows(lines, total):
                raise TotalChanged.to(lines, total)
        except (NotOrderable, NotChargeable, TotalChanged):
            await self._placing.raise_if_ordered(cart)
            raise
        _require_payment_method(request, total)
        return self._order(request, cart, lines, total)

    async def _price(self, wanted: Sequence[Wanted], limits: Limits) -> tuple[tuple[Line, ...], Money]:
        try:
            orderable(wanted, limits)
            offers = await self._offers.load([one.sku for one in wanted])
            return priced(wanted, offers, limits)
        except TotalOutOfRange as refused:
            amounts = {"minimum": refused.minimum, "maximum": refused.maximum, **refused.total.model_dump()}
            raise NotChargeable(str(refused), **amounts) from None
        except Refused as refused:
            raise NotOrderable(str(refused), errors=refused.errors) from None

    def _lifetime_of(self, request: Request) -> timedelta:
        """The shop's limit, or the shopper's if that is shorter."""
        if request.expires_in is None:
            return self._lifetime
        return timedelta(seconds=min(self._lifetime.total_seconds(), request.expires_in))

    def _encrypted(self, shipping: Address | None) -> str | None:
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
            sealed_shipping=self._encrypted(request.shipping),
            created_at=now,
            deadline=now + self._lifetime_of(request),
            shipping=request.shipping,
            cart_id=cart.ids[0] if cart.ids else None,
            return_url=request.return_url,
            network=request.network,
        )


def _require_payment_method(request: Request, total: Money) -> None:
    if total.amount and request.payment_method is None:
        missing = {"pointer": "/payment_method", "detail": "Required unless the order is free."}
        raise Unprocessable("The request is not valid.", errors=[missing])


def accepted(order: Order) -> tuple[bytes, dict[str, str]]:
    """The body and headers of the response to a checkout."""
    links = schemas.links(order.order_id)
    body = {
        "order_id": order.order_id,
        "number": order.number,
        "status": order.status,
        "total": {"amount": order.total, "currency": order.currency},
        "links": links,
    }
    return schemas.dumps(body), {"Location": links["self"], "Content-Type": "application/json"}
