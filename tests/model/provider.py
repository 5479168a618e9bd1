"""The payment provider of the model: right about money, and as unreliable in its answers as it may be.

It holds, takes and gives back by the sandbox's own rules and speaks to payment's real `StripeClient` in the
place of Stripe's SDK, so that answers, refusals, replays and lookups are read by the code that reads them
in production. What it decides and which answers are lost is left open: `calls` names all that can happen.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import product
from types import SimpleNamespace
from typing import Any

import stripe
from pydantic import SecretStr

from chassis.saga.intents import OutcomePending
from chassis.saga.tx import Intent
from payment import reconciliation
from payment.lookups import Found, Page
from payment.outcomes import Outcome
from payment.settings import Settings
from payment.stripe_answers import OutcomeUnknown
from payment.stripe_client import StripeClient
from payment.stripe_requests import page_intent
from standins.sandbox.cards import REFUSED, decline_error
from standins.sandbox.errors import Refusal, missing
from standins.sandbox.intents import Intent as Payment
from standins.sandbox.render import Json, dispute_json, intent_json, list_json, refund_json, search_json
from tests.model.actor import Called, LocalState, Numbers, at_once
from tests.model.provider_ledger import LISTS, LaterEvents, Ledger, Rows, kept, moves, refund

NOW = datetime(2026, 1, 1, tzinfo=UTC)
DECLINED = "chargeDeclinedInsufficientFunds"


@dataclass(frozen=True)
class ProviderFaults:
    """What the provider may do, besides doing what it is asked to and answering so.

    `declines`: calls that it may refuse. `refusals`: how many refunds it may turn down. `loses`: it acts and
    times out. `breaks`: it acts and answers 500 for as long as it remembers the key, and its search may lag.
    `asks`: it may want the shopper to confirm, who does or does not, at any moment before she is too late.
    `misstates`: calls for which it may move less than it was asked for, and answer so. `stalls`: any call may
    stay without an outcome until the key is forgotten. `later` is what others may do at it.
    """

    declines: frozenset[str] = frozenset()
    refusals: int = 0
    loses: bool = False
    breaks: bool = False
    stalls: bool = False
    misstates: frozenset[str] = frozenset()
    asks: bool = False
    later: LaterEvents = field(default_factory=LaterEvents)


class Provider:
    """All that may come of each call, worked out once."""

    def __init__(self, provider: ProviderFaults) -> None:
        self._manners = provider
        self._ledgers: Numbers[Ledger] = Numbers()
        self._calls: dict[tuple[int, str], tuple[Called, ...]] = {}
        settings = Settings.model_construct(stripe_api_key=SecretStr("sk_test_model"), breaker_failures=10**9)
        self._client = StripeClient(settings, encrypt=str, clock=lambda: self._clock)
        self._clock = NOW
        self.start = self._number(Ledger())

    def __getitem__(self, ledger: int) -> Ledger:
        return self._ledgers[ledger]

    def calls(self, ledger: int, intent: Intent, _: LocalState) -> tuple[Called, ...]:
        """What may come of making this call now."""
        asked = ledger, repr(intent)
        if asked not in self._calls:
            self._calls[asked] = tuple(dict.fromkeys(self._work_out(self[ledger], intent)))
        return self._calls[asked]

    def moves(self, ledger: int) -> tuple[tuple[str, int], ...]:
        """What the shopper may do at her bank's page, and others later."""
        later = ((what, self._number(after)) for what, after in moves(self[ledger], self._manners.later))
        return *later, *(
            (what, self._number(kept(self[ledger], payment.authenticate(decline, charge))))
            for payment in self[ledger].payments
            if payment.status == "requires_action"
            for what, decline, charge in (("confirm", None, f"ch_{payment.id}"), ("refuse", REFUSED, None))
        )

    def differs(self, ledger: int, local: LocalState) -> bool:
        """Whether the provider's lists show something that payment, there, does not know."""
        self._client._stripe = FakeStripe(self[ledger], "yes", "answered")  # type: ignore[assignment]
        known: Any = Rows(local)
        pages = (
            at_once(reconciliation.call(self._client.call, known, page_intent(name, 0))) for name in LISTS
        )
        return any(page.lookups for page in pages)

    def forget(self, ledger: int, key: str) -> int:
        """The ledger a day later: the answer to that call is no longer stored, and it may be made again."""
        return self._number(_without(self[ledger], key, aged=False))

    def age(self, ledger: int, key: str) -> int:
        """The same, and the call is still without an outcome."""
        known = self[ledger]
        broke = known.answers.get(key, (0, {}))[0] == 500
        if key in known.aged or not (broke or self._manners.stalls):
            return ledger
        return self._number(_without(known, key, aged=True))

    def _work_out(self, ledger: Ledger, intent: Intent) -> Iterator[Called]:
        verdicts = ["yes", "no"] if self._may_refuse(ledger, intent.kind) else ["yes"]
        verdicts += ["less"] * (intent.kind in self._manners.misstates)
        verdicts += ["ask"] * (self._manners.asks and intent.kind == "authorize")
        fates = ["answered"] + ["lost"] * self._manners.loses + ["broken", "blind"] * self._manners.breaks
        hours = [23.5, 26] if intent.key in ledger.aged else [0, 1] if intent.kind == "confirm" else [0]
        for verdict, fate, late in product(verdicts, fates, hours):
            if fate == "blind" and late > 24:
                continue  # whatever the search has missed, it has caught up by now
            self._clock = NOW + timedelta(hours=late)
            stripe_api = FakeStripe(ledger, verdict, fate)
            self._client._stripe = stripe_api  # type: ignore[assignment]
            outcome: Outcome | Found | Page | None
            try:
                outcome = at_once(self._client.call(intent))
            except (stripe.StripeError, OutcomeUnknown, OutcomePending):
                outcome = None
            yield Called(self._number(stripe_api.ledger), outcome)

    def _may_refuse(self, ledger: Ledger, kind: str) -> bool:
        is_refund = kind in ("refund", "refund_part")
        return kind in self._manners.declines or (is_refund and ledger.refused < self._manners.refusals)

    def _number(self, ledger: Ledger) -> int:
        return self._ledgers.of(ledger, repr(ledger))


