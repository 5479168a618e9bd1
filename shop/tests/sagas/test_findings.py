"""What stands is found and named, and what goes well is left alone."""

import shlex
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import typer

from contracts import Line, Money, OrderCreated, OrderPaid, PaymentActionRequired
from devstack import Stack
from notification.domain import Correspondence
from order.domain import Order
from payment.disputes import Dispute
from payment.domain import Payment
from payment.outcomes import ActionRequired, Authorized, Captured, Refunded, RefundRefused
from payment.reconciliation import Stray
from product.domain import Hold
from shop.broker.definitions import differs
from shop.broker.issue import BrokerIssue
from shop.cli import app
from shop.dead_letters.dead_letter import DeadLetter
from shop.errors import ShopError
from shop.sagas.finding import Finding
from shop.sagas.findings import about, stuck, waits_for
from shop.sagas.nudging import preview, refuse_forgotten
from shop.sagas.seen import BouncedSeen, CallSeen, MailSeen, QueueSeen, Seen, UnsaidSeen

CREATED = datetime(2026, 1, 1, 12, tzinfo=UTC)
TOTAL = Money(amount=500, currency="GBP")
NOW = CREATED + timedelta(minutes=10)
PATIENCE = timedelta(minutes=1)
ID = UUID(int=1)
LINES = (Line(sku="A", name="Red lantern", quantity=2, unit_price=250),)


def new_order(status: str = "pending") -> Order:
    order = Order(
        order_id=ID,
        shopper_id=UUID(int=2),
        lines=LINES,
        total=500,
        currency="GBP",
        payment_method="pm_card_visa",
        contact="sealed",
        created_at=CREATED,
        deadline=CREATED + timedelta(minutes=15),
    )
    if status == "paid":
        shopper = order.shopper_id
        paid = OrderPaid(order_id=ID, shopper_id=shopper, lines=LINES, total=TOTAL, payment_id="pi_1")
        order.pay(paid, CREATED)
    if status == "cancelled":
        order.withdraw(CREATED)
    return order


def payment(*heard: str) -> Payment:
    """Payment's state after so much of `reserved`, `captured`, `cancelled`, `refused`, `refunded`."""
    one = Payment(ID)
    one.authorize(new_order().created())
    one.conclude(Authorized("pi_1", TOTAL), CREATED)
    for what in heard:
        match what:
            case "captured":
                one.reserve()
                one.conclude(Captured(TOTAL), CREATED)
            case "cancelled":
                one.cancel()
            case "refused":
                one.conclude(RefundRefused("charge_disputed"), CREATED)
            case "refunded":
                one.conclude(Refunded(TOTAL), CREATED)
    return one


def seen(order: Order | None = None, **more: Any) -> Seen:
    order = order or new_order()
    written = Correspondence(ID, mails={"receipt": "sent", "cancellation": "sent"})
    told = {ID: frozenset({f"order.{order.status}"})}
    given: dict[str, Any] = {
        "now": NOW,
        "orders": {ID: order},
        "letters_to": {ID: written},
        "told": told,
        **more,
    }
    return Seen(**given)


def kinds(look: Seen) -> list[str]:
    return [finding.kind for finding in stuck(look, PATIENCE)]


def only(look: Seen) -> Finding:
    [finding] = stuck(look, PATIENCE)
    return finding


def holding(state: Any) -> dict[UUID, Hold]:
    return {ID: Hold(ID, state, {"A": 2})}


def call(service: str) -> CallSeen:
    kind = "capture" if service == "payment" else "receipt"
    return CallSeen(service, kind, ID, CREATED, attempts=3, error="gone\n away")


@pytest.mark.parametrize(
    ("fate", "kind"),
    [("rejected", "mail-rejected"), ("given_up", "mail-given-up"), ("in_doubt", "mail-in-doubt")],
)
def test_a_mail_that_was_not_delivered_is_named_with_how_to_send_it_again(fate: str, kind: str) -> None:
    mail = MailSeen(f"receipt:{ID}", "receipt", ID, fate, "refused with 550", NOW, resends=0)
    found = only(Seen(now=NOW, undeliverable=(mail,)))
    assert (found.kind, found.order_id, found.since) == (kind, ID, NOW)
    assert "refused with 550" in found.means
    assert found.next == f"shop mails resend receipt:{ID} --why TEXT"


