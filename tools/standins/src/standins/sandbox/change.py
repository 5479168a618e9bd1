"""What one executed request did and was answered: one line of the journal, applied whole or not at all."""

from dataclasses import dataclass
from typing import Any

from standins.sandbox.intents import Dispute, Intent, Refund


@dataclass(frozen=True, slots=True)
class Event:
    id: str
    kind: str


@dataclass(frozen=True, slots=True)
class Change:
    """`at`: seconds since 1970; `error`: the error response of a refused request; `intent`: the payment after
    it."""

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


def from_journal(saved: dict[str, Any]) -> Change:
    saved["intent"] = Intent(**saved["intent"])
    saved["refund"] = Refund(**saved["refund"]) if saved["refund"] else None
    saved["dispute"] = Dispute(**saved["dispute"]) if saved.get("dispute") else None
    earlier = [event] if (event := saved.pop("event", None)) else []  # of a release that had one for each
    saved["events"] = tuple(Event(**event) for event in saved.get("events", earlier))
    return Change(**saved)
