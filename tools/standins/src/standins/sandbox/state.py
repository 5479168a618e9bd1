"""The sandbox's state: payments, refunds, idempotency keys and undelivered events."""

from collections import OrderedDict, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from standins.sandbox.errors import Refusal, missing
from standins.sandbox.faults import FaultPlan
from standins.sandbox.intents import Dispute, Intent, Refund
from standins.sandbox.journal import Change, Event, Journal, from_journal

KEPT = 24 * 3600
LONGEST = 255

T = TypeVar("T")


@dataclass(slots=True)
class Balance:
    """Money moved in one currency, counted movement by movement; the ledger compares it with the payments'
    sums."""

    captured: int = 0
    refunded: int = 0


class Keys:
    """Idempotency keys as Stripe keeps them: the result of what was executed, replayed for 24 hours.

    409 `idempotency_key_in_use` while the first request runs, 400 `idempotency_error` when the key comes back
    with other parameters: https://docs.stripe.com/api/idempotent_requests.
    """

    def __init__(self) -> None:
        self._stored: OrderedDict[str, Change] = OrderedDict()
        self._running: dict[str, str] = {}

    def find(self, key: str, fingerprint: str, now: int) -> Change | None:
        """The stored result, or None when the request is the first. Raises Refusal for a clash."""
        if len(key) > LONGEST:
            raise Refusal(f"Idempotency-Key is too long: {len(key)} of at most {LONGEST} characters")
        self._forget_before(now - KEPT)
        stored = self._stored.get(key)
        first = stored.fingerprint if stored else self._running.get(key, fingerprint)
        if first != fingerprint:
            message = (
                "Keys for idempotent requests can only be used with the same parameters they were first used "
                f"with. Try using a key other than '{key}' if you meant to execute a different request."
            )
            raise Refusal(message, kind="idempotency_error")
        if key in self._running:
            message = (
                "There is currently another in-progress request using this Idempotent Key (that probably "
                "means you submitted twice, and the other request is still going through): "
                f"{key}. Please try again later."
            )
            raise Refusal(message, status=409, kind="idempotency_error", code="idempotency_key_in_use")
        return stored

    def start(self, key: str, fingerprint: str) -> None:
        self._running[key] = fingerprint

    def finish(self, key: str) -> None:
        self._running.pop(key, None)

    def store(self, key: str, change: Change) -> None:
        self._stored[key] = change

    def _forget_before(self, moment: int) -> None:
        """Results lie in the order they were stored, so the old ones are in front."""
        while self._stored:
            oldest = next(iter(self._stored))
            if self._stored[oldest].at > moment:
                return
            del self._stored[oldest]


class State:
    def __init__(self, journal: Journal, *, most_pending: int) -> None:
        self.intents: dict[str, Intent] = {}
        self.charges: dict[str, str] = {}
        self.refunds: dict[str, Refund] = {}
        self.refunds_of: defaultdict[str, list[str]] = defaultdict(list)
        self.disputes: dict[str, Dispute] = {}
        self.disputes_of: defaultdict[str, list[str]] = defaultdict(list)
        self.intents_of: defaultdict[str, list[str]] = defaultdict(list)
        self.balance: defaultdict[str, Balance] = defaultdict(Balance)
        self.keys = Keys()
        self.faults = FaultPlan()
        self.webhooks: dict[str, Any] = {}
        self.pending: OrderedDict[str, tuple[Event, Change]] = OrderedDict()
        self.overflowed = 0
        self._most_pending = most_pending
        self._journal = journal
        for entry in journal.read():
            self._restore(entry)

    def intent(self, name: str, param: str = "intent") -> Intent:
        """The payment of that name; `param` is where the request named it. Raises Refusal."""
        return _found("payment_intent", self.intents, name, param)

    def refund(self, name: str) -> Refund:
        return _found("refund", self.refunds, name)

    def dispute(self, name: str) -> Dispute:
        return _found("dispute", self.disputes, name)

    def intent_of_charge(self, name: str) -> str:
        return _found("charge", self.charges, name)

    def commit(self, change: Change) -> None:
        self._journal.append({"change": change})
        self._apply(change)

    def delivered(self, events: list[str]) -> None:
        self._record({"delivered": events})

    def save_faults(self) -> None:
        self._journal.append({"faults": self.faults.as_json()})

    def fire(self, tally: str) -> None:
        self._record({"fired": tally})

    def save_webhooks(self, settings: dict[str, Any]) -> None:
        self._record({"webhooks": settings})

    def _record(self, entry: dict[str, Any]) -> None:
        self._journal.append(entry)
        self._restore(entry)

    def _apply(self, change: Change) -> None:
        intent = change.intent
        before = self.intents.get(intent.id)
        if before is None and intent.order_id:
            self.intents_of[intent.order_id].append(intent.id)
        self.intents[intent.id] = intent
        balance = self.balance[intent.currency]
        balance.captured += intent.captured - (before.captured if before else 0)
        if intent.charge:
            self.charges[intent.charge] = intent.id
        if change.refund:
            balance.refunded += self._keep_refund(change.refund)
        if dispute := change.dispute:
            if dispute.id not in self.disputes:
                self.disputes_of[dispute.intent].append(dispute.id)
            self.disputes[dispute.id] = dispute
        if change.key:
            self.keys.store(change.key, change)
        for event in change.events:
            self._expect(event, change)

    def _keep_refund(self, refund: Refund) -> int:
        """Returns by how much the refunded amount changes."""
        before = self.refunds.get(refund.id)
        if before is None:
            self.refunds_of[refund.intent].append(refund.id)
        self.refunds[refund.id] = refund
        return refund.moved - (before.moved if before else 0)

    def _expect(self, event: Event, change: Change) -> None:
        if len(self.pending) >= self._most_pending:
            # Like a provider that gives up: the oldest event is dropped, and the ledger counts it.
            self.pending.popitem(last=False)
            self.overflowed += 1
        self.pending[event.id] = (event, change)

    def _restore(self, entry: dict[str, Any]) -> None:
        if "change" in entry:
            self._apply(from_journal(entry["change"]))
        elif "delivered" in entry:
            for event in entry["delivered"]:
                self.pending.pop(event, None)
        elif "faults" in entry:
            self.faults.restore(entry["faults"])
        elif "fired" in entry:
            self.faults.fire(entry["fired"])
        elif "webhooks" in entry:
            self.webhooks = entry["webhooks"]


def _found(kind: str, objects: Mapping[str, T], name: str, param: str = "") -> T:
    if name not in objects:
        raise missing(kind, name, param or kind)
    return objects[name]