def _without(ledger: Ledger, key: str, *, aged: bool) -> Ledger:
    answers = {one: answer for one, answer in ledger.answers.items() if one != key}
    others = {one for one in ledger.aged if one != key}
    return replace(ledger, answers=answers, aged=tuple(sorted(others | {key} if aged else others)))


class FakeStripe:
    """Stripe's client for one call. `verdict` is what the bank decides if it has not yet, `fate` what becomes
    of the answer."""

    def __init__(self, ledger: Ledger, verdict: str, fate: str) -> None:
        self.ledger = ledger
        self._verdict = verdict
        self._fate = fate

    async def raw_request_async(
        self, method: str, path: str, *, idempotency_key: str = "", **form: Any
    ) -> SimpleNamespace:
        if method == "get":
            return SimpleNamespace(data=self._read(path, form))
        stored = self.ledger.answers.get(idempotency_key)
        if stored is None:
            stored = self._act(path, form)
            if self._fate in ("broken", "blind"):
                stored = 500, {"error": {"message": "it broke"}}
            answers = {**self.ledger.answers, idempotency_key: stored}
            self.ledger = replace(self.ledger, answers=dict(sorted(answers.items())))
        if self._fate == "lost":
            raise stripe.APIConnectionError("the answer was lost")  # type: ignore[no-untyped-call]
        return SimpleNamespace(data=_told(*stored))

    def _read(self, path: str, form: Json) -> Json:
        if path.endswith("/search"):
            found = [] if self._fate == "blind" else [intent_json(one) for one in self.ledger.payments]
            return search_json(path, found, more=False)
        if path == "/v1/refunds":
            return list_json(path, [refund_json(one) for one in self.ledger.refunds[::-1]], more=False)
        if path == "/v1/disputes":
            return list_json(path, [dispute_json(one) for one in self.ledger.disputes], more=False)
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
        name = f"pi_{len(self.ledger.payments) + 1}"
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
            self.ledger = replace(self.ledger, refused=self.ledger.refused + 1)
            return 400, {"error": {"message": "not now", "code": "balance_insufficient"}}
        before = self._payment(form["payment_intent"])
        self.ledger, made = refund(self.ledger, before, form.get("amount"), form["metadata"])
        return 200, refund_json(made)

    def _payment(self, name: str) -> Payment:
        found = next((one for one in self.ledger.payments if one.id == name), None)
        if found is None:
            raise missing("payment_intent", name, "intent")
        return found

    def _keep(self, payment: Payment) -> None:
        self.ledger = kept(self.ledger, payment)


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
