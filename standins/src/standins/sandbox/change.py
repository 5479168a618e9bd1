"""What one executed request did and was answered: one line of the journal, applied whole or not at all."""

from dataclasses import dataclass
from typing import Any

from standins.sandbox.intents import Intent, Refund


@dataclass(frozen=True, slots=True)
class Event:
    id: str
    kind: str


@dataclass(frozen=True, slots=True)
class Change:
    """`at`: seconds since 1970; `error`: what a refused request was told; `intent`: the payment after it."""

    at: int
    operation: str
    request: str
    key: str | None
    fingerprint: str
    status: int
    intent: Intent
    refund: Refund | None = None
    error: dict[str, Any] | None = None
    event: Event | None = None


def from_journal(saved: dict[str, Any]) -> Change:
    saved["intent"] = Intent(**saved["intent"])
    saved["refund"] = Refund(**saved["refund"]) if saved["refund"] else None
    saved["event"] = Event(**saved["event"]) if saved["event"] else None
    return Change(**saved)
