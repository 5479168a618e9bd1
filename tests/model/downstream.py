"""The consumers downstream of the saga: the timeline, the cart and notification.

No other service consumes their events, they read nothing of others, and a queue may keep a message for any
time. So each is explored by itself, with all events of an order in its queue from the start: every sequence
in which it could ever get them is among those in which it may get them then.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

import cart.saga
import notification.saga
import order.saga
from cart.domain import Cart
from chassis.saga.steps import Steps
from chassis.saga.tx import Event, Intent
from chassis.testing import Harness
from contracts import OrderPaid, event_named
from notification.delivery import MailDelivery
from notification.domain import Correspondence, KeptMail, Outcome
from notification.mail import MailRenderer
from notification.settings import Settings
from notification.smtp import Start
from notification.store import IN_DOUBT, StartResult
from order.domain import Order
from order.timeline import TimelineEntry
from tests.model.actor import Actor, Called, LocalState, Numbers, at_once
from tests.model.explore import Check, Violation, explore, fine
from tests.model.forged_events import accepted
from tests.model.provider import NOW
from tests.model.saga_world import ACCOUNT, KEYS, merged
from tests.model.world import State, World

RENDERER = MailRenderer("Saga Shop <shop@example.com>")
SETTINGS = Settings.model_construct(contact_key=KEYS, letter_keep_trying=86_400)
MOST_MAILS = 8  # more than anybody is owed
IN_CART = dict.fromkeys("ABC", 5)


@dataclass(frozen=True)
class ArrivedMail:
    """A mail that arrived, and whether notification knew of the cancellation when it did."""

    message_id: str
    reason: str
    cancelled: bool
    refund_id: str | None = None


@dataclass(frozen=True)
class Mails:
    """What arrived, each copy of its own, which mails are noted as begun, and how they ended."""

    arrived: tuple[ArrivedMail, ...] = ()
    begun: frozenset[str] = frozenset()
    ended: frozenset[tuple[str, Outcome]] = frozenset()


class Mailbox:
    """The shopper's mail, and notification's real `MailDelivery` that fills it; its ledger is `Mails`. A
    process may end after a mail was begun, before the server has it or after, and does not know which; or
    after the mail's outcome was noted."""

    def __init__(self) -> None:
        self._ledgers: Numbers[Mails] = Numbers()
        self.start = self._ledgers.of(Mails())

    def __getitem__(self, ledger: int) -> tuple[ArrivedMail, ...]:
        return self._ledgers[ledger].arrived

    def calls(self, ledger: int, intent: Intent, local: LocalState) -> tuple[Called, ...]:
        mails = self._ledgers[ledger]
        store = MailStore(mails, local)
        smtp = FakeSmtp(store)
        post = MailDelivery(
            SETTINGS,
            RENDERER,
            store,  # type: ignore[arg-type]
            smtp,  # type: ignore[arg-type]
            clock=lambda: NOW,
        )
        outcome = at_once(post.deliver(intent))
        refund_id = str(intent.subject) if "order_id" in intent.payload else None
        off = _is_cancelled(local, intent.subject)
        new = [ArrivedMail(one, intent.kind, off, refund_id) for one in smtp.taken]
        arrived = tuple(sorted([*mails.arrived, *new], key=repr))[:MOST_MAILS]
        after = self._ledgers.of(replace(store.mails, arrived=arrived))
        lost = {after, *(self._ledgers.of(one) for one in smtp.unanswered(mails, arrived))} - {ledger}
        return Called(after, outcome), *(Called(one, None) for one in lost)

    def moves(self, ledger: int) -> tuple[tuple[str, int], ...]:
        return ()

    def forget(self, ledger: int, key: str) -> int:
        return ledger

    def age(self, ledger: int, key: str) -> int:
        return ledger


class FakeSmtp:
    """Takes every mail that may begin; `before` is what was noted when it did."""

    def __init__(self, store: "MailStore") -> None:
        self._store = store
        self.taken: list[str] = []
        self.before: Mails | None = None

    async def send(self, recipient: str, message: bytes, start: Start) -> Outcome:
        if (known := await start()) is not None:
            return known
        self.before = self._store.mails
        headers = message.decode().split("\r\n\r\n")[0].splitlines()
        self.taken += [line for line in headers if line.startswith("Message-ID:")]
        return Outcome("sent")

    def unanswered(self, mails: Mails, arrived: tuple[ArrivedMail, ...]) -> Iterator[Mails]:
        """What is known when the process ends before the server's answer: `mails` had arrived by then, or
        `arrived`."""
        if self.before is not None:
            yield replace(self.before, arrived=mails.arrived)
            yield replace(self.before, arrived=arrived)


class MailStore:
    """What notification has committed at that moment: which mails were begun and how they ended, which orders
    are cancelled."""

    def __init__(self, mails: Mails, local: LocalState) -> None:
        self.mails = mails
        self._place = local

    async def start(self, key: str, recipient: bytes) -> StartResult:
        if (known := await self.outcome_of(key)) is not None:
            return StartResult("finished", NOW, outcome=known)
        kind, _, order_id = key.partition(":")
        if kind == "receipt" and self.is_cancelled(UUID(order_id)):
            return StartResult("stopped", NOW)
        self.mails = replace(self.mails, begun=self.mails.begun | {key})
        return StartResult("started", NOW)

    async def finish(self, key: str, stamp: datetime, outcome: Outcome) -> None:
        self.mails = replace(self.mails, ended=self.mails.ended | {(key, outcome)})

    async def undo_start(self, key: str, stamp: datetime) -> None:
        raise AssertionError("this server refuses nothing")

    async def outcome_of(self, key: str) -> Outcome | None:
        return dict(self.mails.ended).get(key, IN_DOUBT) if key in self.mails.begun else None

    def is_cancelled(self, order_id: UUID) -> bool:
        return _is_cancelled(self._place, order_id)


