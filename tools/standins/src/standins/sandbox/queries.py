"""The read-only calls: one object, a page of a list, a search by order, the balance."""

import operator
import re
from collections.abc import Callable, Iterable, Iterator
from itertools import islice

from standins.sandbox import forms
from standins.sandbox.errors import Refusal, missing
from standins.sandbox.forms import Form
from standins.sandbox.render import (
    Json,
    charge_json,
    dispute_json,
    intent_json,
    list_json,
    refund_json,
    search_json,
)
from standins.sandbox.state import Objects, State, T

PAGE, LARGEST_PAGE = 10, 100
BOUNDS = {"gt": operator.gt, "gte": operator.ge, "lt": operator.lt, "lte": operator.le}
CLAUSE = re.compile(r"(status|currency|metadata\[['\"]order_id['\"]\]):['\"]([^'\"]*)['\"]")

Query = Callable[[State, Form, str], Json]


def intent(state: State, form: Form, name: str) -> Json:
    found = state.intents.find(name, "intent")
    return intent_json(found, forms.expand(form), disputed=bool(state.disputes.of(name)))


def charge(state: State, _: Form, name: str) -> Json:
    intent = state.intent_of_charge(name)
    return charge_json(intent, disputed=bool(state.disputes.of(intent.id)))


def refund(state: State, _: Form, name: str) -> Json:
    return refund_json(state.refunds.find(name))


def intents(state: State, form: Form, _: str) -> Json:
    forms.only(form, {"limit", "starting_after", "created", "expand"})
    shown, more = _page(form, reversed(state.intents.values()))
    wanted = [one.removeprefix("data.") for one in forms.expand(form) if one.startswith("data.")]
    listed = [intent_json(one, wanted, disputed=bool(state.disputes.of(one.id))) for one in shown]
    return list_json("/v1/payment_intents", listed, more=more)


def refunds(state: State, form: Form, _: str) -> Json:
    shown, more = _page(form, _of_payment(state, form, state.refunds))
    return list_json("/v1/refunds", [refund_json(refund) for refund in shown], more=more)


def disputes(state: State, form: Form, _: str) -> Json:
    shown, more = _page(form, _of_payment(state, form, state.disputes))
    return list_json("/v1/disputes", [dispute_json(dispute) for dispute in shown], more=more)


def dispute(state: State, _: Form, name: str) -> Json:
    return dispute_json(state.disputes.find(name))


def search(state: State, form: Form, _: str) -> Json:
    """Stripe's query language as far as a shop needs it: order, status and currency, joined by AND."""
    forms.only(form, {"query", "limit", "page", "expand"})
    wanted = dict(_clauses(forms.text(form, "query", required=True) or ""))
    found = state.intents.of(wanted["order_id"]) if "order_id" in wanted else [*state.intents.values()]
    matching = (
        one for one in reversed(found) if all(getattr(one, name) == value for name, value in wanted.items())
    )
    shown, more = _page(form, matching, after="page")
    return search_json("/v1/payment_intents/search", [intent_json(one) for one in shown], more=more)


def balance(state: State, _: Form, __: str) -> Json:
    available = [
        {"amount": captured - state.refunded[currency], "currency": currency}
        for currency, captured in state.captured.items()
    ]
    return {"object": "balance", "available": available, "livemode": False, "pending": []}


def _clauses(query: str) -> Iterable[tuple[str, str]]:
    for clause in re.split(r"\s+AND\s+", query.strip()):
        match = CLAUSE.fullmatch(clause)
        if match is None:
            message = (
                f"The sandbox does not understand '{clause}': use metadata['order_id']:'…', status:'…', AND."
            )
            raise Refusal(message, param="query")
        yield ("order_id" if match[1].startswith("metadata") else match[1]), match[2]


def _of_payment(state: State, form: Form, objects: Objects[T]) -> Iterator[T]:
    """The newest first: of the payment or charge that is asked for, or all."""
    forms.only(form, {"limit", "starting_after", "payment_intent", "charge", "created", "expand"})
    charge, name = forms.text(form, "charge"), forms.text(form, "payment_intent")
    if charge is not None:
        name = state.charges.get(charge, "")
    return reversed(list(objects.values()) if name is None else objects.of(name))


def _created(form: Form) -> Callable[[T], bool]:
    """Whether something was created when it is asked for: `created[gte]` and the like, or one moment."""
    given = form.get("created", {})
    limits = given if isinstance(given, dict) else {"gte": given, "lte": given}
    forms.only(limits, BOUNDS)
    bounds = [(BOUNDS[name], forms.amount(limits, name) or 0) for name in limits]
    return lambda one: all(holds(one.created, bound) for holds, bound in bounds)


def _page(form: Form, found: Iterable[T], *, after: str = "starting_after") -> tuple[list[T], bool]:
    """One page of what was found, and whether there is more."""
    limit = forms.amount(form, "limit") or PAGE
    if limit > LARGEST_PAGE:
        raise Refusal(f"Invalid limit: at most {LARGEST_PAGE}", param="limit")
    rest, last = filter(_created(form), found), forms.text(form, after)
    if last and not any(one.id == last for one in rest):
        raise missing("object", last, after)
    page = list(islice(rest, limit + 1))
    return page[:limit], len(page) > limit
