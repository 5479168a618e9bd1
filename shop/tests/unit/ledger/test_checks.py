from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from notification.domain import refund_failure_id
from order.returns import settled_as
from payment.bounces import refund_id_of
from shop.ledger import CHECKS, Evidence, gather
from shop.ledger.evidence import (
    CartRecord,
    ChargeRecord,
    DisputeRecord,
    KeptMailRecord,
    LateRefundRecord,
    MailRecord,
    OrderRecord,
    RefundRecord,
    ReturnRecord,
    StockRecord,
)
from shop.ledger.mails import undeliverable

NOW = datetime(2026, 1, 1, tzinfo=UTC)
PAID = replace(
    OrderRecord("paid", "paid", None, 1000, "GBP", {"A": 2}, NOW, frozenset({"order.created", "order.paid"})),
    cart_ids=("bought",),
)
OFF = replace(
    PAID,
    order_id="off",
    status="cancelled",
    reason="shopper",
    total=500,
    lines={"A": 1},
    timeline=frozenset({"order.created", "order.cancelled"}),
    cart_ids=("kept",),
)
WAITS = replace(PAID, order_id="waits", status="pending", cart_ids=())
CHARGED = ChargeRecord("pi_1", "paid", "succeeded", 1000, 1000, 0, "GBP")
REFUNDED = ChargeRecord("pi_2", "off", "succeeded", 500, 500, 500, "GBP")
MAILS = (MailRecord("paid", "receipt"), MailRecord("off", "cancellation"), MailRecord("off", "refund"))

HEALTHY = Evidence(
    now=NOW + timedelta(hours=1),
    orders=(PAID, OFF),
    payments={"paid": "captured", "off": "refunded"},
    charges=(CHARGED, REFUNDED),
    stock=(StockRecord("A", 8, 0, 2, 10),),
    holds={"paid": "sold", "off": "restocked"},
    mails=MAILS,
    carts=(CartRecord("ada", ("kept", "merged")),),
    logged_in={"guest": "ada"},
    moved={"guest": "ada", "long ago": "bob"},
    queues={"order": 0, "order.dead": 0},
    outboxes={"order": 0},
    intents={"payment": 0},
)


BACK = ReturnRecord("back", 500, {"A": 1})
RETURNED: dict[str, Any] = {
    "orders": (replace(PAID, returns=(BACK, ReturnRecord("asked", 500, {"A": 1}, False, False, False))), OFF),
    "charges": (replace(CHARGED, refunded=500), REFUNDED),
    "stock": (StockRecord("A", 9, 0, 1, 10),),
    "refunds": {"back": "refunded"},
    "restocked": {"back": {"A": 1}},
    "mails": (*MAILS, MailRecord("paid", "refund", refund_id="back")),
}


def returned(one: ReturnRecord) -> dict[str, Any]:
    """A piece came back, and this is what order has of it."""
    return {**RETURNED, "orders": (replace(PAID, returns=(one,)), OFF)}


def amiss(seen: Evidence) -> set[str]:
    return {check.name for check in CHECKS if list(check.violations(seen))}


def test_nothing_is_amiss_with_a_healthy_shop() -> None:
    assert amiss(HEALTHY) == set()


def test_nothing_is_amiss_when_a_piece_came_back() -> None:
    assert amiss(replace(HEALTHY, **RETURNED)) == set()


def test_a_refund_is_not_owed_once_all_of_the_money_went_back() -> None:
    elsewhere = ReturnRecord("elsewhere", 1000)
    orders = replace(PAID, returns=(replace(BACK, refunded=False), elsewhere)), OFF
    charges = replace(CHARGED, refunded=1000), REFUNDED
    refunds = {"back": "covered", "elsewhere": "refunded"}
    mails = *MAILS, MailRecord("paid", "refund", refund_id="elsewhere")
    changed = {**RETURNED, "orders": orders, "charges": charges, "refunds": refunds, "mails": mails}
    assert amiss(replace(HEALTHY, **changed)) == set()


