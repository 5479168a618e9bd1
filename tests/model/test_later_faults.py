"""The exploration of later refunds and disputes can fail, too: each fault breaks a promise, by name."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

import order.returning
import order.returns
import payment.bounces
import payment.disputes
import payment.outcomes
import payment.reconciliation
import payment.refunds
import payment.saga
import payment.stripe_requests
from payment.disputes import Dispute
from payment.domain import NOTHING, Decision, Impossible, Payment
from payment.lookups import FoundRefund
from payment.reconciliation import Compared
from shop.ledger.evidence import ChargeRecord
from tests.model.saga_world import Shop
from tests.model.shops import LATER, search
from tests.model.test_faults import Fault, Patch

DISPUTED, DISPUTED_IN_PART, ELSEWHERE, RETURNED_ELSEWHERE, BOUNCED = LATER
FAULTS: list[Fault] = []


Seed = Callable[[Patch], None]


def fault(breaks: str, shop: Shop) -> Callable[[Seed], Seed]:
    def register(seed: Seed) -> Seed:
        FAULTS.append(Fault(seed, breaks, shop))
        return seed

    return register


@fault("order knows each dispute as the provider has it", DISPUTED)
def order_takes_the_status_that_comes_last(patch: Patch) -> None:
    def noted(known: Any, event: Any) -> Any:
        others = [one for one in known if one.dispute_id != event.dispute_id]
        new = order.returns.Dispute(
            event.dispute_id, event.amount.amount, event.reason, event.status, event.due_by, event.noted_at
        )
        return (*others, new)

    patch.setattr(order.returns, "with_dispute", noted)


@fault("order knows each dispute as the provider has it", DISPUTED)
def a_later_status_may_be_noted_as_early_as_the_one_before(patch: Patch) -> None:
    def update(known: Dispute, found: Any, now: Any) -> None:
        known.status, known.due_by, known.noted_at = found.status, found.due_by, now

    patch.setattr(payment.disputes, "update", update)


@fault("circle", DISPUTED)
def payment_knows_a_dispute_only_as_it_was_opened(patch: Patch) -> None:
    patch.setattr(payment.disputes, "is_changed", lambda known, found: known is None)


@fault("order knows each dispute as the provider has it", DISPUTED)
def the_lists_of_disputes_are_not_read(patch: Patch) -> None:
    async def nothing(known: Any, page: Any) -> Any:
        return Compared(page.name, {})

    patch.setitem(payment.reconciliation._COMPARISONS, "disputes", nothing)


@fault("a-cancelled-order-costs-nothing", DISPUTED)
def a_refund_that_was_refused_for_a_dispute_is_forgotten_when_it_is_won(patch: Patch) -> None:
    patch.setattr(payment.refunds, "retry_soon", lambda *_: None)


@fault("a-cancelled-order-costs-nothing", DISPUTED)
def what_was_lost_is_refunded_nevertheless(patch: Patch) -> None:
    patch.setattr(payment.disputes, "lose", lambda *_: False)


@fault("every-return-is-refunded", DISPUTED_IN_PART)
def order_waits_for_a_refund_of_what_was_lost(patch: Patch) -> None:
    patch.setattr(order.returns, "lost", lambda disputes: 0)
    patch.setattr(ChargeRecord, "lost", 0)


@fault("each refund is published with its true amount", ELSEWHERE)
def a_webhook_is_trusted_without_a_lookup(patch: Patch) -> None:
    """That something was refunded is taken for that all was."""
    look_up = Payment.look_up

    def believe(self: Payment, **more: Any) -> Decision:
        decision = look_up(self, **more)
        if not self.was_captured or self.is_given_back or self.refunds:
            return decision
        assert self.order is not None
        made = payment.refunds.Refund(self.order_id, self.order_id, self.order.total.amount, "provider")
        return replace(decision, events=(payment.refunds.refunded_in_part(self, made),))

    patch.setattr(Payment, "look_up", believe)


@fault("order shows what has gone back", ELSEWHERE)
def the_lists_of_refunds_are_not_read(patch: Patch) -> None:
    patch.setattr(payment.bounces, "may_differ", lambda *_: False)


@fault("each refund is published with its true amount", ELSEWHERE)
def what_others_have_refunded_is_taken_for_all_of_it(patch: Patch) -> None:
    note = payment.bounces._note

    def note_all(found_of: Payment, one: FoundRefund, rows: Any, noted: Any) -> None:
        assert found_of.order is not None
        note(found_of, replace(one, amount=found_of.order.total), rows, noted)

    patch.setattr(payment.bounces, "_note", note_all)


@fault("no step fails", ELSEWHERE)
def a_refusal_that_a_lookup_has_overtaken_is_impossible(patch: Patch) -> None:
    refused = payment.outcomes.refuse_refund

    def strict(of: Payment, code: str, now: Any) -> Decision:
        if of.state == "refunded":
            raise Impossible("refund refused")
        return refused(of, code, now)

    patch.setattr(payment.outcomes, "refuse_refund", strict)


@fault("the whole refund is published with its true amount", ELSEWHERE)
def whatever_went_back_is_taken_for_what_was_left(patch: Patch) -> None:
    """Amounts are not compared."""

    def refunded(of: Payment, amount: Any, now: Any) -> Decision:
        return NOTHING if of.state == "refunded" else of.complete_refund()

    patch.setattr(payment.outcomes, "_refunded", refunded)


@fault("no step fails", RETURNED_ELSEWHERE)
def a_refund_elsewhere_is_published_as_staffs(patch: Patch) -> None:
    original = payment.refunds.refunded_in_part

    def told_as_staffs(row_of: Payment, row: Any) -> Any:
        event = original(row_of, row)
        return event.model_copy(update={"by": "staff"}) if event.by == "provider" else event

    patch.setattr(payment.bounces, "refunded_in_part", told_as_staffs)


@fault("the whole refund is published with its true amount", RETURNED_ELSEWHERE)
def a_refund_elsewhere_is_not_subtracted_from_what_is_left(patch: Patch) -> None:
    note = payment.bounces._note

    def forget(of: Payment, one: FoundRefund, rows: Any, noted: Any) -> None:
        note(of, one, rows, noted)
        if one.order_id is None:
            of.set_refunded(payment.bounces.refund_id_of(one), 0)

    patch.setattr(payment.bounces, "_note", forget)


@fault("only a failed refund is published as failed", BOUNCED)
def a_refund_that_succeeded_is_published_as_failed(patch: Patch) -> None:
    patch.setattr(payment.bounces, "FAILED", ("succeeded",))


@fault("a-paid-order-is-charged-its-total", BOUNCED)
def a_failed_refund_counts_twice(patch: Patch) -> None:
    def note(of: Any, late: Any) -> None:
        of.late_refunds = (*of.late_refunds, late, late)

    patch.setattr(order.returning, "_note_late_refund", note)


@fault("order shows what has gone back", BOUNCED)
def a_failed_refund_counts_as_refunded(patch: Patch) -> None:
    patch.setattr(order.returns.LateRefund, "sign", 0)


@fault("what is republished is the same", BOUNCED)
def the_published_whole_refund_changes_with_a_part(patch: Patch) -> None:
    patch.setattr(Payment, "_is_refund_published", False)


@fault("no step fails: Impossible: payment declined, although paid", BOUNCED)
def a_refund_of_too_little_is_a_payment_of_too_little(patch: Patch) -> None:
    patch.setattr(payment.bounces, "REFUNDED_SHORT", payment.domain.AMOUNT_MISMATCH)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.seed.__name__)
def test_a_fault_is_caught(fault: Fault, monkeypatch: Patch) -> None:
    fault.seed(monkeypatch)
    violation = search(fault.shop).violation
    assert violation is not None, "the fault went unnoticed"
    assert fault.breaks in violation[1].broken
    assert violation[1].history
