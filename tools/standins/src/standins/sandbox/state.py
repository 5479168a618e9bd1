"""The sandbox's state: payments, refunds, idempotency keys and undelivered events."""

from collections import OrderedDict, defaultdict
from dataclasses import dataclass
from typing import Any

from standins.sandbox.change import Change, Event, from_journal
from standins.sandbox.faults import FaultPlan
from standins.sandbox.idempotency import Keys
from standins.sandbox.intents import Dispute, Intent, Refund
from standins.sandbox.journal import Journal


@dataclass(slots=True)
class Balance:
    """Money moved in one currency, counted movement by movement; the ledger compares it with the payments'
    sums."""

    captured: int = 0
    refunded: int = 0


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

    def commit(self, change: Change) -> None:
        self._journal.append({"change": change})
        self._apply(change)

    def delivered(self, events: list[str]) -> None:
        self._journal.append({"delivered": events})
        self._settle(events)

    def save_faults(self) -> None:
        self._journal.append({"faults": self.faults.as_json()})

    def fire(self, tally: str) -> None:
        self._journal.append({"fired": tally})
        self.faults.fire(tally)

    def save_webhooks(self, settings: dict[str, Any]) -> None:
        self._journal.append({"webhooks": settings})
        self.webhooks = settings

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
        if change.dispute:
            self._keep_dispute(change.dispute)
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

    def _keep_dispute(self, dispute: Dispute) -> None:
        if dispute.id not in self.disputes:
            self.disputes_of[dispute.intent].append(dispute.id)
        self.disputes[dispute.id] = dispute

    def _expect(self, event: Event, change: Change) -> None:
        if len(self.pending) >= self._most_pending:
            # Like a provider that gives up: the oldest event is dropped, and the ledger counts it.
            self.pending.popitem(last=False)
            self.overflowed += 1
        self.pending[event.id] = (event, change)

    def _settle(self, events: list[str]) -> None:
        for event in events:
            self.pending.pop(event, None)

    def _restore(self, entry: dict[str, Any]) -> None:
        if "change" in entry:
            self._apply(from_journal(entry["change"]))
        elif "delivered" in entry:
            self._settle(entry["delivered"])
        elif "faults" in entry:
            self.faults.restore(entry["faults"])
        elif "fired" in entry:
            self.faults.fire(entry["fired"])
        elif "webhooks" in entry:
            self.webhooks = entry["webhooks"]
