"""The payment provider of the model: right about money, and as spiteful about telling as it may be.

It holds, takes and gives back by the sandbox's own rules and speaks to payment's real `StripeClient` in the
place of Stripe's SDK, so that answers, refusals, replays and lookups are read by the code that reads them
in earnest. What it decides and which answers are lost is left open: `calls` names all that can happen.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import product
from types import SimpleNamespace
from typing import Any

import stripe

from chassis.saga.intents import OutcomePending
from chassis.saga.tx import Intent
from payment.lookups import Found, Page
from payment.outcomes import Outcome
from payment.reconciliation import Comparison
from payment.stripe_answers import OutcomeUnknown
from payment.stripe_client import StripeClient
from payment.stripe_requests import page_intent
from standins.sandbox.cards import REFUSED, decline_error
from standins.sandbox.errors import Refusal, missing
from standins.sandbox.intents import Intent as Payment
from standins.sandbox.render import Json, dispute_json, intent_json, list_json, refund_json, search_json
from tests.model.automaton import Called, Numbers, Place, at_once
from tests.model.books import Books, kept
from tests.model.later import LISTS, Later, Rows, moves, refund

NOW = datetime(2026, 1, 1, tzinfo=UTC)
DECLINED = "chargeDeclinedInsufficientFunds"


@dataclass(frozen=True)
class Manners:
    """What the provider may do, besides doing as it is asked and saying so.

    `declines`: calls that it may refuse. `refusals`: how many refunds it may turn down. `loses`: it acts and
    times out. `breaks`: it acts and answers 500 for as long as it remembers the key, and its search may lag.
    `asks`: it may want the shopper to confirm, who does or does not, at any moment before she is too late.
    `misstates`: calls for which it may move less than it was asked for, and say so. `stalls`: any call may
    stay without an outcome until the key is forgotten. `later` is what others may do at it.
    """

    declines: frozenset[str] = frozenset()
    refusals: int = 0
    loses: bool = False
    breaks: bool = False
    stalls: bool = False
    misstates: frozenset[str] = frozenset()
    asks: bool = False
    later: Later = field(default_factory=Later)


class Bank:
    """All that may come of each call, worked out once."""

    def __init__(self, manners: Manners) -> None:
        self._manners = manners
        self._books: Numbers[Books] = Numbers()
        self._calls: dict[tuple[int, str], tuple[Called, ...]] = {}
        self._provider = StripeClient("sk_test_model", failures=10**9, clock=lambda: self._clock)
        self._clock = NOW
        self.start = self._number(Books())

    def __getitem__(self, books: int) -> Books:
        return self._books[books]

    def calls(self, books: int, intent: Intent, _: Place) -> tuple[Called, ...]:
        """What may come of making this call now."""
        asked = books, repr(intent)
        if asked not in self._calls:
            self._calls[asked] = tuple(dict.fromkeys(self._work_out(self[books], intent)))
        return self._calls[asked]

    def moves(self, books: int) -> tuple[tuple[str, int], ...]:
        """What the shopper may do at her bank's page, and others later."""
        later = ((what, self._number(after)) for what, after in moves(self[books], self._manners.later))
        return *later, *(
            (what, self._number(kept(self[books], payment.authenticate(decline, charge))))
            for payment in self[books].payments
            if payment.status == "requires_action"
            for what, decline, charge in (("confirm", None, f"ch_{payment.id}"), ("refuse", REFUSED, None))
        )

    def differs(self, books: int, place: Place) -> bool:
        """Whether the provider's lists show something that payment, there, does not know."""
        self._provider._stripe = Desk(self[books], "yes", "answered")  # type: ignore[assignment]
        comparing = Comparison(self._provider.call, Rows(place))
        pages = (at_once(comparing.call(page_intent(name, 0))) for name in LISTS)
        return any(page.lookups for page in pages)

    def forget(self, books: int, key: str) -> int:
        """The books a day later: the answer to that call is remembered no more, and it may be made anew."""
        return self._number(_without(self[books], key, aged=False))

    def age(self, books: int, key: str) -> int:
        """The same, and the call is still without an outcome."""
        known = self[books]
        broke = known.answers.get(key, (0, {}))[0] == 500
        if key in known.aged or not (broke or self._manners.stalls):
            return books
        return self._number(_without(known, key, aged=True))

    def _work_out(self, books: Books, intent: Intent) -> Iterator[Called]:
        verdicts = ["yes", "no"] if self._may_refuse(books, intent.kind) else ["yes"]
        verdicts += ["less"] * (intent.kind in self._manners.misstates)
        verdicts += ["ask"] * (self._manners.asks and intent.kind == "authorize")
        fates = ["answered"] + ["lost"] * self._manners.loses + ["broken", "blind"] * self._manners.breaks
        hours = [23.5, 26] if intent.key in books.aged else [0, 1] if intent.kind == "confirm" else [0]
        for verdict, fate, late in product(verdicts, fates, hours):
            if fate == "blind" and late > 24:
                continue  # whatever the search has missed, it has caught up by now
            self._clock = NOW + timedelta(hours=late)
            desk = Desk(books, verdict, fate)
            self._provider._stripe = desk  # type: ignore[assignment]
            outcome: Outcome | Found | Page | None
            try:
                outcome = at_once(self._provider.call(intent))
            except (stripe.StripeError, OutcomeUnknown, OutcomePending):
                outcome = None
            yield Called(self._number(desk.books), outcome)

    def _may_refuse(self, books: Books, kind: str) -> bool:
        is_refund = kind in ("refund", "refund_part")
        return kind in self._manners.declines or (is_refund and books.refused < self._manners.refusals)

    def _number(self, books: Books) -> int:
        return self._books.of(books, repr(books))


