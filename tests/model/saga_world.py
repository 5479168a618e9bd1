"""The world of the saga: order, product, payment and the provider, who decide how an order ends."""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache, partial
from typing import Any
from uuid import UUID

from cryptography.fernet import Fernet
from pydantic import SecretStr

import order.saga
import payment.saga
import product.saga
import product.waiting
from chassis.messaging.encryption import Cipher
from chassis.saga.steps import Steps
from chassis.saga.tx import Event, Tx
from chassis.testing import Harness
from contracts import (
    GuestMerged,
    Line,
    Money,
    OrderCancelled,
    PaymentDeclined,
    PaymentRefunded,
    StockRejected,
    StockReserved,
)
from contracts.testing import guest_merged, saga_nudged
from order.domain import MergedGuest, Order
from order.errors import NotAllowed
from order.events import created
from payment.disputes import Dispute
from payment.domain import REFUND_RETRY_AFTER, Payment
from payment.refunds import Refund
from payment.saga import apply
from product.domain import BelowZero, Hold, Stock
from tests.model import provider_ledger, returns
from tests.model.actor import Actor, Command, Numbers
from tests.model.forged_events import accepted
from tests.model.other_orders import CANCELLED, OtherOrders
from tests.model.provider import NOW, Provider, ProviderFaults
from tests.model.provider_ledger import Ledger
from tests.model.world import State, World

KEYS = SecretStr(Fernet.generate_key().decode())
CIPHER = Cipher.of(KEYS)
CONTACT = CIPHER.encrypt("shopper@example.com")
DEADLINE = timedelta(minutes=15)
CONTRADICTION = "Impossible: paid, but differs from what was ordered"
OPTIONAL = frozenset({"cancel", "claim", "confirm", "refuse", *returns.OPTIONAL, *provider_ledger.OPTIONAL})
ACCOUNT, CLAIMER = UUID(int=1001), UUID(int=1002)
_SERVING: list[type[Event]] = [StockReserved, StockRejected]


@dataclass(frozen=True)
class Shop:
    """What is explored: orders as pieces by sku, the stock they compete for, what the provider may do wrong,
    whether shoppers are guests, whether they may cancel and whether stock is adjusted by hand. `copies` and
    `losses`: see `World`; an order that lost something is nudged until nothing is left to do. `edited` is the
    total with which `order.created` reaches payment, as after an operator's slip. `price` is that of a piece.
    With `merges` each guest becomes an account at any moment, and another account may claim the order.
    `others` have reserved pieces (see `OtherOrders`); who waits for them may be `impatient`, and give up at
    any moment. No more than `most` pieces of a product are ever received, if that is given. `returns` is what
    of `returns.OPTIONAL` may be done to it: fulfil it, return a piece, refund it in part."""

    name: str
    orders: Sequence[Mapping[str, int]] = ({"A": 1},)
    stock: Mapping[str, int] = field(default_factory=lambda: {"A": 1})
    provider: ProviderFaults = field(default_factory=ProviderFaults)
    guest: bool = True
    cancels: bool = True
    copies: bool = False
    losses: int = 0
    adjusts: bool = False
    edited: int | None = None
    price: int = 500
    merges: bool = False
    others: Sequence[Mapping[str, int]] = ()
    impatient: bool = False
    most: int | None = None
    returns: Collection[str] = ()


@dataclass(frozen=True)
class OrderSnapshot:
    """One order as each of the three and the provider have it."""

    order: Order
    merged: MergedGuest | None
    payment: Payment
    hold: Hold | None
    ledger: Ledger
    refunds: tuple[Refund, ...] = ()
    disputes: tuple[Dispute, ...] = ()

    @property
    def owner(self) -> UUID:
        return self.order.owner(self.merged)

    @property
    def held(self) -> int:
        return sum(one.capturable for one in self.ledger.payments)

    @property
    def taken(self) -> int:
        return sum(one.captured for one in self.ledger.payments)

    @property
    def given_back(self) -> int:
        return sum(one.refunded for one in self.ledger.payments)