def test_a_return_whose_money_was_lost_to_the_shoppers_bank_is_not_refunded() -> None:
    lost = replace(CHARGED, disputes=(DisputeRecord("dp_1", "lost", CHARGED.captured),))
    changed = {**returned(replace(BACK, refunded=False)), "charges": (lost, REFUNDED), "mails": MAILS}
    assert amiss(replace(HEALTHY, **changed, disputes={"dp_1": "lost"})) == set()


def test_an_order_that_is_cancelled_after_a_part_went_back_is_mailed_about_both() -> None:
    part = replace(OFF, returns=(ReturnRecord("part", 100),))
    seen = replace(HEALTHY, orders=(PAID, part), refunds={"part": "refunded"})
    assert amiss(seen) == {"every-shopper-is-mailed"}
    mails = *MAILS, MailRecord("off", "refund", refund_id="part")
    assert amiss(replace(seen, mails=mails)) == set()


BROKEN: dict[str, list[dict[str, Any]]] = {
    "every-order-has-ended": [{"orders": (PAID, OFF, replace(PAID, order_id="late", status="pending"))}],
    "every-end-is-in-the-timeline": [
        {"orders": (replace(PAID, timeline=frozenset({"order.created"})), OFF)},
        {"orders": (PAID, replace(OFF, timeline=frozenset({"order.cancelled"})))},
    ],
    "nobody-is-charged-twice": [
        {"charges": (CHARGED, replace(CHARGED, payment_id="pi_3"), REFUNDED)},
        {"charges": (replace(CHARGED, captured=2000), REFUNDED)},
    ],
    "a-paid-order-is-charged-its-total": [
        {"charges": (REFUNDED,)},
        {"charges": (replace(CHARGED, captured=999), REFUNDED)},
        {"charges": (replace(CHARGED, refunded=1), REFUNDED)},
        {"charges": (replace(CHARGED, currency="EUR"), REFUNDED)},
        {**RETURNED, "charges": (CHARGED, REFUNDED)},
        {**RETURNED, "charges": (replace(CHARGED, refunded=1000), REFUNDED)},
    ],
    "a-free-order-has-no-payment": [
        {"orders": (replace(PAID, total=0), OFF), "charges": (replace(CHARGED, captured=0), REFUNDED)},
    ],
    "every-return-is-refunded": [
        {**returned(replace(BACK, refunded=False)), "charges": (CHARGED, REFUNDED), "mails": MAILS},
        {**RETURNED, "refunds": {"back": "refund_failed"}},
        {**RETURNED, "refunds": {}},
    ],
    "every-return-is-restocked-once": [
        {**RETURNED, "restocked": {}},
        {**RETURNED, "restocked": {"back": {"A": 2}}},
        {**RETURNED, "restocked": {"back": {"A": 1}, "asked": {"A": 1}}},
        returned(replace(BACK, restocked=False)),
    ],
    "a-cancelled-order-costs-nothing": [
        {"charges": (CHARGED, replace(REFUNDED, refunded=0))},
        {"charges": (CHARGED, replace(REFUNDED, status="requires_capture", captured=0, refunded=0))},
        {"charges": (CHARGED, replace(REFUNDED, status="requires_action", captured=0, refunded=0))},
    ],
    "a-cart-is-ordered-once": [
        {"orders": (PAID, OFF, replace(PAID, order_id="again"))},
        {
            "orders": (
                replace(PAID, status="pending"),
                replace(PAID, status="pending", order_id="again", cart_ids=("other", "bought")),
            )
        },
    ],
    "a-bought-cart-is-empty": [{"carts": (CartRecord("ada", ("other", "bought")),)}],
    "every-refund-is-known": [
        {"charges": (replace(CHARGED, refunds=(RefundRecord("re_1", 100, "succeeded"),)), REFUNDED)},
        {
            "charges": (replace(CHARGED, refunds=(RefundRecord("re_1", 100, "failed"),)), REFUNDED),
            "refunds": {str(refund_id_of(RefundRecord("re_1", 100, "failed"))): "refunded"},
        },
    ],
    "every-dispute-is-known": [
        {"charges": (replace(CHARGED, disputes=(DisputeRecord("dp_1", "lost", 1000),)), REFUNDED)},
        {
            "charges": (replace(CHARGED, disputes=(DisputeRecord("dp_1", "lost", 1000),)), REFUNDED),
            "disputes": {"dp_1": "needs_response"},
        },
    ],
    "every-charge-has-its-order": [
        {"charges": (CHARGED, REFUNDED, ChargeRecord("pi_9", "stranger", "succeeded", 1, 1, 1, "GBP"))},
        {"balances": False},
    ],
    "payment-knows-what-order-knows": [
        {"payments": {"paid": "capturing", "off": "refunded"}},
        {"payments": {"paid": "captured", "off": "captured"}},
        {"payments": {"paid": "captured"}},
    ],
    "every-mail-is-sent-once": [
        {"mails": (*MAILS, MAILS[0])},
        {**RETURNED, "mails": (*RETURNED["mails"], RETURNED["mails"][-1])},
    ],
    "no-guest-is-mailed-for-nothing": [
        {
            "orders": (PAID, replace(OFF, guest=True)),
            "mails": MAILS[:2],
            "charges": (CHARGED, replace(REFUNDED, authorized=0, captured=0, refunded=0)),
        }
    ],
    "every-shopper-is-mailed": [
        {"mails": MAILS[1:]},
        {"mails": MAILS[:1]},
        {"mails": MAILS[:2]},
        {**RETURNED, "mails": MAILS},
        {**RETURNED, "mails": (*MAILS, MailRecord("paid", "refund", refund_id="asked"))},
    ],
    "stock-adds-up": [
        {"stock": (StockRecord("A", 8, 0, 2, 11),)},
        {"stock": (StockRecord("A", 9, -1, 2, 10),)},
    ],
    "sold-is-what-was-paid": [
        {"stock": (StockRecord("A", 7, 0, 3, 10),)},
        {"stock": (StockRecord("A", 7, 1, 2, 10),)},
        {**RETURNED, "stock": (StockRecord("A", 8, 0, 2, 10),)},
    ],
    "holds-follow-their-orders": [
        {"holds": {"paid": "reserved", "off": "restocked"}},
        {"holds": {"paid": "sold", "off": "sold"}},
        {"holds": {"paid": "sold"}},
    ],
    "no-order-waits-for-available-stock": [
        {"orders": (PAID, OFF, WAITS), "holds": {**HEALTHY.holds, "waits": "waiting"}},
        {
            "orders": (PAID, OFF, replace(WAITS, lines={"A": 9})),
            "holds": {**HEALTHY.holds, "waits": "waiting"},
        },
    ],
    "every-event-is-published": [{"outboxes": {"order": 1}}],
    "every-message-is-handled": [{"queues": {"order.dead": 1}}, {"queues": {"order": 1}}],
    "guests-orders-move-to-their-account": [{"moved": {}}, {"moved": {"guest": "bob"}}],
    "every-call-has-its-outcome": [{"intents": {"payment": 1}}],
    "no-service-reaches-anothers-tables": [{"trespassers": ("cart -> order",)}],
}