def _is_cancelled(local: LocalState, order_id: UUID) -> bool:
    found = local.harness.row(Correspondence, order_id)
    return found is not None and found.cancelled


@dataclass(frozen=True)
class DownstreamEnd:
    """How it ended downstream: the types in the timeline, the mails that arrived, what became of each, and
    which are kept."""

    timeline: frozenset[str]
    arrived: tuple[ArrivedMail, ...]
    fates: Mapping[str, str]
    kept: tuple[KeptMail, ...]


class Broken(Exception):
    """A promise is broken downstream, in that world."""

    def __init__(self, world: World, violation: Violation) -> None:
        super().__init__(violation.broken)
        self.world = world
        self.violation = violation


class Downstream:
    """The downstream consumers of one order. Its cart is a guest's, who logs in at any moment."""

    def __init__(self, one: Order) -> None:
        self._order = one
        self._events: Numbers[Event] = Numbers()
        self._mailbox = Mailbox()
        self._timeline = self._automaton("order.timeline", order.saga.timeline)
        rows = Cart(one.shopper_id, dict(IN_CART)), Cart(ACCOUNT, dict(IN_CART))
        self._cart = self._automaton("cart", cart.saga.steps, *rows)
        self._notification = self._automaton("notification", notification.saga.steps)
        self._notification.outside = self._mailbox

    def ends(self, published: Sequence[Event]) -> list[DownstreamEnd]:
        """Every way in which it may end downstream once these events of the order are published. Raises
        Broken."""
        self._explore(
            self._cart, [*published, merged(self._order)], at_the_end=self._cart_is_right(published)
        )
        parts = [event for event in published if event.subject != event.about]
        ways = self._ends([event for event in published if event not in parts])
        for part in parts:
            ways = _together(ways, self._ends([part]))
        return ways

    def _ends(self, published: Sequence[Event]) -> list[DownstreamEnd]:
        """The same for events that share rows: one about a part of the order has rows of its own, there
        and in the timeline, and so is explored by itself."""
        timelines = {
            frozenset(row.type for row in self._rows(state) if row.order_id == self._order.order_id)
            for state in self._explore(self._timeline, published, always=self._timeline_is_right)
        }
        mails = {
            state[:2] for state in self._explore(self._notification, published, always=self._mail_is_right)
        }
        return [
            DownstreamEnd(timeline, self._mailbox[ledger], self._fates(local), self._kept(local))
            for timeline in timelines
            for local, ledger in mails
        ]

    def _explore(
        self, actor: Actor, published: Sequence[Event], always: Check = fine, at_the_end: Check = fine
    ) -> list[State]:
        world = World(self._events, [actor], [self._events.of(event) for event in published])

        def check(state: State) -> str | None:
            failure = world.failure(state)
            return f"no step fails: {failure}" if failure else always(state)

        explored = explore(world, check, at_the_end)
        if explored.violation is not None:
            raise Broken(world, explored.violation)
        return explored.final

    def _rows(self, state: State) -> list[TimelineEntry]:
        return list(self._timeline[state[0]].harness.rows.values())

    def _timeline_is_right(self, state: State) -> str | None:
        wrong = [row for row in self._rows(state) if row.said_by != event_named(row.type).publisher]
        return f"the timeline names the publisher: {wrong[0]}" if wrong else None

    def _cart_is_right(self, published: Sequence[Event]) -> Check:
        left = {sku: 2 * pieces for sku, pieces in IN_CART.items()}
        if any(isinstance(event, OrderPaid) for event in published):
            for line in self._order.lines:
                left[line.sku] -= line.quantity

        def check(state: State) -> str | None:
            cart = self._cart[state[0]].harness.row(Cart, ACCOUNT)
            if cart is not None and cart.items == left:
                return None
            return f"what was bought, and nothing else, leaves the cart: {cart}, not {left}"

        return check

    def _mail_is_right(self, state: State) -> str | None:
        late = any(mail.reason == "receipt" and mail.cancelled for mail in self._mailbox[state[1]])
        return "no receipt for an order that is known to be cancelled" if late else None

    def _fates(self, state: int) -> dict[str, str]:
        found = self._notification[state].harness.row(Correspondence, self._order.order_id)
        return dict(found.mails) if found else {}

    def _kept(self, state: int) -> tuple[KeptMail, ...]:
        rows = self._notification[state].harness.rows
        return tuple(row for (kind, _), row in rows.items() if kind is KeptMail)

    def _automaton(self, name: str, steps: Steps, *rows: Any) -> Actor:
        begun = Harness(steps, intents=notification.saga.intents, now=NOW)
        begun.put(*rows)
        actor = Actor(name, begun, self._events, lambda event: event.type in steps.routing_keys())
        actor.forged = accepted(steps, [self._order.order_id, self._order.shopper_id])
        return actor


def _together(some: Sequence[DownstreamEnd], others: Sequence[DownstreamEnd]) -> list[DownstreamEnd]:
    """Each way beside one of the others', each at least once: no check compares their mails."""
    return [
        DownstreamEnd(
            (one := some[n % len(some)]).timeline | (other := others[n % len(others)]).timeline,
            one.arrived + other.arrived,
            one.fates,
            one.kept + other.kept,
        )
        for n in range(max(len(some), len(others)))
    ]
