"""The saga of an order, for readers who want to learn how it works: a lane for each service, drawn from the
public timeline, with what led to what and the steps that are still to come."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from storefront.api import Json
from storefront.locales import Language

LANES = ("order", "product", "payment", "notification")
_MARKS = {
    "event": "●",
    "pivot": "◆",
    "refusal": "✕",
    "compensation": "↶",
    "question": "?",
    "ahead": "○",
}
_KINDS = {
    "order.paid": "pivot",
    "stock.rejected": "refusal",
    "payment.declined": "refusal",
    "order.cancelled": "refusal",
    "payment.refund_failed": "refusal",
    "payment.disputed": "refusal",
    "payment.action_required": "question",
    "stock.released": "compensation",
    "payment.voided": "compensation",
    "payment.refunded": "compensation",
    "payment.refunded_in_part": "compensation",
    "stock.returned": "compensation",
}
_MAILED = (
    "order.paid",
    "order.cancelled",
    "payment.refunded",
    "payment.refunded_in_part",
    "payment.refund_failed",
)
# The idea that an event shows.
_TERMS = {
    "order.created": "outbox",
    "stock.reserved": "choreography",
    "payment.authorized": "idempotency",
    "order.paid": "pivot",
    "order.cancelled": "dead-letter",
}


@dataclass(frozen=True)
class Row:
    """An event, or with `seconds` None a step that was not taken yet. Lanes count from 0; `cause_lane` is
    that of the event which led to this one. `seconds` are since the first event. `term` is the key of a term
    that explains more."""

    type: str
    lane: int
    cause_lane: int | None
    because: str
    kind: str
    seconds: float | None
    text: str
    is_mailed: bool
    term: str

    @property
    def mark(self) -> str:
        return _MARKS[self.kind]


def rows(language: Language, order: Json, events: Sequence[Json]) -> list[Row]:
    """The events by time, then what is still to come."""
    texts = _texts(language)
    began = datetime.fromisoformat(events[0]["time"]) if events else None
    by_id = {event["id"]: event for event in events}
    found = []
    for event in events:
        if event["said_by"] not in LANES:
            continue
        type_, cause = event["type"], by_id.get(event["causation_id"])
        assert began is not None
        found.append(
            Row(
                type_,
                LANES.index(event["said_by"]),
                LANES.index(cause["said_by"]) if cause and cause["said_by"] in LANES else None,
                _because(language, event),
                _KINDS.get(type_, "event"),
                (datetime.fromisoformat(event["time"]) - began).total_seconds(),
                texts.get(type_, ""),
                type_ in _MAILED,
                _TERMS.get(type_, "compensation" if _KINDS.get(type_) == "compensation" else ""),
            )
        )
    ahead = [
        Row(type_, LANES.index(lane), None, "", "ahead", None, texts.get(type_, ""), False, "")
        for type_, lane in _ahead(order, {event["type"] for event in events})
    ]
    return found + ahead


def kinds(language: Language) -> dict[str, str]:
    """What the marks mean, in words."""
    _ = language._
    return {
        "event": "",
        "pivot": _("point of no return"),
        "refusal": _("does not go on"),
        "compensation": _("undoes an earlier step"),
        "question": _("waits for you"),
        "ahead": _("not taken yet"),
    }


def terms(language: Language) -> dict[str, tuple[str, str]]:
    """Ideas behind the shop: a name and an explanation, by key."""
    _ = language._
    return {
        "choreography": (
            _("Saga and choreography"),
            _("No one conducts. Each service knows its own steps and answers events with events."),
        ),
        "outbox": (
            _("Outbox"),
            _(
                "A service stores its event together with its own change, and sends it afterwards: never one"
                " without the other."
            ),
        ),
        "idempotency": (
            _("Idempotency"),
            _(
                "Every message and every call may come twice. Each has a key, so that twice has the effect of"
                " once: your card is charged one time."
            ),
        ),
        "compensation": (
            _("Compensation"),
            _(
                "There is no transaction over all services. What cannot go on is undone, step by step: pieces"
                " go back on the shelf, money goes back to you."
            ),
        ),
        "pivot": (
            _("Point of no return"),
            _("Once the money is taken the order can only succeed, or be undone with a refund."),
        ),
        "dead-letter": (
            _("Dead letter"),
            _(
                "A message that cannot be handled is tried again, then put aside with its reason. A person"
                " repairs it and sends it on; nothing is lost."
            ),
        ),
    }


def _ahead(order: Json, done: set[str]) -> Iterator[tuple[str, str]]:
    """The types and lanes of the steps that are still to come."""
    match order["status"]:
        case "pending":
            steps = [
                ("stock.reserved", "product"),
                ("payment.authorized", "payment"),
                ("order.paid", "payment"),
            ]
            yield from (step for step in steps if step[0] not in done)
        case "paid":
            if order["fulfilled_at"] is None and not order["refunded"]["amount"]:
                yield "order.fulfilled", "order"
            for one in order["returns"]:
                yield from _ahead_of_return(one)
        case _:
            if "stock.reserved" in done and order["stock_released_at"] is None:
                yield "stock.released", "product"
            if order["paid_at"] and order["refunded_at"] is None:
                yield "payment.refunded", "payment"
            elif "payment.authorized" in done and not order["paid_at"] and order["voided_at"] is None:
                yield "payment.voided", "payment"


def _ahead_of_return(one: Json) -> Iterator[tuple[str, str]]:
    if one["state"] in ("rejected", "withdrawn"):
        return
    if one["state"] == "requested":
        yield "order.returned", "order"
    if one["restock"] and one["lines"] and one["restocked_at"] is None:
        yield "stock.returned", "product"
    if one["amount"]["amount"] and one["refunded_at"] is None:
        yield "payment.refunded_in_part", "payment"


def _because(language: Language, event: Json) -> str:
    _ = language._
    if cause := event["causation_id"]:
        return str(cause).partition("/")[0]
    return {
        "order.created": _("you"),
        "order.fulfilled": _("the warehouse"),
        "order.returned": _("the warehouse"),
    }.get(event["type"], "")


def _texts(language: Language) -> dict[str, str]:
    _ = language._
    return {
        "order.created": _("The order is stored, and all who have to do with it are informed at once."),
        "stock.reserved": _("All pieces are set aside for this order, or none."),
        "stock.rejected": _("There are too few pieces: the order is cancelled."),
        "payment.authorized": _("The bank holds the money. It is not taken before the goods are set aside."),
        "payment.action_required": _("The bank wants you to confirm. The saga waits, with a deadline."),
        "payment.declined": _("The bank refuses: the order is cancelled, and the pieces are released."),
        "payment.voided": _("The bank no longer holds the money."),
        "order.paid": _("The money is taken, once, however often the call is repeated."),
        "order.fulfilled": _("The goods have left. From here on they are returned, not cancelled."),
        "order.cancelled": _("The order ends here, and what was done for it is undone."),
        "order.returned": _("Goods have come back: money and stock follow."),
        "order.refund_settled": _("The shop has paid you in another way."),
        "stock.released": _("The pieces are for others again."),
        "stock.returned": _("The returned pieces are for sale again."),
        "payment.refunded": _("All of the money goes back, once."),
        "payment.refunded_in_part": _("The price of what came back goes back, once."),
        "payment.refund_failed": _("The bank could not deliver a refund. Staff look into it."),
        "payment.disputed": _("You and your bank dispute the payment."),
    }
