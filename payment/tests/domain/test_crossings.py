"""Events in any order, and lost answers: the money ends captured once, or given back."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime

from hypothesis import given, settings
from hypothesis import strategies as st

from contracts import Event, OrderCreated, PaymentDeclined
from contracts.testing import TOTAL
from payment.domain import Call, Decision, Payment
from payment.outcomes import (
    Authorized,
    Captured,
    Declined,
    Outcome,
    Refunded,
    RefundRefused,
    Voided,
    conclude,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def types(decision: Decision) -> list[str]:
    return [event.type for event in decision.events]


@dataclass
class Bank:
    """A provider whose ledger is right, even if its answers are lost."""

    authorizes: bool
    captures: bool
    refunds_refused: int
    held: bool = False
    taken: bool = False
    returned: bool = False
    declined: bool = False
    moves: Counter[str] = field(default_factory=Counter)

    def do(self, call: Call) -> Outcome:
        outcome: Outcome = getattr(self, f"_{call}")()
        return outcome

    def _authorize(self) -> Outcome:
        if not self.authorizes:
            return Declined("declined")
        if not self.moves["authorize"]:
            self.held = True
            self.moves["authorize"] += 1
        return Authorized("pi_1", TOTAL)

    def _capture(self) -> Outcome:
        if self.held and self.captures:
            self.held, self.taken = False, True
            self.moves["capture"] += 1
        return Captured(TOTAL) if self.taken else Declined("canceled")

    def _void(self) -> Outcome:
        self.held = False
        return Captured(TOTAL) if self.taken else Voided()

    def _refund(self) -> Outcome:
        if self.refunds_refused and not self.returned:
            self.refunds_refused -= 1
            return RefundRefused("later")
        if not self.returned:
            assert self.taken
            self.returned = True
            self.moves["refund"] += 1
        return Refunded(TOTAL)


@dataclass
class World:
    """A payment and its bank. Calls stay open until they are answered."""

    payment: Payment
    order: OrderCreated
    bank: Bank
    published: list[Event] = field(default_factory=list)
    open: list[Call] = field(default_factory=list)
    refused: bool = False

    def consume(self, event: str) -> None:
        match event:
            case "created":
                self.refused |= self.payment.cancelled and self.payment.order is None
                self.apply(self.payment.authorize(self.order))
            case "reserved":
                self.apply(self.payment.reserve())
            case "cancelled":
                self.apply(self.payment.cancel())
            case "expired":
                self.apply(self.payment.void_expired())

    def make(self, number: int, *, answered: bool) -> None:
        if self.open:
            call = self.open[number % len(self.open)]
            outcome = self.bank.do(call)
            if answered:
                self.open.remove(call)
                self.apply(conclude(self.payment, outcome, NOW))

    def apply(self, decision: Decision) -> None:
        if self.payment.cancelled:
            assert "order.paid" not in types(decision)
        self.published += decision.events
        assert all(again in self.published for again in self.payment.events_to_republish()), (
            "the events are republished unchanged"
        )
        if decision.call is not None and decision.call not in self.open:
            self.open.append(decision.call)

    def finish(self) -> None:
        for _ in range(100):
            if not self.open:
                self.apply(self.payment.retry_refund())
            if not self.open:
                return
            self.make(0, answered=True)
        raise AssertionError("it never ends")


NEWS = ("created", "reserved", "cancelled", "expired")
steps = st.one_of(
    st.tuples(st.just("consume"), st.sampled_from(NEWS)),
    st.tuples(st.sampled_from(("lose", "make", "make")), st.integers(0, 1)),
)


@settings(max_examples=500, deadline=None)
@given(
    happened=st.lists(steps, max_size=12),
    news=st.sets(st.sampled_from(NEWS)),
    bank=st.builds(Bank, st.booleans(), st.booleans(), st.integers(0, 2)),
)
def test_money_ends_captured_once_or_not_at_all(
    created: OrderCreated, happened: list[tuple[str, str | int]], news: set[str], bank: Bank
) -> None:
    world = World(Payment(created.order_id), created, bank)
    for what, which in happened:
        if isinstance(which, str):
            world.consume(which)
        else:
            world.make(which, answered=what == "make")
    consumed = {str(which) for what, which in happened if what == "consume"} | news
    for one in sorted(consumed):
        world.consume(one)
    world.finish()

    published = Counter(event.type for event in world.published)
    assert max(published.values(), default=0) <= 1, "each event at most once"
    assert max(bank.moves.values(), default=0) <= 1, "no money moves twice"
    assert not (bank.held and bank.taken)
    if world.refused:
        assert not bank.moves, "no call is made for an order cancelled before it was created"
    if "cancelled" in consumed:
        assert not bank.held
        assert bank.returned == bank.taken
        assert world.payment.state in ("refused", "declined", "voided", "refunded")
    elif "expired" in [event.code for event in world.published if isinstance(event, PaymentDeclined)]:
        assert not bank.held
        assert not bank.taken
        assert published == Counter(["payment.authorized", "payment.declined", "payment.voided"])
    elif {"created", "reserved"} <= consumed and bank.authorizes and bank.captures:
        assert bank.taken
        assert not bank.returned
        assert published == Counter(["payment.authorized", "order.paid"])
    else:
        assert not bank.taken
        awaited = consumed - {"expired"} == {"created"}
        assert bank.held == (awaited and bank.authorizes), "only for as long as stock is awaited"
    assert published["payment.refunded"] == bank.returned
    assert published["order.paid"] <= bank.taken