@pytest.mark.parametrize(("heard", "found"), [(("cancelled",), ["mail-withheld"]), ((), [])])
def test_a_withheld_mail_is_found_when_money_was_held(heard: tuple[str, ...], found: list[str]) -> None:
    """Payment has voided a hold that notification never heard of, or no money was ever held."""
    money = payment(*heard)
    money.state = "voided" if heard else "declined"
    written = Correspondence(ID, cancelled=True, mails={"cancellation": "withheld"})
    look = seen(
        new_order("cancelled"), payments={ID: money}, letters_to={ID: written}, holds=holding("released")
    )
    assert [kind for kind in kinds(look) if kind == "mail-withheld"] == found


def test_a_mail_that_waits_for_its_recipients_next_hour_is_not_stuck() -> None:
    waiting = CallSeen("notification", "receipt", ID, CREATED, attempts=9, error="PutOff: until 12:30:00 UTC")
    assert kinds(Seen(now=NOW, calls=(waiting,))) == []


def test_who_has_time_to_confirm_with_her_bank_is_waited_for_and_not_stuck() -> None:
    one, paying = new_order(), Payment(ID)
    paying.authorize(one.created())
    until = NOW + timedelta(minutes=3)
    [said] = paying.conclude(ActionRequired("pi_1", "sealed", until), CREATED).events
    error = "OutcomePending: the shopper may confirm until 12:13:00 UTC"
    call = CallSeen("payment", "confirm", ID, CREATED, attempts=40, error=error)
    look = seen(one, payments={ID: paying}, holds=holding("reserved"), calls=(call,))
    assert waits_for(look, one) == [
        "order to hear payment.action_required and show the shopper the bank's page"
    ]
    assert isinstance(said, PaymentActionRequired)
    one.ask_shopper(said)
    assert kinds(look) == []
    assert waits_for(look, one) == ["the shopper to confirm with the bank until 12:13:00 UTC"]
    lost = replace(call, error="APIConnectionError: gone")
    assert kinds(replace(look, calls=(lost,))) == ["outcome-unknown"]
    late = replace(look, now=until + 2 * PATIENCE)
    assert kinds(replace(late, calls=())) == ["slow"]


def test_an_order_that_went_well_is_not_stuck() -> None:
    look = seen(new_order("paid"), holds=holding("sold"), payments={ID: payment("captured")})
    assert kinds(look) == []
    assert waits_for(look, look.orders[ID]) == []
    assert waits_for(replace(look, told={}), look.orders[ID]) == ["the timeline to hear order.paid"]


def test_what_has_only_just_begun_is_not_stuck() -> None:
    look = seen(now=CREATED + timedelta(seconds=59))
    assert kinds(look) == []
    assert waits_for(look, look.orders[ID]) == [
        "product to hear order.created and reserve the stock",
        "payment to hear order.created and hold the money",
    ]


def test_an_order_past_its_deadline_is_found() -> None:
    found = only(seen(now=CREATED + timedelta(hours=1)))
    assert (found.kind, found.since) == ("past-deadline", new_order().deadline)
    assert found.next == "shop status; shop logs order"


def test_money_that_order_has_not_heard_of_is_found_and_to_be_nudged() -> None:
    found = only(seen(holds=holding("reserved"), payments={ID: payment("captured")}))
    assert found == Finding(
        "paid-not-heard",
        ID,
        CREATED,
        "the money is taken, and order has not heard order.paid",
        f"shop saga nudge {ID} --why TEXT",
    )


def test_a_letter_under_way_hides_nothing() -> None:
    look = seen(payments={ID: payment("captured")}, calls=(call("notification"),))
    assert kinds(look) == ["letter-not-sent", "paid-not-heard"]


def test_a_slow_order_tells_what_it_waits_for() -> None:
    found = only(seen(holds=holding("reserved"), payments={ID: payment()}))
    assert (found.kind, found.means) == (
        "slow",
        "waits for payment to hear stock.reserved and take the money",
    )


