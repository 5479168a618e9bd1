"""What is stuck is reported with advice, and what goes well is not."""

import shlex
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import typer

from contracts import OrderCreated, PaymentActionRequired
from devstack import Stack
from notification.domain import Correspondence
from order import events as order_events
from order.domain import Order
from payment.disputes import Dispute
from payment.domain import Payment
from payment.lookups import Stray
from payment.outcomes import ActionRequired, conclude
from product.domain import Hold
from shop.broker.checking import BrokerIssue, differs
from shop.cli import app
from shop.dead_letters.dead_letter import DeadLetter
from shop.errors import ShopError
from shop.sagas.issues import of_order, stuck
from shop.sagas.snapshot import (
    BouncedRefund,
    Issue,
    OpenCall,
    QueueState,
    Snapshot,
    UndeliveredMail,
    UnpublishedEvent,
)
from shop.sagas.waiting import preview, refuse_forgotten, waits_for

from .conftest import CREATED, ID, NOW, THRESHOLD, new_order, payment


def snapshot_of(order: Order | None = None, **more: Any) -> Snapshot:
    order = order or new_order()
    written = Correspondence(ID, mails={"receipt": "sent", "cancellation": "sent"})
    timelines = {ID: frozenset({f"order.{order.status}"})}
    given: dict[str, Any] = {
        "now": NOW,
        "orders": {ID: order},
        "correspondence": {ID: written},
        "timelines": timelines,
        **more,
    }
    return Snapshot(**given)


def kinds(snapshot: Snapshot) -> list[str]:
    return [issue.kind for issue in stuck(snapshot, THRESHOLD)]


def only(snapshot: Snapshot) -> Issue:
    [issue] = stuck(snapshot, THRESHOLD)
    return issue


def holding(state: Any) -> dict[UUID, Hold]:
    return {ID: Hold(ID, state, {"A": 2})}


def call(service: str) -> OpenCall:
    kind = "capture" if service == "payment" else "receipt"
    return OpenCall(service, kind, ID, CREATED, attempts=3, error="gone\n away")


@pytest.mark.parametrize(
    ("fate", "kind"),
    [("rejected", "mail-rejected"), ("given_up", "mail-given-up"), ("in_doubt", "mail-in-doubt")],
)
def test_an_undelivered_mail_is_reported_with_the_command_to_resend_it(fate: str, kind: str) -> None:
    mail = UndeliveredMail(f"receipt:{ID}", "receipt", ID, fate, "refused with 550", NOW, resends=0)
    found = only(Snapshot(now=NOW, undeliverable=(mail,)))
    assert (found.kind, found.order_id, found.since) == (kind, ID, NOW)
    assert "refused with 550" in found.means
    assert found.next == f"shop mails resend receipt:{ID} --why TEXT"


@pytest.mark.parametrize(("events", "found"), [(("cancelled",), ["mail-withheld"]), ((), [])])
def test_a_withheld_mail_is_found_when_money_was_given_back(
    events: tuple[str, ...], found: list[str]
) -> None:
    """Payment has voided a hold that notification does not know of, or no money was ever held."""
    money = payment(*events)
    money.state = "voided" if events else "declined"
    written = Correspondence(ID, cancelled=True, mails={"cancellation": "withheld"})
    snapshot = snapshot_of(
        new_order("cancelled"), payments={ID: money}, correspondence={ID: written}, holds=holding("released")
    )
    assert [kind for kind in kinds(snapshot) if kind == "mail-withheld"] == found


def test_a_mail_that_waits_for_its_recipients_hourly_limit_is_not_stuck() -> None:
    waiting = OpenCall("notification", "receipt", ID, CREATED, attempts=9, error="PutOff: until 12:30:00 UTC")
    assert kinds(Snapshot(now=NOW, calls=(waiting,))) == []


def test_an_order_whose_shopper_can_still_confirm_is_not_stuck() -> None:
    one, paying = new_order(), Payment(ID)
    paying.authorize(order_events.created(one))
    until = NOW + timedelta(minutes=3)
    [said] = conclude(paying, ActionRequired("pi_1", "sealed", until), CREATED).events
    error = "OutcomePending: the shopper may confirm until 12:13:00 UTC"
    call = OpenCall("payment", "confirm", ID, CREATED, attempts=40, error=error)
    snapshot = snapshot_of(one, payments={ID: paying}, holds=holding("reserved"), calls=(call,))
    assert waits_for(snapshot, one) == [
        "order to consume payment.action_required and show the shopper the bank's page"
    ]
    assert isinstance(said, PaymentActionRequired)
    one.ask_shopper(said)
    assert kinds(snapshot) == []
    assert waits_for(snapshot, one) == ["the shopper to confirm with the bank until 12:13:00 UTC"]
    lost = replace(call, error="APIConnectionError: gone")
    assert kinds(replace(snapshot, calls=(lost,))) == ["outcome-unknown"]
    late = replace(snapshot, now=until + 2 * THRESHOLD)
    assert kinds(replace(late, calls=())) == ["slow"]