@pytest.mark.parametrize(
    ("name", "change"), [(name, change) for name, changes in BROKEN.items() for change in changes]
)
def test_every_check_can_fail(name: str, change: dict[str, Any]) -> None:
    assert name in amiss(replace(HEALTHY, **change))


def test_every_check_is_shown_to_fail() -> None:
    assert {check.name for check in CHECKS} == BROKEN.keys()


def test_an_order_may_wait_for_what_others_hold() -> None:
    held = (StockRecord("A", 1, 7, 2, 10),)
    waits = replace(WAITS, deadline=HEALTHY.now)
    seen = replace(
        HEALTHY, orders=(PAID, OFF, waits), holds={**HEALTHY.holds, "waits": "waiting"}, stock=held
    )
    assert "no-order-waits-for-available-stock" not in amiss(seen)


@pytest.mark.parametrize(
    "known",
    [
        {"fates": {"paid": {"receipt": "no_contact"}}},
        {"kept": (KeptMailRecord("paid", "receipt", "rejected", "refused with 550"),)},
        {"kept": (KeptMailRecord("paid", "receipt", "in_doubt"),)},
        {"kept": (KeptMailRecord("paid", "receipt", "given_up"),)},
        {"put_off": frozenset({("paid", "receipt")})},
    ],
)
def test_a_mail_that_was_not_sent_is_accounted_for(known: dict[str, Any]) -> None:
    assert amiss(replace(HEALTHY, mails=MAILS[1:], **known)) == set()


