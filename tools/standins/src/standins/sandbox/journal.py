"""An append-only file of JSON lines: the sandbox's only storage, written before anything is answered.

One request is one line and one write, so a killed process leaves whole lines; a power cut may lose the last.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from standins.sandbox.intents import Dispute, Intent, Refund


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


def from_journal(saved: dict[str, Any]) -> Change:
    saved["intent"] = Intent(**saved["intent"])
    saved["refund"] = Refund(**saved["refund"]) if saved["refund"] else None
    saved["dispute"] = Dispute(**saved["dispute"]) if saved.get("dispute") else None
    earlier = [event] if (event := saved.pop("event", None)) else []  # of a release that had one for each
    saved["events"] = tuple(Event(**event) for event in saved.get("events", earlier))
    return Change(**saved)


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
