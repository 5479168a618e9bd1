"""What came back of an order, in the shopper's words, and what can be returned: goods and money."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from storefront.api import Json
from storefront.locales import Language

MOST_LINES = 50  # of a return; the others are returned afterwards


@dataclass(frozen=True)
class Returnable:
    """A line of the order, and how many pieces of it can be returned."""

    sku: str
    name: str
    left: int


@dataclass(frozen=True)
class Entry:
    """A return or a refund. `pieces` has names and quantities; `amount` is in minor units."""

    return_id: str
    pieces: list[tuple[str, int]]
    amount: int
    text: str
    time: str
    is_bad: bool
    can_be_withdrawn: bool


def returnable(order: Json, until: str | None, now: datetime) -> list[Returnable]:
    """What the shopper can return: of a shipped order, `until` that time (RFC 3339), what was not yet."""
    if order["status"] != "paid" or until is None or now >= datetime.fromisoformat(until):
        return []
    left = Counter({line["sku"]: line["quantity"] for line in order["lines"]})
    for one in order["returns"]:
        if one["state"] not in ("rejected", "withdrawn"):
            left.subtract({line["sku"]: line["quantity"] for line in one["lines"]})
    found = [Returnable(one["sku"], one["name"], left[one["sku"]]) for one in order["lines"]]
    return [one for one in found if one.left > 0][:MOST_LINES]


def entries(language: Language, order: Json) -> list[Entry]:
    """The oldest first."""
    return [
        Entry(
            one["return_id"],
            [(line["name"], line["quantity"]) for line in one["lines"]],
            one["amount"]["amount"] if one["state"] not in ("rejected", "withdrawn") else 0,
            _text(language, one),
            one["refunded_at"] or one["received_at"] or one["requested_at"],
            is_bad=one["state"] == "rejected",
            can_be_withdrawn=one["by"] == "return" and one["state"] == "requested",
        )
        for one in order["returns"]
    ]


def is_money_under_way(order: Json) -> bool:
    """Whether a refund is due that was not made yet."""
    if order["status"] == "cancelled":
        return bool(order["paid_at"] and order["total"]["amount"] and not order["refunded_at"])
    due = [one for one in order["returns"] if one["state"] in ("received", "granted")]
    return any(one["amount"]["amount"] and not one["refunded_at"] for one in due)


def is_return_under_way(order: Json) -> bool:
    """Whether the shopper has requested a return that did not arrive yet."""
    return any(one["state"] == "requested" for one in order["returns"])


def warnings(language: Language, order: Json) -> list[str]:
    """What the shopper should know about her money: failed refunds, and disputes."""
    return [*_failed(language, order), *(_dispute(language, one) for one in order["disputes"])]


def _text(language: Language, one: Json) -> str:
    _ = language._
    amount, is_refunded = one["amount"]["amount"], one["refunded_at"] is not None
    match one["state"], one["by"]:
        case "requested", _by:
            return _("Requested. Send the goods back: you get your money when they have arrived.")
        case "withdrawn", _by:
            return _("You have withdrawn this return.")
        case "rejected", _by:
            return _("The shop has not accepted this return:") + " " + (one["reason"] or "–")
        case "received", "return" if not amount:
            return _("The goods have arrived.")
        case "received", "return" if is_refunded:
            return _("The goods have arrived, and your money was sent back to you.")
        case "received", "return":
            return _("The goods have arrived. Your money is on its way.")
    if is_refunded:
        return _("The shop has sent you money back.")
    return _("The shop gives you money back. It is on its way.")


def _failed(language: Language, order: Json) -> Iterable[str]:
    """The order's `refunded` is less what failed and was not made again."""
    total, refunded = order["total"]["amount"], order["refunded"]["amount"]
    parts = sum(one["amount"]["amount"] for one in order["returns"] if one["refunded_at"])
    missing = min(total, total if order["refunded_at"] else parts) - refunded
    if order["failed_refunds"] and missing > 0:
        text = language._("A refund of %(amount)s did not reach you. The shop will get in touch with you.")
        yield text % {"amount": language.money(missing, order["total"]["currency"])}


def _dispute(language: Language, dispute: Json) -> str:
    _ = language._
    match dispute["status"]:
        case "lost":
            text = _("Your bank has paid %(amount)s back to you. The shop does not refund it as well.")
        case "won" | "warning_closed":
            text = _("Your dispute with your bank about %(amount)s has ended. The payment stays.")
        case _:
            text = _("You dispute %(amount)s with your bank. It decides; refunds wait until then.")
    return text % {"amount": language.money(dispute["amount"]["amount"], dispute["amount"]["currency"])}