@pytest.mark.parametrize(
    "unknown",
    [
        {"fates": {"paid": {"receipt": "rejected"}}},
        {"kept": (KeptMailRecord("paid", "receipt", "sent"),)},
        {"kept": (KeptMailRecord("paid", "refund", "rejected"),)},
        {"kept": (KeptMailRecord("off", "receipt", "rejected"),)},
    ],
)
def test_a_mail_that_is_neither_sent_nor_listed_is_missing(unknown: dict[str, Any]) -> None:
    assert amiss(replace(HEALTHY, mails=MAILS[1:], **unknown)) == {"every-shopper-is-mailed"}


def test_what_is_undeliverable_is_named() -> None:
    kept = (
        KeptMailRecord("paid", "receipt", "in_doubt", "the process ended"),
        KeptMailRecord("off", "refund", "sent"),
    )
    assert list(undeliverable(replace(HEALTHY, kept=kept))) == ["receipt:paid is in doubt: the process ended"]


def test_an_operator_may_send_a_mail_again_that_had_arrived_after_all() -> None:
    twice = replace(HEALTHY, mails=(*MAILS, MAILS[0]))
    assert amiss(twice) == {"every-mail-is-sent-once"}
    assert amiss(replace(twice, kept=(KeptMailRecord("paid", "receipt", "sent", resends=1),))) == set()


@pytest.mark.parametrize(
    ("returns", "given_back", "is_right"),
    [
        ((), 0, True),
        ((), 500, False),
        ((ReturnRecord("by hand", 500),), 500, True),
        ((ReturnRecord("by hand", 500),), 0, False),
    ],
)
def test_what_came_back_is_kept_until_somebody_gives_it_back_by_hand(
    returns: tuple[ReturnRecord, ...], given_back: int, is_right: bool
) -> None:
    bounced = replace(OFF, late=(LateRefundRecord("re_1", 500),), rest=500, returns=returns)
    charge = replace(REFUNDED, refunded=given_back)
    [check] = [check for check in CHECKS if check.name == "a-cancelled-order-costs-nothing"]
    found = list(check.violations(replace(HEALTHY, orders=(PAID, bounced), charges=(CHARGED, charge))))
    assert (found == []) is is_right


def test_a_guest_whose_money_was_never_held_is_owed_no_mail() -> None:
    guest = replace(HEALTHY, orders=(PAID, replace(OFF, guest=True)), mails=MAILS[:1])
    declined = replace(REFUNDED, authorized=0, captured=0, refunded=0, status="requires_payment_method")
    assert amiss(replace(guest, charges=(CHARGED, declined))) == set()
    for event in ("payment.authorized", "payment.voided"):
        held = replace(OFF, guest=True, timeline=OFF.timeline | {event})
        was_held = replace(
            guest, orders=(PAID, held), charges=(CHARGED, replace(declined, status="canceled"))
        )
        assert "every-shopper-is-mailed" in amiss(was_held)
        assert "no-guest-is-mailed-for-nothing" not in amiss(replace(was_held, mails=MAILS))


def test_what_is_left_of_a_cart_may_be_ordered_once_an_order_was_taken_out() -> None:
    left = CartRecord("ada", ("left", "bought"), ("paid",))
    again = replace(PAID, status="pending", order_id="again", cart_ids=("left", "bought"))
    found = amiss(replace(HEALTHY, carts=(left,), orders=(PAID, OFF, again)))
    assert not found & {"a-cart-is-ordered-once", "a-bought-cart-is-empty"}


