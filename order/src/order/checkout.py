"""From a cart to a pending order: read the other services first, then commit everything in one
transaction."""

import asyncio
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from uuid import UUID
from weakref import WeakValueDictionary

import orjson
from fastapi import Response

from chassis.http.idempotency import IdempotencyKeys, KeyClaim
from chassis.http.identity import Principal
from chassis.http.origin import Origin
from chassis.messaging.encryption import Cipher, KeyedHash
from chassis.outbound import ServiceClient
from contracts import Line, Money
from order.bank_page import objection, origins, with_order_id
from order.budget import LineBudget
from order.checkout_schemas import PlaceOrder
from order.clients import OfferLoader, read_cart
from order.domain import Address, Order
from order.errors import NotOrderable, TotalOutOfRange
from order.ids import new_order_id
from order.placing import NumberTaken, Placing
from order.pricing import Cart, Limits, orderable, priced
from order.problems import CartNotOrderable, PlaceAgain, TotalChanged, TotalNotChargeable, invalid
from order.search import ContactHashes
from order.settings import Settings

# Two orders get the same number once in 10^15 pairs, so a second clash in a row has another cause, which the
# error shows.
_ATTEMPTS = 3


class Checkout:
    """Accepts checkouts.

    A shopper's orders are committed one after the other, so that the limit on open orders holds; N processes
    can exceed it by N - 1. The networks that orders are placed from are hashed with the key that encrypts
    contacts; with a new first key all counts start again.
    """

    def __init__(
        self,
        settings: Settings,
        cart: ServiceClient,
        offers: OfferLoader,
        placing: Placing,
        keys: IdempotencyKeys,
    ) -> None:
        self._cart = cart
        self._offers = offers
        self._placing = placing
        self._keys = keys
        self._cipher = Cipher.of(settings.contact_key)
        self._hashes = ContactHashes(settings.contact_key)
        self._networks = KeyedHash(settings.contact_key, b"order networks")
        self._return_origins = origins(settings.return_origins)
        self._budget, self._guest_budget = settings.budget, settings.guest_budget
        self._limits, self._guest_limits = settings.limits, settings.guest_limits
        self._lifetime = settings.order_deadline
        self._locks: WeakValueDictionary[UUID, asyncio.Lock] = WeakValueDictionary()

    async def accept(self, body: PlaceOrder, key: str, caller: Principal, origin: Origin) -> Response:
        """Carry out a checkout, once for each idempotency key. Raises problems."""
        is_guest = caller.role == "guest"
        email = body.email or caller.email
        if email is None:
            raise invalid("/email", "Required for a guest's order.")
        if body.shipping is not None and body.shipping.lacks_postcode:
            raise invalid(
                "/shipping/postcode", f"Required: an address in {body.shipping.country} needs a postcode."
            )
        if body.return_url and (detail := objection(body.return_url, self._return_origins)):
            raise invalid("/return_url", detail)
        async with self._keys.claim(caller.id, key, body.payload()) as claim:
            if claim.stored:
                return claim.stored.replay()
            budget = self._guest_budget if is_guest else self._budget
            budget.check(caller.id, 1)
            cart = await read_cart(self._cart, caller.token)
            budget.spend(caller.id, len(cart.lines))
            lines, total = await self._priced(body, cart, self._guest_limits if is_guest else self._limits)
            order = self._order(body, caller, email, cart, lines, total)
            order.network = network_of(origin, self._networks)
            async with self._locks.setdefault(caller.id, asyncio.Lock()):
                response = await self._place(order, cart, claim, budget)
        return response

    async def _place(self, order: Order, cart: Cart, claim: KeyClaim, budget: LineBudget) -> Response:
        for _ in range(_ATTEMPTS - 1):
            with suppress(NumberTaken, PlaceAgain):
                return await self._placing.commit(order, cart, claim, budget)
        return await self._placing.commit(order, cart, claim, budget)

    async def _priced(self, body: PlaceOrder, cart: Cart, limits: Limits) -> tuple[tuple[Line, ...], Money]:
        """The lines of the order and its total, at the current prices. If the cart was ordered before,
        CartOrdered takes precedence over refusals that follow from that, such as an empty cart."""
        try:
            lines, total = await self._price(cart, limits)
            if not body.expectations().allows(lines, total):
                raise TotalChanged(
                    f"The total is {total.amount} minor units of {total.currency} now; `lines` has the cart's"
                    " lines.",
                    total=total.model_dump(),
                    lines=[line.model_dump() for line in lines],
                )
        except (CartNotOrderable, TotalNotChargeable, TotalChanged):
            await self._placing.raise_if_ordered(cart)
            raise
        if total.amount and body.payment_method is None:
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

    def _order(
        self,
        body: PlaceOrder,
        caller: Principal,
        email: str,
        cart: Cart,
        lines: tuple[Line, ...],
        total: Money,
    ) -> Order:
        now, shipping = datetime.now(UTC), None
        if body.shipping is not None:
            shipping = Address(**body.shipping.model_dump())
        order_id = new_order_id()
        return Order(
            order_id=order_id,
            shopper_id=caller.id,
            lines=lines,
            total=total.amount,
            currency=total.currency,
            payment_method=(body.payment_method or "") if total.amount else "",
            contact=self._cipher.encrypt(email),
            contact_hash=self._hashes.of_address(email),
            guest=caller.role == "guest",
            created_at=now,
            deadline=now + timedelta(seconds=min(self._lifetime, body.expires_in or self._lifetime)),
            shipping=shipping,
            sealed_shipping=self._cipher.encrypt(orjson.dumps(shipping).decode()) if shipping else None,
            cart_id=cart.ids[0] if cart.ids else None,
            return_url=with_order_id(body.return_url, order_id) if body.return_url else None,
        )


def network_of(origin: Origin, networks: KeyedHash) -> bytes | None:
    """The hash of the network that an order is placed from; `None` if the client's address is unknown, so
    that all such clients do not count as one network."""
    return networks.digest(origin.network) if origin.is_known else None