def test_an_order_that_went_well_is_not_stuck() -> None:
    snapshot = snapshot_of(new_order("paid"), holds=holding("sold"), payments={ID: payment("captured")})
    assert kinds(snapshot) == []
    assert waits_for(snapshot, snapshot.orders[ID]) == []
    assert waits_for(replace(snapshot, timelines={}), snapshot.orders[ID]) == [
        "the timeline to consume order.paid"
    ]


def test_a_new_order_is_not_stuck() -> None:
    snapshot = snapshot_of(now=CREATED + timedelta(seconds=59))
    assert kinds(snapshot) == []
    assert waits_for(snapshot, snapshot.orders[ID]) == [
        "product to consume order.created and reserve the stock",
        "payment to consume order.created and hold the money",
    ]


def test_an_order_past_its_deadline_is_found() -> None:
    found = only(snapshot_of(now=CREATED + timedelta(hours=1)))
    assert (found.kind, found.since) == ("past-deadline", new_order().deadline)
    assert found.next == "shop status; shop logs order"


def test_captured_money_of_which_order_does_not_know_is_to_be_nudged() -> None:
    found = only(snapshot_of(holds=holding("reserved"), payments={ID: payment("captured")}))
    assert found == Issue(
        "paid-not-consumed",
        ID,
        CREATED,
        "the money is taken, and order has not consumed order.paid",
        f"shop saga nudge {ID} --why TEXT",
    )


def test_an_open_mail_call_hides_no_other_issue() -> None:
    snapshot = snapshot_of(payments={ID: payment("captured")}, calls=(call("notification"),))
    assert kinds(snapshot) == ["mail-not-sent", "paid-not-consumed"]


def test_a_slow_order_is_reported_with_what_it_waits_for() -> None:
    found = only(snapshot_of(holds=holding("reserved"), payments={ID: payment()}))
    assert (found.kind, found.means) == (
        "slow",
        "waits for payment to consume stock.reserved and take the money",
    )


def test_an_order_that_waits_for_stock_is_not_stuck() -> None:
    hold = Hold(ID, "waiting", {"A": 2}, waiting_since=CREATED)
    snapshot = snapshot_of(holds={ID: hold}, payments={ID: payment()})
    assert waits_for(snapshot, snapshot.orders[ID]) == ["stock that other orders hold"]
    assert kinds(snapshot) == []


def test_an_order_that_waits_for_stock_and_has_no_money_held_is_stuck() -> None:
    hold = Hold(ID, "waiting", {"A": 2}, waiting_since=CREATED)
    found = only(snapshot_of(holds={ID: hold}))
    assert found.means == (
        "waits for stock that other orders hold; payment to consume order.created and hold the money"
    )


def test_an_order_that_waits_for_stock_for_longer_than_any_setting_allows_is_stuck() -> None:
    hold = Hold(ID, "waiting", {"A": 2}, waiting_since=CREATED)
    snapshot = snapshot_of(holds={ID: hold}, payments={ID: payment()}, now=CREATED + timedelta(minutes=11))
    assert only(snapshot).means == "waits for stock that other orders hold"


@pytest.mark.parametrize(
    ("order", "more", "kind", "says"),
    [
        (
            "cancelled",
            {"payments": {ID: payment("captured")}},
            "money-not-back",
            "not consumed order.cancelled",
        ),
        ("cancelled", {"payments": {ID: payment("cancelled")}}, "money-not-back", "has not answered"),
        ("cancelled", {"holds": holding("reserved")}, "stock-held", "still reserved"),
        ("cancelled", {"holds": holding("sold")}, "stock-held", "still sold"),
        ("paid", {"holds": holding("reserved")}, "stock-held", "paid, and its stock is still reserved"),
        (
            "cancelled",
            {
                "holds": holding("released"),
                "timelines": {ID: frozenset({"stock.reserved", "order.cancelled"})},
            },
            "not-consumed",
            "stock.released",
        ),
        (
            "cancelled",
            {
                "payments": {ID: payment("captured", "cancelled", "refunded")},
                "timelines": {ID: frozenset({"order.paid", "order.cancelled"})},
            },
            "not-consumed",
            "payment.refunded",
        ),
        ("paid", {"holds": holding("released")}, "stock-not-sold", "paid, and its stock is released"),
        ("paid", {"timelines": {}}, "not-in-timeline", "the timeline has not consumed order.paid"),
        ("cancelled", {"timelines": {}}, "not-in-timeline", "the timeline has not consumed order.cancelled"),
        ("paid", {"correspondence": {}}, "letter-not-written", "no receipt is written"),
        ("paid", {"calls": (call("notification"),)}, "mail-not-sent", "after 3 attempts: gone away"),
        (
            "pending",
            {"calls": (call("payment"),)},
            "outcome-unknown",
            "the outcome of capture at the provider is unknown after 3 attempts: gone away",
        ),
    ],
)
def test_an_event_lost_between_two_services_is_found(
    order: str, more: dict[str, Any], kind: str, says: str
) -> None:
    found = only(snapshot_of(new_order(order), **more))
    assert (found.kind, found.order_id) == (kind, ID)
    assert says in found.means


