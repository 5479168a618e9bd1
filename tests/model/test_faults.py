"""The exploration can fail: each of these faults, seeded into the real code, breaks a promise, by name."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

import pytest

import cart.saga
import chassis.saga.delivery
import notification.saga
import order.domain
import order.events
import payment.outcomes
import payment.refunds
import payment.saga
import payment.stripe_answers
import payment.stripe_client
import payment.stripe_requests
import product.domain
import product.saga
import tests.model.downstream
import tests.model.saga_world
from cart.domain import Cart, TakenOut
from chassis.messaging.envelope import Envelope
from chassis.saga.steps import Steps
from chassis.saga.tx import Tx
from chassis.testing import Harness, MemoryTx
from contracts import GuestMerged, Money, OrderCancelled, OrderCreated, OrderPaid, OrderReturned
from notification.domain import Correspondence, Outcome
from notification.store import StartResult
from order.domain import MergedGuest, Order
from payment.domain import NOTHING, Decision, Payment
from payment.outcomes import Voided
from product.domain import Hold, Stock
from tests.model import forged_events
from tests.model.downstream import MailStore
from tests.model.provider import NOW
from tests.model.saga_world import Shop
from tests.model.shops import ASKED, FREE, MERGED, ONE_ORDER, PATIENT, RETURNS, WAITING, search
from tests.model.world import World

Patch = pytest.MonkeyPatch
DECIDES, FORGETS, BREAKS, SILENT, SHORT, LOSES, MISTAKEN, EDITED = ONE_ORDER
RETURNED, LOST_RETURN = RETURNS
WAITS, WAITS_FOR_TWO, WAITS_ADJUSTED = WAITING


@dataclass(frozen=True)
class Fault:
    """What is done to the code, the promise that breaks, and the shop in which it does."""

    seed: Callable[[Patch], None]
    breaks: str
    shop: Shop = DECIDES


FAULTS: list[Fault] = []


def fault(breaks: str, shop: Shop = DECIDES) -> Callable[[Callable[[Patch], None]], Callable[[Patch], None]]:
    def register(seed: Callable[[Patch], None]) -> Callable[[Patch], None]:
        FAULTS.append(Fault(seed, breaks, shop))
        return seed

    return register


def replace_step(patch: Patch, steps: Steps, event: Any, run: Any) -> None:
    step = steps.find(event.type, event.version)
    assert step is not None
    patch.setitem(steps._by_type, (event.type, event.version), replace(step, run=run))


@fault("a cancelled order stays cancelled")
def order_has_no_guard_on_a_late_order_paid(patch: Patch) -> None:
    def pay(self: Any, paid: Any, now: Any) -> None:
        self.status, self.payment_id, self.paid_at = "paid", paid.payment_id, now

    patch.setattr(order.domain.Order, "pay", pay)


@fault("sold-is-what-was-paid")
def product_leaves_no_tombstone(patch: Patch) -> None:
    async def release_stock(event: OrderCancelled, tx: Any) -> None:
        if await tx.get(Hold, event.order_id) is not None:
            await product.saga.release_stock(event, tx)

    replace_step(patch, product.saga.steps, OrderCancelled, release_stock)


@fault("a-cancelled-order-costs-nothing")
def payment_ignores_its_tombstone(patch: Patch) -> None:
    def authorize(self: Payment, order: Any) -> Decision:
        if self.order is not None:
            return NOTHING
        self.order, self.cancelled = order, False
        return Decision(call=self.start("authorizing", "authorize"))

    patch.setattr(Payment, "authorize", authorize)


@fault("what was bought, and nothing else, leaves the cart")
def cart_keeps_no_record_of_what_it_took_out(patch: Patch) -> None:
    async def remove_bought(event: OrderPaid, tx: MemoryTx) -> None:
        tx._committed = {slot: row for slot, row in tx._committed.items() if slot[0] is not TakenOut}
        await cart.saga.remove_bought(event, tx)

    replace_step(patch, cart.saga.steps, OrderPaid, remove_bought)


@fault("what was bought, and nothing else, leaves the cart")
def cart_merges_a_guest_twice(patch: Patch) -> None:
    async def move_guest_items(event: GuestMerged, tx: Tx) -> None:
        if (guest := await tx.get(Cart, event.guest_id)) is not None:
            guest.merged_into = None
        await cart.saga.move_guest_items(event, tx)

    replace_step(patch, cart.saga.steps, GuestMerged, move_guest_items)


@fault("no step fails: AssertionError")
def the_timeline_adds_what_it_has(patch: Patch) -> None:
    patch.setattr(MemoryTx, "add_once", MemoryTx.add)


@fault("no step fails: AssertionError")
def product_reserves_twice_for_an_order(patch: Patch) -> None:
    async def reserve_stock(event: OrderCreated, tx: Tx) -> None:
        stocks = await tx.get_many(Stock, [line.sku for line in event.lines])
        hold, published = Hold.place(event, stocks, tx.now)
        tx.add(hold)
        if published is not None:
            tx.publish(published)

    replace_step(patch, product.saga.steps, OrderCreated, reserve_stock)


@fault("no step fails: Impossible")
def payment_authorizes_at_every_delivery(patch: Patch) -> None:
    authorize = Payment.authorize

    def hold_again(self: Payment, order: Any) -> Decision:
        self.order, self.payment_id = None, None
        return authorize(self, order)

    patch.setattr(Payment, "authorize", hold_again)


@fault("what was bought, and nothing else, leaves the cart")
def an_event_is_known_by_its_claimed_id(patch: Patch) -> None:
    def believe(headers: Mapping[str, Any], body: bytes) -> Envelope:
        own = {"cloudEvents:id": f"{headers['cloudEvents:type']}/{headers['cloudEvents:subject']}"}
        envelope = read({**headers, **own}, body)
        members = {f.name: getattr(envelope, f.name) for f in fields(envelope)}
        return Called(**members, called=headers["cloudEvents:id"])

    read = Envelope.read
    patch.setattr(Envelope, "read", believe)


@fault("a-cancelled-order-costs-nothing")
def payment_knows_an_event_by_its_claimed_id(patch: Patch) -> None:
    patch.setattr(tests.model.downstream, "accepted", lambda steps, subjects: [])
    at_all = forged_events.accepted

    def at_payment(steps: Steps, subjects: Any) -> Any:
        return at_all(steps, subjects) if steps.queue == "payment" else []

    patch.setattr(tests.model.saga_world, "accepted", at_payment)
    an_event_is_known_by_its_claimed_id(patch)


@fault("the timeline names the publisher")
def an_event_comes_from_its_claimed_source(patch: Patch) -> None:
    patch.setattr(chassis.saga.delivery, "_with_verified_source", lambda envelope, message, steps: envelope)


@fault("a paid order is charged", MISTAKEN)
def payment_takes_whatever_amount_the_provider_names(patch: Patch) -> None:
    patch.setattr(payment.outcomes, "_is_total", lambda payment, moved: True)


@fault("a paid order is charged", EDITED)
def order_takes_whatever_was_paid_for_its_total(patch: Patch) -> None:
    patch.setattr(order.domain.Order, "_require_as_placed", lambda self, paid: None)


@fault("a free order is none of the providers", FREE)
def a_free_order_asks_the_provider(patch: Patch) -> None:
    def hold(self: Payment) -> Decision:
        return Decision(call=self.start("authorizing", "authorize"))

    patch.setattr(Payment, "_authorize_free", hold)


@fault("a free order is none of the providers", FREE)
def a_free_order_is_refunded_by_the_provider(patch: Patch) -> None:
    def give_back(self: Payment) -> Decision:
        if self.state == "captured":
            return Decision(call=self.start("refunding", "refund"))
        self.state = "refused" if self.state in ("expected", "authorized") else self.state
        return NOTHING

    patch.setattr(Payment, "_cancel_free", give_back)


@fault("a free order is paid only for stock that was held", replace(FREE, stock={"A": 0}))
def a_free_order_is_paid_at_once(patch: Patch) -> None:
    hold = Payment._authorize_free

    def take(self: Payment) -> Decision:
        self.stock_reserved = True
        return hold(self)

    patch.setattr(Payment, "_authorize_free", take)


@fault("payment-knows-what-order-knows", FREE)
def a_free_order_that_is_cancelled_stays_paid(patch: Patch) -> None:
    patch.setattr(Payment, "_cancel_free", lambda self: NOTHING)


@fault("leaves the cart")
def the_inbox_is_committed_before_the_step(patch: Patch) -> None:
    def is_fresh(self: Harness, claim: tuple[str, str]) -> bool:
        fresh = claim not in self.inbox
        self.inbox.add(claim)
        return fresh

    patch.setattr(Harness, "_is_fresh", is_fresh)


@fault("every-end-is-in-the-timeline")
def events_are_published_without_an_outbox(patch: Patch) -> None:
    patch.setattr(World, "survives", staticmethod(lambda published: ()))


@fault("money is taken only for stock that was held")
def payment_captures_before_stock_is_reserved(patch: Patch) -> None:
    authorized = payment.outcomes._authorized

    def capture_at_once(of: Payment, payment_id: str, held: Money) -> Decision:
        of.stock_reserved = True
        return authorized(of, payment_id, held)

    patch.setattr(payment.outcomes, "_authorized", capture_at_once)


@fault("what is reserved is what orders hold")
def product_forgets_that_it_has_released(patch: Patch) -> None:
    release = Hold.release

    def forget(self: Hold, stocks: Any) -> Any:
        was, published = self.state, release(self, stocks)
        self.state = was
        return published

    patch.setattr(Hold, "release", forget)


@fault("stock-adds-up")
def product_sells_what_it_has_released(patch: Patch) -> None:
    def sell(self: Hold, stocks: Any) -> None:
        for sku, pieces in self.lines.items():
            stocks[sku].sell(pieces)
        self.state = "sold"

    patch.setattr(Hold, "sell", sell)


@fault("stock-adds-up", PATIENT)
def product_reserves_what_is_not_there(patch: Patch) -> None:
    patch.setattr(product.domain, "_short", lambda wanted, stocks: ())


@fault("nobody waits for what is there", WAITS)
def product_releases_and_serves_no_waiting_order(patch: Patch) -> None:
    async def serve_nobody(stocks: Any, tx: Tx) -> None:
        """What was released forged there."""

    patch.setattr(product.saga, "serve_waiting", serve_nobody)


@fault("nobody waits for what is sold", WAITS)
def product_rejects_no_waiting_order_when_all_is_sold(patch: Patch) -> None:
    def only_available(self: Stock) -> list[Any]:
        return [one for one, pieces in self.waiting.items() if pieces <= self.available]

    patch.setattr(Stock, "orders_to_recheck", only_available)


@fault("sold-is-what-was-paid", WAITS)
def product_gives_a_cancelled_order_what_it_waited_for(patch: Patch) -> None:
    patch.setattr(Hold, "_refuse", lambda self, stocks: None)


@fault("who waits is in line", WAITS)
def product_keeps_a_served_order_waiting(patch: Patch) -> None:
    patch.setattr(Stock, "remove_waiting", lambda self, order_id: None)


@fault("what is reserved is what orders hold", WAITS)
def product_rejects_an_order_that_it_has_served(patch: Patch) -> None:
    recheck = Hold.recheck

    def any_order(self: Hold, stocks: Any, now: Any, *, may_wait: bool = True) -> Any:
        self.state = "waiting"
        return recheck(self, stocks, now, may_wait=may_wait)

    patch.setattr(Hold, "recheck", any_order)


@fault("what is reserved is what orders hold", WAITS_FOR_TWO)
def product_hoards_the_lines_that_it_can_get(patch: Patch) -> None:
    place = Hold.place

    def hoard(order: OrderCreated, stocks: Any, now: Any) -> Any:
        hold, published = place(order, stocks, now)
        if hold.state == "waiting":
            for sku, pieces in hold.lines.items():
                stocks[sku].reserve(min(pieces, stocks[sku].on_hand))
        return hold, published

    patch.setattr(Hold, "place", hoard)


@fault("no-guest-is-mailed-for-nothing")
def notification_forgets_which_mails_it_intends(patch: Patch) -> None:
    intend = Correspondence.intend

    def begin_again(self: Correspondence, reason: Any, contact: Any) -> bool:
        self.mails = {name: fate for name, fate in self.mails.items() if name != reason}
        return intend(self, reason, contact)

    patch.setattr(Correspondence, "intend", begin_again)


@fault("money is held at most once", FORGETS)
def the_provider_is_called_with_a_new_key_each_time(patch: Patch) -> None:
    async def post(self: Any, intent: Any) -> Any:
        key = f"{intent.key} again" if intent.key in self._stripe.ledger.answers else intent.key
        response = await self._stripe.raw_request_async(
            "post", intent.payload["path"], idempotency_key=key, **intent.payload["form"]
        )
        return response.data

    patch.setattr(payment.stripe_client.StripeClient, "_post", post)


@fault("nothing is kept or held once declined or given back")
def a_void_that_came_too_late_is_taken_for_done(patch: Patch) -> None:
    patch.setitem(payment.stripe_answers.OUTCOME_READERS, "void", lambda found: Voided())


@fault("a-cancelled-order-costs-nothing")
def a_refused_capture_keeps_the_hold(patch: Patch) -> None:
    def declined(of: Payment, code: str) -> Decision:
        of.state = "declined" if of.state == "authorizing" else "voiding"
        return Decision((of.declined_event(code),))

    patch.setattr(payment.outcomes, "_declined", declined)


@fault("a-cancelled-order-costs-nothing")
def a_captured_order_is_not_refunded(patch: Patch) -> None:
    cancel = Payment.cancel

    def keep_it(self: Payment, **more: Any) -> Decision:
        return NOTHING if self.state == "captured" else cancel(self, **more)

    patch.setattr(Payment, "cancel", keep_it)


@fault("every-end-is-in-the-timeline")
def an_expired_order_publishes_no_cancellation(patch: Patch) -> None:
    expire = order.domain.Order.expire

    def keep_silent(self: Any, now: Any) -> list[Any]:
        expire(self, now)
        return []

    patch.setattr(order.domain.Order, "expire", keep_silent)


@fault("no step fails")
def order_cannot_handle_a_void_before_the_decline(patch: Patch) -> None:
    note_void = order.domain.Order.note_void

    def note_after_decline(self: Any, now: Any) -> None:
        if self.status != "cancelled":
            raise order.errors.Impossible(f"payment voided, although {self.status}")
        note_void(self, now)

    patch.setattr(order.domain.Order, "note_void", note_after_decline)


@fault("no receipt for an order that is known to be cancelled")
def a_receipt_is_sent_without_a_last_check(patch: Patch) -> None:
    patch.setattr(MailStore, "is_cancelled", lambda self, order_id: False)


@fault("every-mail-is-sent-once")
def a_mail_is_sent_without_noting_its_start(patch: Patch) -> None:
    start = MailStore.start

    async def forget(self: MailStore, key: str, recipient: bytes) -> Any:
        before = self.mails
        answer = await start(self, key, recipient)
        self.mails = before
        return answer

    patch.setattr(MailStore, "start", forget)


@fault("every-mail-is-sent-once")
def a_mail_in_doubt_is_sent_again(patch: Patch) -> None:
    async def start(self: MailStore, key: str, recipient: bytes) -> Any:
        self.mails = replace(self.mails, begun=self.mails.begun | {key})
        return StartResult("started", NOW)

    patch.setattr(MailStore, "start", start)


@fault("every-shopper-is-mailed")
def a_mail_is_noted_as_sent_before_it_is(patch: Patch) -> None:
    start = MailStore.start

    async def at_once(self: MailStore, key: str, recipient: bytes) -> Any:
        answer = await start(self, key, recipient)
        if answer.verdict == "started":
            await self.finish(key, answer.stamp, Outcome("sent"))
        return answer

    patch.setattr(MailStore, "start", at_once)


@fault("every-shopper-is-mailed")
def a_withheld_cancellation_is_forgotten(patch: Patch) -> None:
    async def pass_over(correspondence: Correspondence, tx: Tx) -> None:
        """The hold is not published."""

    patch.setattr(notification.saga, "_money_was_held", pass_over)


@fault("no-guest-is-mailed-for-nothing")
def a_guest_who_never_paid_is_mailed(patch: Patch) -> None:
    patch.setattr(Correspondence, "withhold", lambda self, reason: False)


@fault("every-shopper-is-mailed")
def a_mail_counts_as_sent_before_it_is(patch: Patch) -> None:
    intend = Correspondence.intend

    def never(self: Correspondence, reason: Any, contact: Any) -> bool:
        intend(self, reason, contact)
        return False

    patch.setattr(Correspondence, "intend", never)


@fault("no step fails", MERGED)
def order_moves_the_shopper_with_the_order(patch: Patch) -> None:
    async def move(event: GuestMerged, tx: MemoryTx) -> None:
        for kind, key in list(tx._committed):
            if kind is Order and (one := await tx.get(Order, key)) and one.shopper_id == event.guest_id:
                one.shopper_id = event.user_id
        await order.saga.move_guest_orders(event, tx)

    replace_step(patch, order.saga.steps, GuestMerged, move)


@fault("no step fails: AssertionError", MERGED)
def order_adds_a_known_guest(patch: Patch) -> None:
    async def add(event: GuestMerged, tx: Tx) -> None:
        tx.add(MergedGuest(event.guest_id, event.user_id, tx.now))

    replace_step(patch, order.saga.steps, GuestMerged, add)


@fault("belongs to the account that its guest became", MERGED)
def order_forgets_which_account_a_guest_became(patch: Patch) -> None:
    async def forget(event: GuestMerged, tx: Tx) -> None:
        """It has handled the event."""

    replace_step(patch, order.saga.steps, GuestMerged, forget)


@fault("an order changes hands once", MERGED)
def a_claim_takes_an_order_from_an_account(patch: Patch) -> None:
    def claim(self: Order, account: Any, merged: Any) -> bool:
        self.claimed_by = account
        return True

    patch.setattr(Order, "claim", claim)


@fault("every-shopper-is-mailed", ASKED)
def payment_takes_a_required_action_for_an_authorization(patch: Patch) -> None:
    def hold(of: Payment, asked: Any) -> Decision:
        assert of.order is not None
        return payment.outcomes._authorized(of, asked.payment_id, of.order.total)

    patch.setattr(payment.outcomes, "_action_required", hold)


@fault("nothing is kept or held once declined or given back", ASKED)
def a_cancelled_order_leaves_the_required_action_open(patch: Patch) -> None:
    cancel = Payment.cancel

    def forget(self: Payment, **more: Any) -> Decision:
        if self.state == "action_required":
            self.cancelled, self.state = True, "declined"
        return cancel(self, **more)

    patch.setattr(Payment, "cancel", forget)


@fault("nothing is kept or held once declined or given back", ASKED)
def a_shopper_who_is_too_late_can_still_confirm(patch: Patch) -> None:
    declined = payment.outcomes._declined

    def keep_open(of: Payment, code: str) -> Decision:
        if of.state == "action_required":
            of.state = "declined"
            return Decision((of.declined_event(code),))
        return declined(of, code)

    patch.setattr(payment.outcomes, "_declined", keep_open)


@fault("a cancelled order stays cancelled", ASKED)
def a_late_required_action_reopens_an_order(patch: Patch) -> None:
    def ask(self: Any, asked: Any) -> None:
        self.status, self.action_url, self.action_expires_at = "pending", asked.url, asked.expires_at

    patch.setattr(order.domain.Order, "ask_shopper", ask)


@fault("only what was held is voided", ASKED)
def what_was_never_authorized_is_published_as_voided(patch: Patch) -> None:
    voided = payment.outcomes._voided
    patch.setattr(payment.outcomes, "_voided", lambda of, *, held: voided(of, held=True))


@fault("every-shopper-is-mailed", ASKED)
def a_late_authorization_is_voided_without_an_event(patch: Patch) -> None:
    patch.setattr(payment.stripe_answers, "_was_held", lambda charge: False)


@fault("a fulfilled order is not cancelled", RETURNED)
def a_fulfilled_order_is_cancelled(patch: Patch) -> None:
    patch.setattr(order.domain.Order, "cancel", lambda self, now: self._cancel("shopper", now))


@fault("stock-adds-up", RETURNED)
def goods_are_restocked_at_every_delivery(patch: Patch) -> None:
    restock_return = Hold.restock_return

    def forget(self: Hold, returned: Any, stocks: Any) -> Any:
        self.returned = {}
        return restock_return(self, returned, stocks)

    patch.setattr(Hold, "restock_return", forget)


@fault("no step fails: AssertionError", RETURNED)
def payment_refunds_twice(patch: Patch) -> None:
    async def refund_part(event: OrderReturned, tx: Any) -> None:
        found = await tx.get(Payment, event.order_id)
        tx.add(refund := payment.refunds.begin(found, event, tx.now))
        tx.intend(payment.stripe_requests.part_intent(refund, found, tx.now))

    replace_step(patch, payment.saga.steps, OrderReturned, refund_part)


@fault("a paid order is charged", RETURNED)
def a_partial_refund_without_a_lookup_is_made_under_a_new_key(patch: Patch) -> None:
    post = payment.stripe_client.StripeClient._post

    async def ask(self: Any, intent: Any) -> Any:
        if intent.kind == payment.stripe_requests.REFUND_PART and intent.key in self._stripe.ledger.answers:
            form = intent.payload["form"]
            answer = await self._stripe.raw_request_async(
                "post", "/v1/refunds", idempotency_key="new", **form
            )
            return answer.data
        return await post(self, intent)

    patch.setattr(payment.stripe_client.StripeClient, "_post", ask)


@fault("every-return-is-refunded", RETURNED)
def a_refused_partial_refund_is_never_retried(patch: Patch) -> None:
    patch.setattr(payment.refunds, "retry", lambda *_: False)


@fault("the whole refund is published with its true amount", LOST_RETURN)
def a_cancellation_neither_waits_for_parts_nor_compares_what_went_back(patch: Patch) -> None:
    """Either would do: what went back is compared, so a part that was overlooked is found."""

    def refunded(of: Payment, amount: Money | None, now: Any) -> Decision:
        return NOTHING if of.state == "refunded" else of.complete_refund()

    patch.setattr(payment.refunds, "_are_open", lambda refunds: False)
    patch.setattr(payment.outcomes, "_refunded", refunded)


@fault("every-return-is-refunded", LOST_RETURN)
def order_publishes_a_return_once_only(patch: Patch) -> None:
    patch.setattr(order.events, "to_republish", _but(order.events.to_republish, "order.returned"))


@fault("sold-is-what-was-paid", LOST_RETURN)
def product_publishes_a_restock_once_only(patch: Patch) -> None:
    patch.setattr(Hold, "events_to_republish", _but(Hold.events_to_republish, "stock.returned"))


def _but(republish: Any, type_: str) -> Any:
    def without(self: Any, now: Any) -> Any:
        return [event for event in republish(self, now) if event.type != type_]

    return without


@dataclass(frozen=True, slots=True)
class Called(Envelope):
    """An envelope that believes what it is called."""

    called: str = ""

    @property
    def id(self) -> str:
        return self.called


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.seed.__name__)
def test_a_fault_is_caught(fault: Fault, monkeypatch: Patch) -> None:
    fault.seed(monkeypatch)
    violation = search(fault.shop).violation
    assert violation is not None, "the fault went unnoticed"
    assert fault.breaks in violation[1].broken
    assert violation[1].history


def test_a_last_check_before_a_receipt_is_sent_is_enough(monkeypatch: Patch) -> None:
    """That none is even intended once the cancellation is known spares a call, and guards nothing more."""
    intend = Correspondence.intend

    def intend_all(self: Correspondence, reason: Any, contact: Any) -> bool:
        known, self.cancelled = self.cancelled, False
        written = intend(self, reason, contact)
        self.cancelled = known
        return written

    monkeypatch.setattr(Correspondence, "intend", intend_all)
    assert search(DECIDES).violation is None