def test_an_order_that_waits_for_stock_says_so_and_is_not_stuck() -> None:
    hold = Hold(ID, "waiting", {"A": 2}, waiting_since=CREATED)
    look = seen(holds={ID: hold}, payments={ID: payment()})
    assert waits_for(look, look.orders[ID]) == ["stock that other orders hold"]
    assert kinds(look) == []


def test_an_order_that_waits_for_stock_and_has_no_money_held_is_stuck() -> None:
    hold = Hold(ID, "waiting", {"A": 2}, waiting_since=CREATED)
    found = only(seen(holds={ID: hold}))
    assert found.means == (
        "waits for stock that other orders hold; payment to hear order.created and hold the money"
    )


def test_an_order_that_waits_for_stock_for_longer_than_any_setting_allows_is_stuck() -> None:
    hold = Hold(ID, "waiting", {"A": 2}, waiting_since=CREATED)
    look = seen(holds={ID: hold}, payments={ID: payment()}, now=CREATED + timedelta(minutes=11))
    assert only(look).means == "waits for stock that other orders hold"


@pytest.mark.parametrize(
    ("order", "more", "kind", "says"),
    [
        ("cancelled", {"payments": {ID: payment("captured")}}, "money-not-back", "not heard order.cancelled"),
        ("cancelled", {"payments": {ID: payment("cancelled")}}, "money-not-back", "has not answered"),
        ("cancelled", {"holds": holding("reserved")}, "stock-held", "still reserved"),
        ("cancelled", {"holds": holding("sold")}, "stock-held", "still sold"),
        ("paid", {"holds": holding("reserved")}, "stock-held", "paid, and its stock is still reserved"),
        (
            "cancelled",
            {
                "holds": holding("released"),
                "told": {ID: frozenset({"stock.reserved", "order.cancelled"})},
            },
            "not-heard",
            "stock.released",
        ),
        (
            "cancelled",
            {
                "payments": {ID: payment("captured", "cancelled", "refunded")},
                "told": {ID: frozenset({"order.paid", "order.cancelled"})},
            },
            "not-heard",
            "payment.refunded",
        ),
        ("paid", {"holds": holding("released")}, "stock-not-sold", "paid, and its stock is released"),
        ("paid", {"told": {}}, "not-told", "the timeline has not heard order.paid"),
        ("cancelled", {"told": {}}, "not-told", "the timeline has not heard order.cancelled"),
        ("paid", {"letters_to": {}}, "letter-not-written", "no receipt is written"),
        ("paid", {"calls": (call("notification"),)}, "letter-not-sent", "after 3 attempts: gone away"),
        (
            "pending",
            {"calls": (call("payment"),)},
            "outcome-unknown",
            "the outcome of capture after 3 attempts: gone away",
        ),
    ],
)
def test_what_was_lost_between_two_services_is_found(
    order: str, more: dict[str, Any], kind: str, says: str
) -> None:
    found = only(seen(new_order(order), **more))
    assert (found.kind, found.order_id) == (kind, ID)
    assert says in found.means


def test_a_refused_refund_says_until_when_asking_is_of_no_use() -> None:
    look = seen(new_order("cancelled"), payments={ID: payment("captured", "cancelled", "refused")})
    found = only(look)
    assert (found.kind, found.means) == (
        "refund-failed",
        "the provider refuses the refund (1×): charge_disputed; it repeats its answer until 02 Jan 13:00 UTC;"
        " settle it with the provider, then nudge the saga",
    )
    assert found.next == f"shop saga nudge {ID} --why TEXT"