class SagaWorld(World):
    """An order's rows, messages and intents are an actor of their own in order and in payment: no step
    there loads what is not its order's. Product is one actor, since orders share its stock."""

    def __init__(self, shop: Shop) -> None:
        self.shop = shop
        return_url = "https://shop.example" if shop.provider.asks else None
        self.orders = [
            _order(n, lines, shop.guest, shop.price, return_url) for n, lines in enumerate(shop.orders)
        ]
        self.skus = list(shop.stock)
        self.provider = Provider(shop.provider)
        events: Numbers[Event] = Numbers()
        self.others = OtherOrders(shop.others)
        begun = _begin(product.saga.steps, *self.others.reserve(shop.stock), *self.others.holds())
        stocked = Actor("product", begun, events, _consumes(product.saga.steps))
        for one in self.orders:
            self._nudging(stocked, product.saga.steps, one)
            if shop.impatient:
                name = f"order {self.orders.index(one) + 1} has waited long enough"
                stocked.commands[name] = Command(_giving_up(one.order_id), _SERVING)
        optional = self._adjustments()
        stocked.commands |= {**optional, **dict(self.others.commands())}
        optional |= {name: command for name, command in self.others.commands() if name.startswith(CANCELLED)}
        actors = [
            *(self._ordering(one, events) for one in self.orders),
            *(self._paying(one, events) for one in self.orders),
            stocked,
        ]
        begin = [events.of(created(one)) for one in self.orders]
        begin += [events.of(merged(one)) for one in self.orders if shop.merges]
        ids = [one.order_id for one in self.orders]
        for actor, steps in zip(
            actors,
            [*[order.saga.steps] * len(ids), *[payment.saga.steps] * len(ids), product.saga.steps],
            strict=True,
        ):
            actor.forged = accepted(steps, ids)
        self.product_at = 2 * len(self.orders)
        super().__init__(
            events,
            actors,
            begin,
            optional=OPTIONAL | optional.keys(),
            copies=shop.copies,
            losses=shop.losses,
            edits=self._edited(events),
            dead_letters=[CONTRADICTION] if shop.edited is not None else [],
        )

    def concerns(self, state: State, n: int) -> State:
        """The part of the state that `snapshot` reads."""
        paying = len(self.orders) + n
        return state[n], state[paying], state[self.product_at], state[self.ledger[paying]]

    def snapshot(self, state: State, n: int) -> OrderSnapshot:
        """What became of the n-th order so far."""
        order_id, paying = self.orders[n].order_id, len(self.orders) + n
        return OrderSnapshot(
            self.row(state, n, Order, order_id),
            self.row(state, n, MergedGuest, self.orders[n].shopper_id),
            self.row(state, paying, Payment, order_id) or Payment(order_id),
            self.row(state, self.product_at, Hold, order_id),
            self.provider[state[self.ledger[paying]]].of(str(order_id)),
            tuple(row for kind, row in self._rows_of(state, paying) if kind is Refund),
            tuple(row for kind, row in self._rows_of(state, paying) if kind is Dispute),
        )

    def _rows_of(self, state: State, who: int) -> list[tuple[type, Any]]:
        return [(kind, row) for (kind, _), row in self.local(state, who).harness.rows.items()]

    def published_of(self, state: State, n: int) -> tuple[Event, ...]:
        """The events of the n-th order so far."""
        return tuple(event for event in self.published(state) if event.about == self.orders[n].order_id)

    def stock_of(self, state: State) -> list[Stock]:
        """The stock of each product, without what others have."""
        local = self.local(state, self.product_at)
        return [self.others.without(self.row(state, self.product_at, Stock, sku), local) for sku in self.skus]

    def _adjustments(self) -> dict[str, Command]:
        adjustable = self.skus if self.shop.adjusts else []
        return {
            f"{sku} {delta:+}": Command(_adjusting(sku, delta, self.shop.most), _SERVING)
            for sku in adjustable
            for delta in (1, -1)
        }

    def _edited(self, events: Numbers[Event]) -> dict[tuple[int, int], int]:
        if self.shop.edited is None:
            return {}
        edits = {}
        for n, one in enumerate(self.orders):
            total = Money(amount=self.shop.edited, currency=one.currency)
            edited = created(one).model_copy(update={"total": total})
            edits[len(self.orders) + n, events.of(created(one))] = events.of(edited)
        return edits

    def _ordering(self, one: Order, events: Numbers[Event]) -> Actor:
        async def expire(tx: Tx) -> None:
            tx.publish(*(await _load(tx, Order, one.order_id)).expire(tx.now))

        async def cancel(tx: Tx) -> None:
            with suppress(NotAllowed):  # the response to the shopper
                tx.publish(*(await _load(tx, Order, one.order_id)).cancel(tx.now))

        async def claim(tx: Tx) -> None:
            row, guest = await _load(tx, Order, one.order_id), await tx.get(MergedGuest, one.shopper_id)
            before, claimed = row.owner(guest), row.claim(CLAIMER, guest)
            assert row.owner(guest) == before or before == one.shopper_id, "an order changes hands once"
            assert claimed == (row.owner(guest) == CLAIMER), "the response to a claim is right"

        consumes = _consumes(order.saga.steps, one.order_id, one.shopper_id)
        actor = Actor("order", _begin(order.saga.steps, one), events, consumes)
        actor.about = one.order_id
        actor.commands["expire"] = Command(expire, [OrderCancelled], after=DEADLINE)
        if self.shop.cancels:
            actor.commands["cancel"] = Command(cancel, [OrderCancelled])
        if self.shop.merges:
            actor.commands["claim"] = Command(claim)
        if self.shop.returns:
            actor.commands |= dict(returns.commands(one, self.shop.returns))
        self._nudging(actor, order.saga.steps, one)
        return actor

    def _paying(self, one: Order, events: Numbers[Event]) -> Actor:
        async def refund_again(tx: Tx) -> None:
            found = await tx.get(Payment, one.order_id)
            if found is not None and found.refund_at and found.refunds_refused < returns.MOST_REFUSALS:
                apply(found, found.retry_refund(), tx)

        async def give_up(tx: Tx) -> None:
            if (found := await tx.get(Payment, one.order_id)) is not None:
                apply(found, found.void_expired(), tx)

        begun = Harness(payment.saga.steps, intents=payment.saga.intents, now=NOW)
        actor = Actor("payment", begun, events, _consumes(payment.saga.steps, one.order_id))
        actor.outside, actor.about = self.provider, one.order_id
        actor.commands["refund again"] = Command(
            refund_again, [PaymentRefunded], REFUND_RETRY_AFTER, forgets=f"refund:{one.order_id}"
        )
        actor.commands["give up"] = Command(give_up, [PaymentDeclined], after=2 * DEADLINE)
        if self.shop.returns:
            actor.commands |= dict(returns.asking_again(one.order_id))
        actor.simplify = partial(provider_ledger.recount, order_id=one.order_id)
        if self.shop.provider.later:
            actor.commands |= dict(
                provider_ledger.commands(one.order_id, self._has_news, self._differs(actor))
            )
        if self.shop.provider.later.bounces:
            actor.commands[provider_ledger.NUDGED] = _nudge(payment.saga.steps, one, 2 * DEADLINE)
        self._nudging(actor, payment.saga.steps, one)
        return actor

    def _has_news(self, _: int, ledger: int) -> bool:
        return provider_ledger.has_news(self.provider[ledger])

    def _differs(self, actor: Actor) -> Callable[[int, int], bool]:
        @cache
        def differs(state: int, ledger: int) -> bool:
            return self.provider.differs(ledger, actor[state])

        return differs

    def _nudging(self, actor: Actor, steps: Steps, one: Order) -> None:
        """Nudged before the deadline and after it, as often as it takes."""
        if self.shop.losses:
            for when, after in ("early", timedelta(0)), ("late", 2 * DEADLINE):
                name = f"nudged {when} about order {self.orders.index(one) + 1}"
                actor.commands[name] = _nudge(steps, one, after)


