"""Dead letters and what was done with them, as an operator reads them on a terminal or a script as JSON."""

import difflib
import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from rich.console import Group
from rich.padding import Padding
from rich.text import Text

from shop.audit.trail import Entry
from shop.audit.trail import document as audited
from shop.dead_letters.desk import Deed
from shop.dead_letters.holding import Seen
from shop.dead_letters.letter import Letter

SHORT_ID = 8
MOST_PREVIEWED = 20
MOST_SHOWN = 16_000
_HEX_LINE = 32
_HEADER = f"  {'letter':8} {'event':18} {'failed at':20} {'tries':>5} {'age':>5}  order"
_DONE = {"replay": "replayed", "edit": "edited and replayed", "discard": "discarded"}
History = Sequence[Entry]


def deaths(letter: Letter, history: History) -> list[Entry]:
    """The replays after which the message has died again."""
    return [
        e
        for e in history
        if e.letter_id != letter.id and e.action != "discard" and e.state in ("published", "done")
    ]


def listed(seen: Seen, histories: Mapping[str, History]) -> Group:
    """A line for each letter and its reason below, queue by queue."""
    lines: list[Text | Padding] = [Text(_HEADER, "dim")] if seen.letters else []
    for queue in dict.fromkeys(letter.queue for letter in seen.letters):
        letters = [letter for letter in seen.letters if letter.queue == queue]
        more = f", {seen.beyond[queue]} more beyond the limit" if queue in seen.beyond else ""
        lines.append(Text(f"{queue}.dead: {_count(len(letters))}{more}", "bold"))
        for letter in letters:
            lines.append(_line(letter))
            lines += (
                Padding(note, (0, 0, 0, 4), expand=False) for note in _notes(letter, histories[letter.id])
            )
    return Group(*(lines or [Text("no dead letters")]))


def shown(letter: Letter, history: History) -> Group:
    """All of one letter: why it died, what helps, its attributes and body, what was done with it before."""
    facts = [
        f"{safe(name)}: {safe(json.dumps(value))}" for name, value in letter.document()["headers"].items()
    ]
    return Group(
        Text(f"{letter.id} in {letter.queue}.dead", "bold"),
        _line(letter),
        *(Padding(note, (0, 0, 0, 4), expand=False) for note in _notes(letter, history)),
        *(Text(line) for line in advice(letter)),
        Text("\nheaders", "bold"),
        *(Text("  " + fact, "dim") for fact in facts),
        Text(f"\nbody ({len(letter.body)} bytes)", "bold"),
        Text(_cut(readable(letter.body))),
        *([Text("\nhistory", "bold"), *map(_remembered, history)] if history else []),
    )


def advice(letter: Letter) -> list[str]:
    """What is going to help, most of the time."""
    step, service = letter.hears, letter.queue.partition(".")[0]
    if step is None and letter.event_type is not None:
        event = safe(letter.event_type)
        lines = [f"{letter.queue} has no step for {event}: replay it once there is one, or discard it."]
    elif letter.step == "decode":
        lines = ["Nobody can read it as it is: edit it, or replay it once the service can."]
    elif letter.step is None:
        lines = [
            f"{service} ended with it in hand each time: see `shop logs {service}`, mend that, replay it."
        ]
    else:
        lines = [f"The step failed: see `shop logs {service}`, mend the cause, replay it."]
    if step is not None and step.compensates:
        lines.append(undoes(letter))
    return lines


def undoes(letter: Letter) -> str:
    """What stays as it is if a compensation is discarded."""
    assert letter.hears is not None
    nudge = f"; `shop saga nudge {letter.order_id}` has it said again" if letter.order_id else ""
    return f"It undoes {letter.hears.compensates}: discarded, that stays done{nudge}."


def preview(deeds: Sequence[Deed]) -> Group:
    """What goes where, and what happens there."""
    lines = [
        Text.assemble((_short(deed.letter), "bold"), "  ", _intended(deed)) for deed in deeds[:MOST_PREVIEWED]
    ]
    warnings = [
        Text(f"{_short(deed.letter)}: {undoes(deed.letter)}", "yellow")
        for deed in deeds
        if deed.action == "discard" and deed.letter.hears and deed.letter.hears.compensates
    ]
    if len(deeds) > MOST_PREVIEWED:
        lines.append(Text(f"… and {len(deeds) - MOST_PREVIEWED} more"))
    return Group(*lines, *warnings)