def test_a_refund_that_came_back_is_named_with_what_may_be_done() -> None:
    one = BouncedSeen(UUID(int=5), ID, 300, "expired_or_canceled_card", 1, CREATED)
    found = only(
        seen(new_order("paid"), payments={ID: payment("captured")}, holds=holding("sold"), bounced=(one,))
    )
    assert (found.kind, found.order_id) == ("refund-came-back", ID)
    assert "£3.00 came back (expired_or_canceled_card)" in found.means
    assert "(1 of 5 times)" in found.means
    assert f"POST /v1/orders/{ID}/refunds/{UUID(int=5)}/settle" in found.means
    assert found.next == f"shop saga nudge {ID} --why TEXT"

    often = replace(one, refused=5)
    found = only(
        seen(new_order("paid"), payments={ID: payment("captured")}, holds=holding("sold"), bounced=(often,))
    )
    assert "often enough" in found.means


def test_a_dispute_is_named_with_until_when_to_answer_it() -> None:
    one = Dispute(UUID(int=6), ID, "dp_1", 500, "GBP", "fraudulent", "needs_response", NOW, CREATED)
    found = only(Seen(now=NOW, disputes=(one,)))
    assert (found.kind, found.order_id) == ("disputed", ID)
    assert "£5.00 (fraudulent): answer dp_1" in found.means
    assert f"by {NOW:%d %b %H:%M} UTC" in found.means


def test_money_of_no_order_is_named() -> None:
    one = Stray("pi_9", None, 2000, "GBP", CREATED, NOW)
    found = only(Seen(now=NOW, strays=(one,)))
    assert (found.kind, found.order_id) == ("stray-payment", None)
    assert "2000 GBP (in its own units) by pi_9" in found.means


def test_lists_that_cannot_be_read_are_no_orders() -> None:
    waiting = CallSeen("payment", "list", UUID(int=9), CREATED, 3, "APIError: it broke")
    found = only(Seen(now=NOW, calls=(waiting,)))
    assert (found.kind, found.order_id) == ("list-unread", None)
    assert "after 3 attempts: APIError" in found.means


@pytest.mark.parametrize(
    ("error", "mend"),
    [
        ("AuthenticationError: Invalid API Key provided", "STRIPE_API_KEY"),
        ("PermissionError: no access", "the provider's dashboard"),
        ("InvalidRequestError (parameter_unknown, fee): Received unknown parameter", "what we send"),
    ],
)
def test_a_provider_that_refuses_our_requests_is_named_once_with_what_to_mend(error: str, mend: str) -> None:
    waiting = tuple(
        CallSeen("payment", "authorize", UUID(int=n), NOW, 2, f"RequestRefused: {error}") for n in range(3)
    )
    found = only(Seen(now=NOW, calls=waiting))
    assert (found.kind, found.order_id) == ("request-refused", None)
    assert "3 so far" in found.means
    assert mend in found.means
    assert error in found.means


def test_what_is_not_published_is_found_in_any_service() -> None:
    row = UnsaidSeen("product", "stock.reserved", ID, CREATED, leased_until=CREATED)
    found = only(seen(new_order("paid"), unsaid=(row,)))
    assert (found.kind, found.order_id, found.next) == (
        "not-published",
        ID,
        "shop status; shop logs product",
    )
    nudge = replace(row, type="saga.nudged", subject=UUID(int=9))
    assert only(seen(new_order("paid"), unsaid=(nudge,))).order_id is None


def test_what_the_broker_refuses_says_how_often_why_and_when_it_is_tried_again() -> None:
    again = NOW + timedelta(seconds=30)
    row = UnsaidSeen(
        "order", "order.created", ID, CREATED, again, attempts=7, error="ACCESS_REFUSED\n events"
    )
    found = only(seen(new_order("paid"), unsaid=(row,)))
    assert (found.kind, found.order_id, found.next) == (
        "publish-refused",
        ID,
        "shop broker check; shop logs order",
    )
    assert found.means == (
        "the broker has refused order's order.created 7×, tried again at 12:10:30 UTC: ACCESS_REFUSED events"
    )


def test_what_is_wrong_with_the_broker_is_found() -> None:
    issue = BrokerIssue("broker-differs", "binding a → b for c is missing", "shop broker restore --why TEXT")
    found = only(seen(new_order("paid"), broker=(issue,)))
    assert found == Finding(issue.kind, None, None, issue.means, issue.next)