def test_every_promise_has_its_checks() -> None:
    assert {check.promise for check in CHECKS} == {1, 2, 3, 4, 5}


@pytest.mark.parametrize(
    ("total", "currency", "units"),
    [(500, "JPY", 500), (5120, "KWD", 5120), (1999, "ISK", 199_900), (500, "MGA", 5), (1500, "IQD", 1500)],
)
def test_a_charge_is_compared_as_the_provider_counts(total: int, currency: str, units: int) -> None:
    def shop(charged: int) -> Evidence:
        order = replace(PAID, total=total, currency=currency)
        charge = replace(CHARGED, authorized=charged, captured=charged, currency=currency)
        return replace(HEALTHY, orders=(order, OFF), charges=(charge, REFUNDED))

    assert amiss(shop(units)) == set()
    assert amiss(shop(units + 1)) == {"a-paid-order-is-charged-its-total"}


def test_a_free_order_ends_without_the_provider() -> None:
    timeline = OFF.timeline | {"order.paid", "payment.refunded"}
    orders = replace(PAID, total=0), replace(OFF, total=0, guest=True, timeline=timeline)
    free = replace(HEALTHY, orders=orders, charges=(), mails=MAILS[:2])
    assert amiss(free) == set()
    assert amiss(replace(free, mails=MAILS[:1])) == {"every-shopper-is-mailed"}


CAME_BACK = str(UUID(int=7))


def test_what_came_back_is_kept_and_owed_and_no_check_fails_for_it() -> None:
    """`shop saga list` reports it; that the shop has the money is right."""
    came_back = LateRefundRecord(CAME_BACK, 500)
    assert (
        amiss(
            replace(
                HEALTHY,
                orders=(PAID, replace(OFF, late=(came_back,))),
                payments={"paid": "captured", "off": "refund_failed"},
                charges=(CHARGED, replace(REFUNDED, refunded=0)),
                refunds={CAME_BACK: "bounced"},
                mails=(
                    *MAILS,
                    MailRecord("off", "refund", refund_id=str(refund_failure_id(UUID(CAME_BACK)))),
                ),
            )
        )
        == set()
    )


def test_what_came_back_is_told_to_its_shopper() -> None:
    came_back = replace(OFF, late=(LateRefundRecord(CAME_BACK, 500),))
    seen = replace(HEALTHY, orders=(PAID, came_back), charges=(CHARGED, replace(REFUNDED, refunded=0)))
    assert "every-shopper-is-mailed" in amiss(seen)


def test_what_went_back_again_is_the_shoppers() -> None:
    again = replace(
        OFF, late=(LateRefundRecord(CAME_BACK, 500), LateRefundRecord("again", 500, failed=False))
    )
    mails = (
        *MAILS,
        MailRecord("off", "refund", refund_id=str(refund_failure_id(UUID(CAME_BACK)))),
        MailRecord("off", "refund", refund_id="again"),
    )
    assert amiss(replace(HEALTHY, orders=(PAID, again), mails=mails)) == set()
    assert amiss(
        replace(HEALTHY, orders=(PAID, again), mails=mails, charges=(CHARGED, replace(REFUNDED, refunded=0)))
    ) == {"a-cancelled-order-costs-nothing"}


def test_what_was_settled_otherwise_is_still_with_the_provider_and_nobody_is_mailed() -> None:
    came_back: dict[str, Any] = {"refund_id": CAME_BACK, "amount": 500, "code": "lost_card"}
    settled = {"refund_id": str(settled_as(UUID(CAME_BACK))), "amount": 500, "code": None}
    again = {"refund_id": str(UUID(int=3)), "amount": 500, "code": None}
    assert gather._late([came_back, settled]) == (LateRefundRecord(CAME_BACK, 500),)
    assert len(gather._late([came_back, again])) == 2
