"""What a payment does, whatever it hears in whatever order."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts import Event, OrderCreated
from payment.domain import Call, Impossible, Next, Payment
from payment.outcomes import Authorized, Captured, Declined, Outcome, Refunded, RefundRefused, Voided

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def paid(order: OrderCreated) -> Payment:
    payment = Payment(order.order_id)
    payment.authorize(order)
    payment.reserve()
    payment.conclude(Authorized("pi_1"), NOW)
    payment.conclude(Captured(), NOW)
    return payment


def types(follows: Next) -> list[str]:
    return [event.type for event in follows.say]


def test_money_is_held_when_the_order_is_created(created: OrderCreated) -> None:
    payment = Payment(created.order_id)

    assert payment.authorize(created).call == "authorize"
    assert types(payment.conclude(Authorized("pi_1"), NOW)) == ["payment.authorized"]
    assert payment.state == "authorized"


def test_money_is_taken_once_it_is_held_and_the_stock_reserved(created: OrderCreated) -> None:
    payment = Payment(created.order_id)
    payment.authorize(created)
    payment.conclude(Authorized("pi_1"), NOW)

    assert payment.reserve().call == "capture"
    (said,) = payment.conclude(Captured(), NOW).say
    assert said.model_dump(include={"type", "payment_id", "total"}) == {
        "payment_id": "pi_1",
        "total": {"amount": 2000, "currency": "GBP"},
    }
    assert payment.state == "captured"


def test_stock_may_be_reserved_before_anything_else_is_heard(created: OrderCreated) -> None:
    payment = Payment(created.order_id)

    assert payment.reserve() == Next()
    assert payment.authorize(created).call == "authorize"
    follows = payment.conclude(Authorized("pi_1"), NOW)
    assert (types(follows), follows.call) == (["payment.authorized"], "capture")


def test_an_order_cancelled_before_it_was_heard_of_is_refused(created: OrderCreated) -> None:
    payment = Payment(created.order_id)

    assert payment.cancel() == payment.authorize(created) == payment.reserve() == Next()
    assert payment.state == "refused"


def test_an_order_cancelled_while_money_is_being_held_is_voided_afterwards(created: OrderCreated) -> None:
    payment = Payment(created.order_id)
    payment.authorize(created)
    payment.reserve()

    assert payment.cancel() == Next()
    follows = payment.conclude(Authorized("pi_1"), NOW)
    assert (types(follows), follows.call) == (["payment.authorized"], "void")
    assert types(payment.conclude(Voided(), NOW)) == ["payment.voided"]


def test_an_order_cancelled_while_its_money_is_held_is_voided(created: OrderCreated) -> None:
    payment = Payment(created.order_id)
    payment.authorize(created)
    payment.conclude(Authorized("pi_1"), NOW)

    assert payment.cancel().call == "void"
    assert payment.reserve() == Next()


def test_a_capture_that_a_void_has_overtaken_says_nothing(created: OrderCreated) -> None:
    payment = Payment(created.order_id)
    payment.authorize(created)
    payment.reserve()
    payment.conclude(Authorized("pi_1"), NOW)

    assert payment.cancel().call == "void"
    assert types(payment.conclude(Voided(), NOW)) == ["payment.voided"]
    assert payment.conclude(Declined("canceled"), NOW) == Next()
    assert payment.state == "voided"


@pytest.mark.parametrize("teller", ["the capture", "the void"])
def test_a_capture_faster_than_the_void_is_refunded_and_never_called_paid(
    created: OrderCreated, teller: str
) -> None:
    payment = Payment(created.order_id)
    payment.authorize(created)
    payment.reserve()
    payment.conclude(Authorized("pi_1"), NOW)
    payment.cancel()

    assert payment.conclude(Captured(), NOW) == Next(call="refund"), teller
    assert payment.conclude(Captured(), NOW) == Next(), "the other one tells the same"
    assert types(payment.conclude(Refunded(), NOW)) == ["payment.refunded"]
    assert payment.conclude(Captured(), NOW) == Next()


def test_an_order_cancelled_after_it_was_paid_is_refunded(created: OrderCreated) -> None:
    payment = paid(created)

    assert payment.cancel().call == "refund"
    (said,) = payment.conclude(Refunded(), NOW).say
    assert said.model_dump() == {
        "order_id": created.order_id,
        "payment_id": "pi_1",
        "contact": "sealed",
        "total": {"amount": 2000, "currency": "GBP"},
    }


def test_a_declined_card_ends_it(created: OrderCreated) -> None:
    payment = Payment(created.order_id)
    payment.authorize(created)

    (said,) = payment.conclude(Declined("insufficient_funds"), NOW).say
    assert said.model_dump(exclude={"order_id"}) == {"code": "insufficient_funds"}
    assert payment.reserve() == payment.cancel() == Next()
    assert payment.state == "declined"


def test_a_declined_capture_gives_back_what_is_held(created: OrderCreated) -> None:
    payment = Payment(created.order_id)
    payment.reserve()
    payment.authorize(created)
    payment.conclude(Authorized("pi_1"), NOW)

    follows = payment.conclude(Declined("expired_card"), NOW)
    assert (types(follows), follows.call) == (["payment.declined"], "void")
    assert payment.cancel() == Next(), "order cancels on hearing of the decline"
    assert types(payment.conclude(Voided(), NOW)) == ["payment.voided"]


def test_a_refused_refund_is_kept_and_asked_for_again_a_day_later(created: OrderCreated) -> None:
    payment = paid(created)
    payment.cancel()

    assert payment.conclude(RefundRefused("charge_disputed"), NOW) == Next()
    assert (payment.state, payment.code) == ("refund_failed", "charge_disputed")
    assert payment.refund_at == NOW + timedelta(hours=25)
    assert payment.refund_again().call == "refund"
    assert types(payment.conclude(Refunded(), NOW)) == ["payment.refunded"]


@pytest.mark.parametrize(
    "outcome", [Captured(), Voided(), Refunded(), RefundRefused("x"), Authorized("pi_2")]
)
def test_an_outcome_that_cannot_be_is_not_believed(created: OrderCreated, outcome: Outcome) -> None:
    payment = Payment(created.order_id)
    payment.authorize(created)
    payment.conclude(Authorized("pi_1"), NOW)

    with pytest.raises(Impossible):
        payment.conclude(outcome, NOW)


@dataclass
class Bank:
    """A provider that is right about money, whoever hears of it."""

    authorizes: bool
    captures: bool
    refunds_refused: int
    held: bool = False
    taken: bool = False
    returned: bool = False
    declined: bool = False
    moves: Counter[str] = field(default_factory=Counter)

    def do(self, call: Call) -> Outcome:
        return getattr(self, f"_{call}")()

    def _authorize(self) -> Outcome:
        if not self.authorizes:
            return Declined("declined")
        if not self.moves["authorize"]:
            self.held = True
            self.moves["authorize"] += 1
        return Authorized("pi_1")

    def _capture(self) -> Outcome:
        if self.held and self.captures:
            self.held, self.taken = False, True
            self.moves["capture"] += 1
        return Captured() if self.taken else Declined("canceled")

    def _void(self) -> Outcome:
        self.held = False
        return Captured() if self.taken else Voided()

    def _refund(self) -> Outcome:
        if self.refunds_refused and not self.returned:
            self.refunds_refused -= 1
            return RefundRefused("later")
        if not self.returned:
            assert self.taken
            self.returned = True
            self.moves["refund"] += 1
        return Refunded()


@dataclass
class World:
    """A payment and its bank. Calls stay open until their answer is heard."""

    payment: Payment
    order: OrderCreated
    bank: Bank
    said: list[Event] = field(default_factory=list)
    open: list[Call] = field(default_factory=list)
    refused: bool = False

    def hear(self, news: str) -> None:
        match news:
            case "created":
                self.refused |= self.payment.cancelled and self.payment.order is None
                self.follow(self.payment.authorize(self.order))
            case "reserved":
                self.follow(self.payment.reserve())
            case "cancelled":
                self.follow(self.payment.cancel())

    def make(self, number: int, *, answered: bool) -> None:
        if self.open:
            call = self.open[number % len(self.open)]
            outcome = self.bank.do(call)
            if answered:
                self.open.remove(call)
                self.follow(self.payment.conclude(outcome, NOW))

    def follow(self, follows: Next) -> None:
        if self.payment.cancelled:
            assert "order.paid" not in types(follows)
        self.said += follows.say
        if follows.call is not None and follows.call not in self.open:
            self.open.append(follows.call)

    def finish(self) -> None:
        for _ in range(100):
            if not self.open:
                self.follow(self.payment.refund_again())
            if not self.open:
                return
            self.make(0, answered=True)
        raise AssertionError("it never ends")


NEWS = ("created", "reserved", "cancelled")
steps = st.one_of(
    st.tuples(st.just("hear"), st.sampled_from(NEWS)),
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
            world.hear(which)
        else:
            world.make(which, answered=what == "make")
    heard = {str(which) for what, which in happened if what == "hear"} | news
    for one in sorted(heard):
        world.hear(one)
    world.finish()

    said = Counter(event.type for event in world.said)
    assert max(said.values(), default=0) <= 1, "each event at most once"
    assert max(bank.moves.values(), default=0) <= 1, "no money moves twice"
    assert not (bank.held and bank.taken)
    if world.refused:
        assert not bank.moves, "nothing is asked for that was cancelled before"
    if "cancelled" in heard:
        assert not bank.held
        assert bank.returned == bank.taken
        assert world.payment.state in ("refused", "declined", "voided", "refunded")
    elif {"created", "reserved"} <= heard and bank.authorizes and bank.captures:
        assert bank.taken
        assert not bank.returned
        assert said == Counter(["payment.authorized", "order.paid"])
    else:
        assert not bank.taken
        assert bank.held == (heard == {"created"} and bank.authorizes), "only for as long as stock is awaited"
    assert said["payment.refunded"] == bank.returned
    assert said["order.paid"] <= bank.taken