def _nudge(steps: Steps, one: Order, after: timedelta) -> Command:
    nudge = saga_nudged(order_id=one.order_id, nudge_id=UUID(int=0))
    step = steps.find(nudge.type, nudge.version)
    assert step is not None
    run = step.run

    async def republish(tx: Tx) -> None:
        await run(nudge, tx)

    return Command(republish, step.publishes, after=after)


def _order(n: int, lines: Mapping[str, int], guest: bool, price: int, return_url: str | None) -> Order:
    return Order(
        order_id=UUID(int=n + 1),
        shopper_id=UUID(int=n + 101),
        lines=tuple(Line(sku=sku, name=sku, quantity=n, unit_price=price) for sku, n in lines.items()),
        total=price * sum(lines.values()),
        currency="GBP",
        payment_method="pm_card_visa" if price else "",
        contact=CONTACT,
        guest=guest,
        created_at=NOW,
        deadline=NOW + DEADLINE,
        return_url=return_url,
    )


def _adjusting(sku: str, delta: int, most: int | None) -> Callable[[Tx], Awaitable[None]]:
    async def adjust(tx: Tx) -> None:
        stock = await _load(tx, Stock, sku)
        if most is not None and stock.received + delta > most:
            return
        with suppress(BelowZero):  # the response to the administrator
            stock.adjust(delta)
        await product.waiting.serve_waiting([stock], tx)

    return adjust


def _giving_up(order_id: UUID) -> Callable[[Tx], Awaitable[None]]:
    async def give_up(tx: Tx) -> None:
        if (hold := await tx.get(Hold, order_id)) is not None:
            await product.waiting.end_waiting([hold], tx)

    return give_up


def _begin(steps: Steps, *rows: Any) -> Harness:
    begun = Harness(steps, now=NOW)
    begun.put(*rows)
    return begun


def _consumes(steps: Steps, *about: UUID) -> Any:
    def consumes(event: Event) -> bool:
        return event.type in steps.routing_keys() and (not about or event.about in about)

    return consumes


def merged(one: Order) -> GuestMerged:
    """Its guest logs in."""
    return guest_merged(guest_id=one.shopper_id, user_id=ACCOUNT)


async def _load(tx: Tx, kind: type[Any], key: Any) -> Any:
    row = await tx.get(kind, key)
    assert row is not None
    return row