def test_a_refused_refund_is_reported_with_when_a_retry_makes_sense() -> None:
    snapshot = snapshot_of(new_order("cancelled"), payments={ID: payment("captured", "cancelled", "refused")})
    found = only(snapshot)
    assert (found.kind, found.means) == (
        "refund-failed",
        "the provider refuses the refund (1×): charge_disputed; it repeats its answer until 02 Jan 13:00 UTC;"
        " settle it with the provider, then nudge the saga",
    )
    assert found.next == f"shop saga nudge {ID} --why TEXT"


def test_a_refund_that_failed_later_is_reported_with_what_to_do() -> None:
    one = BouncedRefund(UUID(int=5), ID, 300, "expired_or_canceled_card", 1, CREATED)
    found = only(
        snapshot_of(
            new_order("paid"), payments={ID: payment("captured")}, holds=holding("sold"), bounced=(one,)
        )
    )
    assert (found.kind, found.order_id) == ("refund-came-back", ID)
    assert "£3.00 failed later (expired_or_canceled_card)" in found.means
    assert "(1 of 5 times)" in found.means
    assert f"POST /v1/orders/{ID}/refunds/{UUID(int=5)}/settle" in found.means
    assert found.next == f"shop saga nudge {ID} --why TEXT"

    often = replace(one, refused=5)
    found = only(
        snapshot_of(
            new_order("paid"), payments={ID: payment("captured")}, holds=holding("sold"), bounced=(often,)
        )
    )
    assert "5 times, pay it another way" in found.means


def test_a_dispute_is_reported_with_its_deadline() -> None:
    one = Dispute(UUID(int=6), ID, "dp_1", 500, "GBP", "fraudulent", "needs_response", NOW, CREATED)
    found = only(Snapshot(now=NOW, disputes=(one,)))
    assert (found.kind, found.order_id) == ("disputed", ID)
    assert "£5.00 (fraudulent): answer dp_1" in found.means
    assert f"by {NOW:%d %b %H:%M} UTC" in found.means


def test_a_payment_of_no_order_is_reported() -> None:
    one = Stray("pi_9", None, 2000, "GBP", CREATED, NOW)
    found = only(Snapshot(now=NOW, strays=(one,)))
    assert (found.kind, found.order_id) == ("stray-payment", None)
    assert "2000 GBP (in its own units) in pi_9" in found.means


def test_an_unreadable_list_belongs_to_no_order() -> None:
    waiting = OpenCall("payment", "list", UUID(int=9), CREATED, 3, "APIError: it broke")
    found = only(Snapshot(now=NOW, calls=(waiting,)))
    assert (found.kind, found.order_id) == ("list-unread", None)
    assert "after 3 attempts: APIError" in found.means


@pytest.mark.parametrize(
    ("error", "mend"),
    [
        ("AuthenticationError: Invalid API Key provided", "STRIPE_API_KEY"),
        ("PermissionError: no access", "the provider's dashboard"),
        ("InvalidRequestError (parameter_unknown, fee): Received unknown parameter", "fix the request"),
    ],
)
def test_a_provider_that_rejects_our_requests_is_reported_once_with_a_remedy(error: str, mend: str) -> None:
    waiting = tuple(
        OpenCall("payment", "authorize", UUID(int=n), NOW, 2, f"RequestRefused: {error}") for n in range(3)
    )
    found = only(Snapshot(now=NOW, calls=waiting))
    assert (found.kind, found.order_id) == ("request-refused", None)
    assert "3 so far" in found.means
    assert mend in found.means
    assert error in found.means


def test_an_unpublished_event_is_found_in_any_service() -> None:
    row = UnpublishedEvent("product", "stock.reserved", ID, CREATED, leased_until=CREATED)
    found = only(snapshot_of(new_order("paid"), unpublished=(row,)))
    assert (found.kind, found.order_id, found.next) == (
        "not-published",
        ID,
        "shop status; shop logs product",
    )
    nudge = replace(row, type="saga.nudged", subject=UUID(int=9))
    assert only(snapshot_of(new_order("paid"), unpublished=(nudge,))).order_id is None


