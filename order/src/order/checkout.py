"""From a cart to a pending order: read the other services first, then commit everything in one
transaction."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from uuid import UUID
from weakref import WeakValueDictionary

import orjson
from fastapi import Response
from pydantic import SecretStr

from chassis.http.idempotency import Claim, IdempotencyKeys
from chassis.http.origin import Origin
from chassis.messaging.encryption import Cipher, KeyedHash
from contracts import Line, Money
from order.budget import LineBudget
from order.clients import Carts, OfferLoader
from order.domain import Address, Order
from order.errors import NotOrderable, TotalOutOfRange
from order.ids import new_order_id
from order.placing import NumberTaken, Placing
from order.pricing import ANYTHING, Cart, Expected, Limits, orderable, priced
from order.problems import CartNotOrderable, PlaceAgain, TotalChanged, TotalNotChargeable, invalid
from order.settings import Settings

# Two orders get the same number once in 10^15 pairs, so a second clash in a row has another cause, which the
# error shows.
_ATTEMPTS = 3


class Networks:
    """Hashes the networks that orders are placed from. `keys` is the setting that encrypts contacts; with a
    new first key all counts start again."""

    def __init__(self, keys: SecretStr) -> None:
        self._hash = KeyedHash(keys, b"order networks")

    def hash(self, origin: Origin) -> bytes | None:
        """16 bytes; `None` if the client's address is unknown, so that all such clients do not count as one
        network."""
        return self._hash.digest(origin.network) if origin.is_known else None


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

    A shopper's orders are committed one after the other, so that the limit on open orders holds; N processes
    can exceed it by N - 1.
    """

    def __init__(
        self, settings: Settings, carts: Carts, offers: OfferLoader, placing: Placing, keys: IdempotencyKeys
    ) -> None:
        self._carts = carts
        self._offers = offers
        self._placing = placing
        self._keys = keys
        self._cipher = Cipher.of(settings.contact_key)
        self._budgets = settings.budgets
        self._limits = settings.limits
        guest_quantity = min(settings.max_quantity, settings.guest_open_pieces)
        self._guest_limits = replace(settings.limits, quantity=guest_quantity)
        self._lifetime = settings.order_deadline
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
            lines, total = await self._priced(request, cart)
            order = self._order(request, cart, lines, total)
            async with self._locks.setdefault(request.shopper_id, asyncio.Lock()):
                response = await self._place(order, cart, claim, budget)
        return response

    async def _place(self, order: Order, cart: Cart, claim: Claim, budget: LineBudget) -> Response:
        for _ in range(_ATTEMPTS - 1):
            with suppress(NumberTaken, PlaceAgain):
                return await self._placing.commit(order, cart, claim, budget)
        return await self._placing.commit(order, cart, claim, budget)

    async def _priced(self, request: Request, cart: Cart) -> tuple[tuple[Line, ...], Money]:
        """The lines of the order and its total, at the current prices. If the cart was ordered before,
        CartOrdered takes precedence over refusals that follow from that, such as an empty cart."""
        try:
            lines, total = await self._price(cart, self._guest_limits if request.guest else self._limits)
            if not request.expected.allows(lines, total):
                raise TotalChanged(
                    f"The total is {total.amount} minor units of {total.currency} now; `lines` has the cart's"
                    " lines.",
                    total=total.model_dump(),
                    lines=[line.model_dump() for line in lines],
                )
        except (CartNotOrderable, TotalNotChargeable, TotalChanged):
            await self._placing.raise_if_ordered(cart)
            raise
        if total.amount and request.payment_method is None:
            raise invalid("/payment_method", "Required unless the order is free.")
        return lines, total

    async def _price(self, cart: Cart, limits: Limits) -> tuple[tuple[Line, ...], Money]:
        try:
            orderable(cart.lines, limits)
            offers = await self._offers.load([one.sku for one in cart.lines])
            return priced(cart.lines, offers, limits)
        except TotalOutOfRange as refused:
            amounts = {"minimum": refused.minimum, "maximum": refused.maximum, **refused.total.model_dump()}
            raise TotalNotChargeable(str(refused), **amounts) from None
        except NotOrderable as refused:
            raise CartNotOrderable(str(refused), errors=refused.errors) from None

    def _order(self, request: Request, cart: Cart, lines: tuple[Line, ...], total: Money) -> Order:
        now, lifetime, shipping = datetime.now(UTC), self._lifetime, None
        if request.expires_in is not None:
            lifetime = min(lifetime, request.expires_in)
        if request.shipping is not None:
            shipping = self._cipher.encrypt(orjson.dumps(request.shipping).decode())
        return Order(
            order_id=new_order_id(),
            shopper_id=request.shopper_id,
            lines=lines,
            total=total.amount,
            currency=total.currency,
            payment_method=(request.payment_method or "") if total.amount else "",
            contact=self._cipher.encrypt(request.email),
            guest=request.guest,
            sealed_shipping=shipping,
            created_at=now,
            deadline=now + timedelta(seconds=lifetime),
            shipping=request.shipping,
            cart_id=cart.ids[0] if cart.ids else None,
            return_url=request.return_url,
            network=request.network,
        )