def difference(before: Letter, after: Letter) -> Group:
    """What an edit changes, attributes included."""
    lines = difflib.unified_diff(_text(before), _text(after), "before", "after", lineterm="", n=2)
    style = {"+": "green", "-": "red", "@": "cyan"}
    return Group(*(Text(line, style.get(line[0], "")) for line in lines))


def document(letter: Letter, history: History) -> dict[str, Any]:
    """A letter as JSON prints it."""
    step = letter.hears
    return {
        "id": letter.id,
        "queue": letter.queue,
        "order_id": letter.order_id,
        "event_type": letter.event_type,
        "failed_step": letter.step,
        "reason": letter.reason,
        "attempts": letter.attempts,
        "first_seen": letter.first_seen and letter.first_seen.isoformat(),
        "step": step and step.name,
        "compensates": step and step.compensates,
        "died_before": len(deaths(letter, history)),
        "message": letter.document(),
        "history": [audited(entry) for entry in history],
    }


def readable(body: bytes) -> str:
    """JSON indented, other text as it is, bytes that are no text as hex."""
    try:
        return safe(json.dumps(json.loads(body), indent=2, ensure_ascii=False))
    except (ValueError, RecursionError):
        pass
    try:
        return safe(body.decode())
    except UnicodeDecodeError:
        return "\n".join(body[n : n + _HEX_LINE].hex(" ") for n in range(0, len(body), _HEX_LINE))


def safe(text: str) -> str:
    """What others wrote must not talk to the terminal."""
    return "".join(c if c.isprintable() or c == "\n" else repr(c)[1:-1] for c in text)


def _cut(text: str) -> str:
    more = len(text) - MOST_SHOWN
    return text if more <= 0 else f"{text[:MOST_SHOWN]}\n… {more} signs more: --json has them all"


def _line(letter: Letter) -> Text:
    event, step = safe(letter.event_type or "?"), safe(letter.step or "–")
    return Text.assemble(
        "  ",
        (_short(letter), "bold"),
        f" {event:18} {step:21}{letter.attempts:>3}× {_age(letter.first_seen):>6} ",
        (letter.order_id or "", "dim"),
    )


def _notes(letter: Letter, history: History) -> Iterator[Text]:
    yield Text(safe(letter.reason), "red")
    if again := deaths(letter, history):
        last = again[-1]
        how = f"{_DONE[last.action]} {_age(last.at)} ago by {last.who}, “{last.why}”"
        yield Text(safe(f"died before: {len(again)}×, last {how}"), "yellow")
    mine = [entry for entry in history if entry.letter_id == letter.id and entry.state != "failed"]
    if mine:
        yield Text(
            f"{mine[-1].action} {mine[-1].state} by {mine[-1].who}: the next action finishes it", "yellow"
        )


def _remembered(entry: Entry) -> Text:
    return Text(f"  {_said_of(entry)}")


def _said_of(entry: Entry) -> str:
    how = _DONE.get(entry.action, entry.action) if entry.state == "done" else f"{entry.action} {entry.state}"
    headers = (entry.before or {}).get("headers", {})
    died = (
        f"; it had died at {headers['failed-step']}: {headers.get('error')}"
        if "failed-step" in headers
        else ""
    )
    return safe(f"{entry.at:%Y-%m-%d %H:%M:%S} UTC {how} by {entry.who}, “{entry.why}”{died}")


def _intended(deed: Deed) -> str:
    letter, target = deed.letter, deed.after
    event = safe(letter.event_type or "a message")
    if target is None:
        return f"{event} out of {letter.queue}.dead for good; it died of: {safe(letter.reason)}"
    step = target.hears
    if letter.step == "decode" and deed.action == "replay":
        does = "which could not read it: it dies again unless the service has changed"
    elif step is None:
        does = "which has no step for it: it dies again"
    else:
        does = f"{step.name}: {step.summary}"
    return f"{safe(target.event_type or 'a message')} → {letter.queue}, {does}"


def _text(letter: Letter) -> list[str]:
    document = letter.document()
    attributes = {k: v for k, v in document.items() if not k.startswith("body") and k != "headers"}
    lines = [f"{k}: {safe(str(v))}" for k, v in sorted((attributes | document["headers"]).items())]
    return [*lines, *readable(letter.body).splitlines()]


def _short(letter: Letter) -> str:
    return letter.id[:SHORT_ID]


def _count(letters: int) -> str:
    return f"{letters} letter{'' if letters == 1 else 's'}"


def _age(since: datetime | None) -> str:
    if since is None:
        return "?"
    seconds = max(0, (datetime.now(UTC) - since).total_seconds())
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= length:
            return f"{seconds // length:.0f} {unit}"
    return f"{seconds:.0f} s"
