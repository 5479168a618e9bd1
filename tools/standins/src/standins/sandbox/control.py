"""The sandbox's own side, which does not exist at the real provider: faults, webhook delivery, what happens
later, and the ledger, in which tests and the shop see every payment and whether the sums agree."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import asdict
from typing import Any, TypeVar
from urllib.parse import parse_qs

import orjson
from pydantic import ValidationError

from standins.running import in_one_line
from standins.sandbox import cards, reversals
from standins.sandbox.calls import CallHandler
from standins.sandbox.errors import Refusal, missing
from standins.sandbox.exchange import Exchange
from standins.sandbox.faults import Fault
from standins.sandbox.intents import Intent
from standins.sandbox.operations import Call
from standins.sandbox.render import copied, dispute_json, intent_json, refund_json
from standins.sandbox.state import State
from standins.sandbox.webhooks import Delivery, WebhookSender

PROBLEM = b"application/problem+json"
DECLINABLE = ("authorize", "capture")
OUTCOMES = {"succeeded": True, "failed": False}

T = TypeVar("T")


async def serve(exchange: Exchange, state: State, sender: WebhookSender, handler: CallHandler) -> None:
    try:
        await exchange.answer(200, await _reply(exchange, state, sender, handler))
    except Refusal as refusal:
        problem = {"type": "about:blank", "status": refusal.status, "detail": str(refusal)}
        await exchange.answer(refusal.status, problem, media=PROBLEM)


async def _reply(
    exchange: Exchange, state: State, sender: WebhookSender, handler: CallHandler
) -> dict[str, Any]:
    match exchange.method, exchange.path:
        case "GET", "/healthz":
            return {"status": "ok"}
        case "GET", "/_sandbox/ledger":
            return ledger(state, parse_qs(exchange.query.decode("latin-1")).get("order_id", [None])[0])
        case "POST", "/_sandbox/authentications":
            return _authenticate(await _json(exchange), handler)
        case "POST", "/_sandbox/refunds" | "/_sandbox/disputes" | "/_sandbox/expirations":
            return _later(exchange.path.rpartition("/")[2], await _json(exchange), state, handler)
        case "POST", "/_sandbox/faults":
            state.faults.append(_fault(await _json(exchange)))
            state.save_faults()
        case "DELETE", "/_sandbox/faults":
            state.faults.clear()
            state.save_faults()
        case "POST", "/_sandbox/webhooks":
            sender.travel(_validated(Delivery, await _json(exchange)))
            state.record("webhooks", asdict(sender.delivery))
        case "GET", "/_sandbox/faults" | "/_sandbox/webhooks":
            pass
        case _:
            raise Refusal(f"The sandbox has no {exchange.method} {exchange.path}", status=404)
    if exchange.path == "/_sandbox/faults":
        return {"faults": state.faults}
    return asdict(sender.delivery) | {"pending": len(state.pending), "lost": state.overflowed}


async def _json(exchange: Exchange) -> dict[str, Any]:
    try:
        given = orjson.loads(await exchange.body() or b"{}")
    except orjson.JSONDecodeError as problem:
        raise Refusal(f"Send a JSON object: {problem}") from problem
    if not isinstance(given, dict):
        raise Refusal("Send a JSON object")
    return given


def _authenticate(given: dict[str, Any], handler: CallHandler) -> dict[str, Any]:
    """What the shopper would decide at the bank's page."""
    name, outcome = given.get("payment_intent"), given.get("outcome")
    if given.keys() != {"payment_intent", "outcome"} or outcome not in OUTCOMES:
        raise Refusal(f"Send payment_intent and outcome, one of {', '.join(OUTCOMES)}")
    return intent_json(handler.authenticate(str(name), passed=OUTCOMES[outcome]))


def _later(what: str, given: dict[str, Any], state: State, handler: CallHandler) -> dict[str, Any]:
    """What a bank does long afterwards, at once."""
    try:
        call = LATER[what](state, handler.now, **given)
    except TypeError as problem:
        raise Refusal(f"{what}: {problem}") from problem
    change = handler.carry_out(call)
    if change.dispute:
        return dispute_json(change.dispute)
    return refund_json(change.refund) if change.refund and what == "refunds" else intent_json(change.intent)