def test_a_queue_that_nobody_consumes_is_found_when_something_waits_in_it() -> None:
    queues = (QueueSeen("order", 2, 0), QueueSeen("cart", 0, 0), QueueSeen("payment", 3, 1))
    found = only(seen(new_order("paid"), queues=queues))
    assert (found.kind, found.means) == (
        "nobody-listens",
        "2 waiting in order, and nobody consumes them",
    )


def test_a_dead_letter_says_whether_it_was_to_undo_something() -> None:
    headers = {
        "cloudEvents:type": "order.cancelled",
        "cloudEvents:subject": str(ID),
        "error": "KeyError: 'A'",
    }
    letter = DeadLetter("product", b"{}", headers)
    found = only(seen(new_order("paid"), dead=(letter,)))
    assert (found.kind, found.order_id, found.next) == (
        "dead-letter",
        ID,
        f"shop dead-letters show {letter.id}",
    )
    assert found.means == "product gave up on order.cancelled, which undoes reserve_stock: KeyError: 'A'"


def test_the_oldest_comes_first_and_one_order_can_be_picked_out() -> None:
    other = replace_id(new_order(), UUID(int=5))
    findings = stuck(seen(orders={ID: new_order(), other.order_id: other}), PATIENCE)
    assert [finding.order_id for finding in findings] == [other.order_id, ID]
    assert [finding.order_id for finding in about(findings, ID)] == [ID]


def test_every_advice_can_be_pasted_as_it_stands() -> None:
    cancelled = new_order("cancelled")
    looks = [
        seen(holds=holding("reserved"), payments={ID: payment("captured")}, calls=(call("notification"),)),
        seen(now=CREATED + timedelta(hours=1), calls=(call("payment"),)),
        seen(cancelled, payments={ID: payment("captured", "cancelled", "refused")}, holds=holding("sold")),
        seen(cancelled, payments={ID: payment("cancelled")}, told={}, letters_to={}),
        seen(new_order("paid"), holds=holding("released"), queues=(QueueSeen("cart", 1, 0),)),
        seen(
            dead=(DeadLetter("product", b"{}", {}),),
            unsaid=(
                UnsaidSeen("cart", "a", ID, CREATED, NOW),
                UnsaidSeen("cart", "b", ID, CREATED, NOW, attempts=1),
            ),
        ),
        seen(broker=tuple(differs({"policies": [{"name": "p", "vhost": "/"}]}, {}, operator="o"))),
    ]
    found = {finding.kind: finding.next for look in looks for finding in stuck(look, PATIENCE)}
    assert len(found) > 12
    for advice in found.values():
        for command in advice.split("; "):
            assert is_a_command(command), command


def is_a_command(line: str) -> bool:
    """Whether the command line takes it; without doing it."""
    words = shlex.split(line)
    command: Any = typer.main.get_command(app)
    name = words.pop(0)
    while hasattr(command, "resolve_command"):
        context = command.make_context(name, list(words), resilient_parsing=False)
        _, command, words = command.resolve_command(context, words)
    command.make_context(name, words)
    return name == "shop"


def test_a_preview_tells_what_each_service_says_again() -> None:
    created: OrderCreated = new_order().created()
    hold, _ = Hold.place(created, {}, CREATED)
    look = seen(holds={ID: hold}, payments={ID: payment("captured")})
    assert preview(look, ID) == {
        "order": ["order.created"],
        "product": ["stock.rejected"],
        "payment": ["order.paid"],
    }
    assert preview(seen(new_order("paid")), ID) == {"order": [], "product": [], "payment": []}


def test_an_order_that_services_may_have_forgotten_is_not_nudged(tmp_path: Path) -> None:
    stack = Stack(tmp_path, 20000, tmp_path, settings={"order": {"NUDGE_DAYS": "3"}})
    refuse_forgotten(stack, seen(now=CREATED + timedelta(days=3)), ID)
    with pytest.raises(ShopError, match="older than 3 days"):
        refuse_forgotten(stack, seen(now=CREATED + timedelta(days=3, seconds=1)), ID)


def replace_id(order: Order, order_id: UUID) -> Order:
    order.order_id = order_id
    order.created_at -= timedelta(minutes=1)
    return order