def test_an_event_that_the_broker_refuses_is_reported_with_attempts_error_and_next_try() -> None:
    again = NOW + timedelta(seconds=30)
    row = UnpublishedEvent(
        "order", "order.created", ID, CREATED, again, attempts=7, error="ACCESS_REFUSED\n events"
    )
    found = only(snapshot_of(new_order("paid"), unpublished=(row,)))
    assert (found.kind, found.order_id, found.next) == (
        "publish-refused",
        ID,
        "shop broker check; shop logs order",
    )
    assert found.means == (
        "the broker refused order's order.created 7×, next try at 12:10:30 UTC: ACCESS_REFUSED events"
    )


def test_a_broker_issue_is_reported() -> None:
    issue = BrokerIssue("broker-differs", "binding a → b for c is missing", "shop broker restore --why TEXT")
    found = only(snapshot_of(new_order("paid"), broker_issues=(issue,)))
    assert found == Issue(issue.kind, None, None, issue.means, issue.next)


def test_a_queue_without_a_consumer_is_reported_if_it_has_messages() -> None:
    queues = (QueueState("order", 2, 0), QueueState("cart", 0, 0), QueueState("payment", 3, 1))
    found = only(snapshot_of(new_order("paid"), queues=queues))
    assert (found.kind, found.means) == (
        "nobody-listens",
        "2 messages in order, and no consumer",
    )


def test_a_dead_letter_is_reported_with_the_step_that_it_compensates() -> None:
    headers = {
        "cloudEvents:type": "order.cancelled",
        "cloudEvents:subject": str(ID),
        "error": "KeyError: 'A'",
    }
    letter = DeadLetter("product", b"{}", headers)
    found = only(snapshot_of(new_order("paid"), dead_letters=(letter,)))
    assert (found.kind, found.order_id, found.next) == (
        "dead-letter",
        ID,
        f"shop dead-letters show {letter.id}",
    )
    assert (
        found.means == "product dead-lettered order.cancelled, which compensates reserve_stock: KeyError: 'A'"
    )


def test_the_oldest_comes_first_and_one_order_can_be_picked_out() -> None:
    other = replace_id(new_order(), UUID(int=5))
    issues = stuck(snapshot_of(orders={ID: new_order(), other.order_id: other}), THRESHOLD)
    assert [issue.order_id for issue in issues] == [other.order_id, ID]
    assert [issue.order_id for issue in of_order(issues, ID)] == [ID]


def test_every_advice_can_be_pasted_as_printed() -> None:
    cancelled = new_order("cancelled")
    looks = [
        snapshot_of(
            holds=holding("reserved"), payments={ID: payment("captured")}, calls=(call("notification"),)
        ),
        snapshot_of(now=CREATED + timedelta(hours=1), calls=(call("payment"),)),
        snapshot_of(
            cancelled, payments={ID: payment("captured", "cancelled", "refused")}, holds=holding("sold")
        ),
        snapshot_of(cancelled, payments={ID: payment("cancelled")}, timelines={}, correspondence={}),
        snapshot_of(new_order("paid"), holds=holding("released"), queues=(QueueState("cart", 1, 0),)),
        snapshot_of(
            dead_letters=(DeadLetter("product", b"{}", {}),),
            unpublished=(
                UnpublishedEvent("cart", "a", ID, CREATED, NOW),
                UnpublishedEvent("cart", "b", ID, CREATED, NOW, attempts=1),
            ),
        ),
        snapshot_of(
            broker_issues=tuple(differs({"policies": [{"name": "p", "vhost": "/"}]}, {}, operator="o"))
        ),
    ]
    found = {issue.kind: issue.next for snapshot in looks for issue in stuck(snapshot, THRESHOLD)}
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


def test_a_preview_lists_what_each_service_will_republish() -> None:
    created: OrderCreated = order_events.created(new_order())
    hold, _ = Hold.place(created, {}, CREATED)
    snapshot = snapshot_of(holds={ID: hold}, payments={ID: payment("captured")})
    assert preview(snapshot, ID) == {
        "order": ["order.created"],
        "product": ["stock.rejected"],
        "payment": ["order.paid"],
    }
    assert preview(snapshot_of(new_order("paid")), ID) == {"order": [], "product": [], "payment": []}


def test_an_order_beyond_the_retention_is_not_nudged(tmp_path: Path) -> None:
    stack = Stack(tmp_path, 20000, tmp_path, settings={"order": {"NUDGE_DAYS": "3"}})
    refuse_forgotten(stack, snapshot_of(now=CREATED + timedelta(days=3)), ID)
    with pytest.raises(ShopError, match="older than 3 days"):
        refuse_forgotten(stack, snapshot_of(now=CREATED + timedelta(days=3, seconds=1)), ID)


def replace_id(order: Order, order_id: UUID) -> Order:
    order.order_id = order_id
    order.created_at -= timedelta(minutes=1)
    return order
