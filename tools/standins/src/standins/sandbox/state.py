"""The sandbox's state (payments, refunds, idempotency keys, undelivered events), and the journal of it.

The journal is an append-only file of JSON lines, written before anything is answered. One request is one line
and one write, so a killed process leaves whole lines; a power cut may lose the last.
"""

import os
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import orjson
from pydantic import TypeAdapter

from standins.sandbox.errors import Refusal, missing
from standins.sandbox.faults import Fault
from standins.sandbox.intents import Dispute, Intent, Refund

KEPT = 24 * 3600
LONGEST = 255

T = TypeVar("T", Intent, Refund, Dispute)


@dataclass(frozen=True, slots=True)
class Event:
    id: str
    kind: str


@dataclass(frozen=True, slots=True)
class Change:
    """What one executed request did and was answered, applied whole or not at all. `at`: seconds since 1970;
    `error`: the error response of a refused request; `intent`: the payment after it."""

    at: int
    operation: str
    request: str
    key: str | None
    fingerprint: str
    status: int
    intent: Intent
    refund: Refund | None = None
    error: dict[str, Any] | None = None
    dispute: Dispute | None = None
    events: tuple[Event, ...] = ()


_CHANGE = TypeAdapter(Change)


def from_journal(saved: dict[str, Any]) -> Change:
    if event := saved.pop("event", None):  # of a release that had one for each
        saved["events"] = [event]
    return _CHANGE.validate_python(saved)


class Unreadable(Exception):
    """The journal holds something that this sandbox did not write."""


class Journal:
    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)

    def read(self) -> Iterator[dict[str, Any]]:
        """All lines; a torn last one, whose request was never answered, is cut off."""
        whole = 0
        with self.path.open("rb") as lines:
            for number, line in enumerate(lines, 1):
                if not line.endswith(b"\n"):
                    os.truncate(self.path, whole)
                    return
                whole += len(line)
                try:
                    entry = orjson.loads(line)
                except orjson.JSONDecodeError as problem:
                    raise Unreadable(f"{self.path}:{number} is no JSON line ({problem})") from problem
                if not isinstance(entry, dict):
                    raise Unreadable(f"{self.path}:{number} is no journal entry")
                yield entry

    def append(self, entry: object) -> None:
        line = orjson.dumps(entry, option=orjson.OPT_APPEND_NEWLINE)
        if os.write(self._file, line) != len(line):
            raise OSError(f"{self.path} took only a part of a line: is the disk full?")


class Objects(dict[str, T]):
    """All objects of one kind by their ids, and those of each owner in the order in which they were made."""

    def __init__(self, kind: str, owner: Callable[[T], str | None]) -> None:
        super().__init__()
        self._kind = kind
        self._owner: Callable[[T], str | None] = owner
        self._of: defaultdict[str, list[str]] = defaultdict(list)

    def find(self, name: str, param: str = "") -> T:
        """The object of that name; `param` is where the request named it. Raises Refusal."""
        if name not in self:
            raise missing(self._kind, name, param or self._kind)
        return self[name]

    def of(self, owner: str) -> list[T]:
        return [self[name] for name in self._of.get(owner, ())]

    def keep(self, one: T) -> T | None:
        """Returns what it was before, if it was there."""
        before = self.get(one.id)
        if before is None and (owner := self._owner(one)):
            self._of[owner].append(one.id)
        self[one.id] = one
        return before


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

    def start(self, key: str | None, fingerprint: str) -> None:
        if key:
            self._running[key] = fingerprint

    def finish(self, key: str | None) -> None:
        if key:
            del self._running[key]

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
        self.intents: Objects[Intent] = Objects("payment_intent", lambda intent: intent.order_id)
        self.refunds: Objects[Refund] = Objects("refund", lambda refund: refund.intent)
        self.disputes: Objects[Dispute] = Objects("dispute", lambda dispute: dispute.intent)
        self.charges: dict[str, str] = {}
        # Money moved in each currency, counted move by move; the ledger compares it with the payments' sums.
        self.captured: Counter[str] = Counter()
        self.refunded: Counter[str] = Counter()
        self.keys = Keys()
        self.faults: list[Fault] = []
        self.fired: Counter[str] = Counter()
        self.webhooks: dict[str, Any] = {}
        self.pending: OrderedDict[str, tuple[Event, Change]] = OrderedDict()
        self.overflowed = 0
        self._most_pending = most_pending
        self._journal = journal
        for entry in journal.read():
            for kind, content in entry.items():
                self._restore(kind, content)

    def intent_of_charge(self, name: str) -> Intent:
        if name not in self.charges:
            raise missing("charge", name, "charge")
        return self.intents[self.charges[name]]

    def commit(self, change: Change) -> None:
        self._journal.append({"change": change})
        self._apply(change)

    def save_faults(self) -> None:
        self._journal.append({"faults": self.faults})

    def record(self, kind: str, content: Any) -> None:
        """Journal and apply what is no change: `fired` faults, `delivered` events, `webhooks` settings."""
        self._journal.append({kind: content})
        self._restore(kind, content)

    def _apply(self, change: Change) -> None:
        intent = change.intent
        before = self.intents.keep(intent)
        self.captured[intent.currency] += intent.captured - (before.captured if before else 0)
        if intent.charge:
            self.charges[intent.charge] = intent.id
        if refund := change.refund:
            earlier = self.refunds.keep(refund)
            self.refunded[intent.currency] += refund.moved - (earlier.moved if earlier else 0)
        if change.dispute:
            self.disputes.keep(change.dispute)
        if change.key:
            self.keys.store(change.key, change)
        for event in change.events:
            if len(self.pending) >= self._most_pending:
                # Like a provider that gives up: the oldest event is dropped, and the ledger counts it.
                self.pending.popitem(last=False)
                self.overflowed += 1
            self.pending[event.id] = (event, change)

    def _restore(self, kind: str, content: Any) -> None:
        match kind:
            case "change":
                self._apply(from_journal(content))
            case "delivered":
                for event in content:
                    self.pending.pop(event, None)
            case "faults":
                self.faults = [Fault(**fault) for fault in content]
            case "fired":
                self.fired[content] += 1
            case "webhooks":
                self.webhooks = content
