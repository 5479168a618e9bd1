"""Every payment and its state for tests and the shop's ledger check, and whether the sums agree."""

from collections import defaultdict
from typing import Any

from standins.sandbox.intents import Intent
from standins.sandbox.state import State


def ledger(state: State, order_id: str | None) -> dict[str, Any]:
    """All payments, or those of one order, with sums by currency and the orders that look wrong."""
    if order_id is None:
        intents = list(state.intents.values())
    else:
        intents = [state.intents[name] for name in state.intents_of.get(order_id, [])]
    totals = _totals(intents)
    adds_up = all(_adds_up(state, intent) for intent in intents)
    return {
        "payments": [_payment(state, intent) for intent in intents],
        "totals": totals,
        "orders_with_several_intents": _orders(intents, least=2),
        "orders_charged_twice": _orders([one for one in intents if one.captured], least=2),
        "balanced": adds_up and (order_id is not None or _as_counted(state, totals)),
        "webhooks": {"pending": len(state.pending), "lost": state.overflowed},
    }


def _payment(state: State, intent: Intent) -> dict[str, Any]:
    refunds = [state.refunds[one] for one in state.refunds_of.get(intent.id, ())]
    disputes = [state.disputes[one] for one in state.disputes_of.get(intent.id, ())]
    return {
        "id": intent.id,
        "order_id": intent.order_id,
        "amount": intent.amount,
        "currency": intent.currency,
        "status": intent.status,
        "card": intent.card,
        "declined": intent.decline,
        "authorized": intent.amount if intent.status in ("requires_capture", "succeeded") else 0,
        "captured": intent.captured,
        "refunded": intent.refunded,
        "charges": 1 if intent.captured else 0,
        "refunds": len(refunds),
        "refunds_failed": sum(one.status == "failed" for one in refunds),
        "disputes": len(disputes),
        "withdrawn": sum(one.withdrawn for one in disputes),
        "created": intent.created,
    }


def _totals(intents: list[Intent]) -> dict[str, dict[str, int]]:
    totals: defaultdict[str, dict[str, int]] = defaultdict(
        lambda: {"payments": 0, "held": 0, "captured": 0, "refunded": 0, "charges": 0}
    )
    for intent in intents:
        sums = totals[intent.currency]
        sums["payments"] += 1
        sums["held"] += intent.capturable
        sums["captured"] += intent.captured
        sums["refunded"] += intent.refunded
        sums["charges"] += 1 if intent.captured else 0
    return totals


def _orders(intents: list[Intent], *, least: int) -> dict[str, list[str]]:
    by_order: defaultdict[str, list[str]] = defaultdict(list)
    for intent in intents:
        if intent.order_id:
            by_order[intent.order_id].append(intent.id)
    return {order: names for order, names in by_order.items() if len(names) >= least}


def _adds_up(state: State, intent: Intent) -> bool:
    """Nothing came back that was not taken, nothing was taken that was not held."""
    back = sum(state.refunds[one].moved for one in state.refunds_of.get(intent.id, ()))
    return back == intent.refunded <= intent.captured <= intent.amount


def _as_counted(state: State, totals: dict[str, dict[str, int]]) -> bool:
    """Money summed up over all payments equals money counted move by move."""
    return all(
        (moved.captured, moved.refunded) == (totals[currency]["captured"], totals[currency]["refunded"])
        for currency, moved in state.balance.items()
    )