def _refund(
    state: State,
    now: int,
    refund: str = "",
    payment_intent: str = "",
    status: str = "",
    reason: str = "declined",
    amount: int | None = None,
) -> Call:
    """A refund, or the newest one of a payment, changes; without a status the dashboard makes one."""
    if payment_intent and not status:
        return reversals.refund_by_dashboard(state, payment_intent, now, amount)
    if not refund:
        if not (made := state.refunds.of(payment_intent)):
            raise missing("refund", payment_intent, "payment_intent")
        refund = made[-1].id
    return reversals.turn_refund(state, refund, status or "failed", reason)


def _dispute(
    state: State,
    now: int,
    payment_intent: str = "",
    dispute: str = "",
    reason: str = "fraudulent",
    status: str = "needs_response",
    amount: int | None = None,
) -> Call:
    if dispute:
        return reversals.turn_dispute(state, dispute, status)
    return reversals.open_dispute(state, payment_intent, now, reason, status, amount)


LATER: dict[str, Callable[..., Call]] = {
    "refunds": _refund,
    "disputes": _dispute,
    "expirations": reversals.expire,
}


def _fault(given: dict[str, Any]) -> Fault:
    fault = _validated(Fault, given)
    if fault.count == 0:
        raise Refusal("count: at least 1, or none for every request")
    if fault.kind == "decline" and fault.operation not in DECLINABLE:
        raise Refusal(f"only {' and '.join(DECLINABLE)} can be declined")
    if fault.decline not in cards.DECLINES:
        raise Refusal(f"decline must be one of {', '.join(cards.DECLINES)}")
    return fault


def _validated(kind: Callable[..., T], given: dict[str, Any]) -> T:
    try:
        return kind(**given)
    except ValidationError as error:
        raise Refusal(in_one_line(error)) from error


def ledger(state: State, order_id: str | None) -> dict[str, Any]:
    """All payments, or those of one order, with sums by currency and the orders that look wrong."""
    intents = list(state.intents.values()) if order_id is None else state.intents.of(order_id)
    totals = _totals(intents)
    # Nothing came back that was not taken, nothing was taken that was not held; and money summed up over all
    # payments equals money counted move by move.
    back = {intent.id: sum(refund.moved for refund in state.refunds.of(intent.id)) for intent in intents}
    adds_up = all(back[one.id] == one.refunded <= one.captured <= one.amount for one in intents)
    as_counted = order_id is not None or all(
        (captured, state.refunded[currency]) == (totals[currency]["captured"], totals[currency]["refunded"])
        for currency, captured in state.captured.items()
    )
    return {
        "payments": [_payment(state, intent) for intent in intents],
        "totals": totals,
        "orders_with_several_intents": _several(intents),
        "orders_charged_twice": _several(one for one in intents if one.captured),
        "balanced": adds_up and as_counted,
        "webhooks": {"pending": len(state.pending), "lost": state.overflowed},
    }


_PAYMENT = copied("id order_id amount currency status card captured refunded created")


def _payment(state: State, intent: Intent) -> dict[str, Any]:
    refunds, disputes = state.refunds.of(intent.id), state.disputes.of(intent.id)
    return _PAYMENT(intent) | {
        "declined": intent.decline,
        "authorized": intent.amount if intent.status in ("requires_capture", "succeeded") else 0,
        "charges": 1 if intent.captured else 0,
        "refunds": len(refunds),
        "refunds_failed": sum(one.status == "failed" for one in refunds),
        "disputes": len(disputes),
        "withdrawn": sum(one.withdrawn for one in disputes),
    }


def _totals(intents: list[Intent]) -> dict[str, Counter[str]]:
    totals: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for intent in intents:
        totals[intent.currency].update(
            payments=1,
            held=intent.capturable,
            captured=intent.captured,
            refunded=intent.refunded,
            charges=1 if intent.captured else 0,
        )
    return totals


def _several(intents: Iterable[Intent]) -> dict[str, list[str]]:
    """The orders with more than one of these payments."""
    by_order: defaultdict[str, list[str]] = defaultdict(list)
    for intent in intents:
        if intent.order_id:
            by_order[intent.order_id].append(intent.id)
    return {order: names for order, names in by_order.items() if len(names) > 1}