def _without(books: Books, key: str, *, aged: bool) -> Books:
    answers = {one: answer for one, answer in books.answers.items() if one != key}
    others = {one for one in books.aged if one != key}
    return replace(books, answers=answers, aged=tuple(sorted(others | {key} if aged else others)))


class Desk:
    """Stripe's client for one call. `verdict` is what the bank decides if it has not yet, `fate` what becomes
    of the answer."""

    def __init__(self, books: Books, verdict: str, fate: str) -> None:
        self.books = books
        self._verdict = verdict
        self._fate = fate

    async def raw_request_async(
        self, method: str, path: str, *, idempotency_key: str = "", **form: Any
    ) -> SimpleNamespace:
        if method == "get":
            return SimpleNamespace(data=self._read(path, form))
        stored = self.books.answers.get(idempotency_key)
        if stored is None:
            stored = self._act(path, form)
            if self._fate in ("broken", "blind"):
                stored = 500, {"error": {"message": "it broke"}}
            answers = {**self.books.answers, idempotency_key: stored}
            self.books = replace(self.books, answers=dict(sorted(answers.items())))
        if self._fate == "lost":
            raise stripe.APIConnectionError("the answer was lost")  # type: ignore[no-untyped-call]
        return SimpleNamespace(data=_told(*stored))

    def _read(self, path: str, form: Json) -> Json:
        if path.endswith("/search"):
            found = [] if self._fate == "blind" else [intent_json(one) for one in self.books.payments]
            return search_json(path, found, more=False)
        if path == "/v1/refunds":
            return list_json(path, [refund_json(one) for one in self.books.refunds[::-1]], more=False)
        if path == "/v1/disputes":
            return list_json(path, [dispute_json(one) for one in self.books.disputes], more=False)
        return intent_json(self._payment(path.split("/")[3]), form.get("expand", ()))

    def _act(self, path: str, form: Json) -> tuple[int, Json]:
        try:
            if path == "/v1/refunds":
                return self._refund(form)
            if path == "/v1/payment_intents":
                return self._hold(form)
            _, _, _, name, what = path.split("/")
            before = self._payment(name)
            if what == "capture" and self._verdict == "no" and before.capturable:
                return 402, {"error": decline_error(DECLINED, before.charge)}
            amount = before.amount - 1 if self._verdict == "less" else None
            after = before.capture(amount) if what == "capture" else before.cancel(None, 0)
        except Refusal as refusal:
            return refusal.status, {"error": refusal.error}
        self._keep(after)
        return 200, intent_json(after, form.get("expand", ()))

    def _hold(self, form: Json) -> tuple[int, Json]:
        decline = DECLINED if self._verdict == "no" else None
        name = f"pi_{len(self.books.payments) + 1}"
        amount = form["amount"] - (self._verdict == "less")
        draft = Payment(name, amount, form["currency"], "manual", 0, form["metadata"])
        if self._verdict == "ask":
            asked = draft.ask(form["payment_method"], f"https://bank.example/{name}", form["return_url"])
            self._keep(asked)
            return 200, intent_json(asked)
        after = draft.confirm(form["payment_method"], decline, f"ch_{name}")
        self._keep(after)
        return (402, {"error": decline_error(decline, None)}) if decline else (200, intent_json(after))

    def _refund(self, form: Json) -> tuple[int, Json]:
        if self._verdict == "no":
            self.books = replace(self.books, refused=self.books.refused + 1)
            return 400, {"error": {"message": "not now", "code": "balance_insufficient"}}
        before = self._payment(form["payment_intent"])
        self.books, made = refund(self.books, before, form.get("amount"), form["metadata"])
        return 200, refund_json(made)

    def _payment(self, name: str) -> Payment:
        found = next((one for one in self.books.payments if one.id == name), None)
        if found is None:
            raise missing("payment_intent", name, "intent")
        return found

    def _keep(self, payment: Payment) -> None:
        self.books = kept(self.books, payment)


def _told(status: int, body: Json) -> Json:
    """The answer as the SDK gives it, or raises it."""
    if status == 200:
        return body
    message, code = body["error"]["message"], body["error"].get("code")
    if status == 500:
        raise stripe.APIError(message, http_status=status, json_body=body)
    if status == 402:
        raise stripe.CardError(message, None, code, json_body=body)  # type: ignore[no-untyped-call]
    raise stripe.InvalidRequestError(message, None, code, json_body=body)  # type: ignore[no-untyped-call]
