"""Dead letters and the actions on them, rendered for a terminal or as JSON."""

import difflib
import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from rich.console import Group
from rich.padding import Padding
from rich.text import Text

from shop.audit.trail import Entry
from shop.dead_letters.dead_letter import DeadLetter
from shop.dead_letters.deliveries import Listing
from shop.dead_letters.session import Action
from shop.sagas.snapshot import nudge_command
from shop.terminal import printable

SHORT_ID = 8
MOST_PREVIEWED = 20
MOST_SHOWN = 16_000
_HEX_LINE = 32
_HEADER = f"  {'id':8} {'event':18} {'failed at':20} {'tries':>5} {'age':>5}  order"
_DONE = {"replay": "replayed", "edit": "edited and replayed", "discard": "discarded"}
History = Sequence[Entry]


def earlier_failures(dead_letter: DeadLetter, history: History) -> list[Entry]:
    """Earlier replays of the same message, after which it was dead-lettered again."""
    return [
        e
        for e in history
        if e.letter_id != dead_letter.id and e.action != "discard" and e.state in ("published", "done")
    ]


def render_list(listing: Listing, histories: Mapping[str, History]) -> Group:
    """For each queue, a line for each dead letter with its reason below."""
    lines: list[Text | Padding] = [Text(_HEADER, "dim")] if listing.dead_letters else []
    for queue in dict.fromkeys(dead_letter.queue for dead_letter in listing.dead_letters):
        dead_letters = [dead_letter for dead_letter in listing.dead_letters if dead_letter.queue == queue]
        more = f", {listing.beyond[queue]} more beyond the limit" if queue in listing.beyond else ""
        lines.append(
            Text(
                f"{queue}.dead: {len(dead_letters)} dead letter{'s' * (len(dead_letters) != 1)}{more}", "bold"
            )
        )
        for dead_letter in dead_letters:
            lines.append(_line(dead_letter))
            lines += (
                Padding(note, (0, 0, 0, 4), expand=False)
                for note in _notes(dead_letter, histories[dead_letter.id])
            )
    return Group(*(lines or [Text("no dead letters")]))


def render_details(dead_letter: DeadLetter, history: History) -> Group:
    """All of one dead letter: reason, advice, headers, body, and earlier actions."""
    facts = [
        f"{printable(name)}: {printable(json.dumps(value))}"
        for name, value in dead_letter.document()["headers"].items()
    ]
    body = readable(dead_letter.body)
    more = len(body) - MOST_SHOWN
    return Group(
        Text(f"{dead_letter.id} in {dead_letter.queue}.dead", "bold"),
        _line(dead_letter),
        *(Padding(note, (0, 0, 0, 4), expand=False) for note in _notes(dead_letter, history)),
        *(Text(line) for line in advise(dead_letter)),
        Text("\nheaders", "bold"),
        *(Text("  " + fact, "dim") for fact in facts),
        Text(f"\nbody ({len(dead_letter.body)} bytes)", "bold"),
        Text(body[:MOST_SHOWN]),
        *([Text(f"… {more} more characters: --json prints them all")] if more > 0 else []),
        *([Text("\nhistory", "bold")] if history else []),
        *(Text(f"  {_entry_line(entry)}") for entry in history),
    )


def advise(dead_letter: DeadLetter) -> list[str]:
    """What to do with it, in most cases."""
    step, service = dead_letter.step, dead_letter.queue.partition(".")[0]
    if step is None and dead_letter.event_type is not None:
        reason = f"{dead_letter.queue} has no step for {printable(dead_letter.event_type)}"
        lines = [f"{reason}: replay it after a release that has one, or discard it."]
    elif dead_letter.failed_step == "decode":
        lines = ["The service cannot decode it: edit it, or replay it after a release that can."]
    elif dead_letter.failed_step is None:
        lines = [f"{service} crashed at each delivery: see `shop logs {service}`, fix the cause, replay it."]
    else:
        lines = [f"The step failed: see `shop logs {service}`, fix the cause, replay it."]
    if step is not None and step.compensates:
        lines.append(compensation_warning(dead_letter))
    return lines


def compensation_warning(dead_letter: DeadLetter) -> str:
    """What is not compensated if this message is discarded."""
    assert dead_letter.step is not None
    nudge = f"; `{nudge_command(dead_letter.order_id)}` republishes it" if dead_letter.order_id else ""
    return f"It compensates {dead_letter.step.compensates}, which stays in effect if it is discarded{nudge}."


def render_preview(actions: Sequence[Action]) -> Group:
    """What each action publishes or removes, and what happens next."""
    lines = [
        Text.assemble((_short(action.dead_letter), "bold"), "  ", _effect(action))
        for action in actions[:MOST_PREVIEWED]
    ]
    warnings = [
        Text(f"{_short(action.dead_letter)}: {compensation_warning(action.dead_letter)}", "yellow")
        for action in actions
        if action.action == "discard" and action.dead_letter.step and action.dead_letter.step.compensates
    ]
    if len(actions) > MOST_PREVIEWED:
        lines.append(Text(f"… and {len(actions) - MOST_PREVIEWED} more"))
    return Group(*lines, *warnings)


def render_difference(before: DeadLetter, after: DeadLetter) -> Group:
    """A diff of an edit: headers, attributes and body."""
    lines = difflib.unified_diff(_text(before), _text(after), "before", "after", lineterm="", n=2)
    style = {"+": "green", "-": "red", "@": "cyan"}
    return Group(*(Text(line, style.get(line[0], "")) for line in lines))


def document(dead_letter: DeadLetter, history: History) -> dict[str, Any]:
    """The dead letter as `--json` prints it."""
    step = dead_letter.step
    return {
        "id": dead_letter.id,
        "queue": dead_letter.queue,
        "order_id": dead_letter.order_id,
        "event_type": dead_letter.event_type,
        "failed_step": dead_letter.failed_step,
        "reason": dead_letter.reason,
        "attempts": dead_letter.attempts,
        "first_seen": dead_letter.first_failed_at,
        "step": step and step.name,
        "compensates": step and step.compensates,
        "died_before": len(earlier_failures(dead_letter, history)),
        "message": dead_letter.document(),
        "history": list(history),
    }


def readable(body: bytes) -> str:
    """JSON indented, other text unchanged, binary as hex."""
    try:
        return printable(json.dumps(json.loads(body), indent=2, ensure_ascii=False))
    except (ValueError, RecursionError):
        pass
    try:
        return printable(body.decode())
    except UnicodeDecodeError:
        return "\n".join(body[n : n + _HEX_LINE].hex(" ") for n in range(0, len(body), _HEX_LINE))


def _line(dead_letter: DeadLetter) -> Text:
    event, step = printable(dead_letter.event_type or "?"), printable(dead_letter.failed_step or "–")
    return Text.assemble(
        "  ",
        (_short(dead_letter), "bold"),
        f" {event:18} {step:21}{dead_letter.attempts:>3}× {_age(dead_letter.first_failed_at):>6} ",
        (dead_letter.order_id or "", "dim"),
    )


def _notes(dead_letter: DeadLetter, history: History) -> Iterator[Text]:
    yield Text(printable(dead_letter.reason), "red")
    if again := earlier_failures(dead_letter, history):
        last = again[-1]
        how = f"{_DONE[last.action]} {_age(last.at)} ago by {last.who}, “{last.why}”"
        yield Text(printable(f"dead-lettered before: {len(again)}×, last {how}"), "yellow")
    mine = [entry for entry in history if entry.letter_id == dead_letter.id and entry.state != "failed"]
    if mine:
        last = mine[-1]
        yield Text(f"{last.action} {last.state} by {last.who}: the next command finishes it", "yellow")


def _entry_line(entry: Entry) -> str:
    how = _DONE.get(entry.action, entry.action) if entry.state == "done" else f"{entry.action} {entry.state}"
    headers = (entry.before or {}).get("headers", {})
    failure = (
        f"; it had failed at {headers['failed-step']}: {headers.get('error')}"
        if "failed-step" in headers
        else ""
    )
    return printable(f"{entry.at:%Y-%m-%d %H:%M:%S} UTC {how} by {entry.who}, “{entry.why}”{failure}")


def _effect(action: Action) -> str:
    dead_letter, after = action.dead_letter, action.after
    if after is None:
        event, error = printable(dead_letter.event_type or "a message"), printable(dead_letter.reason)
        return f"{event} removed from {dead_letter.queue}.dead for good; its error: {error}"
    step = after.step
    if dead_letter.failed_step == "decode" and action.action == "replay":
        does = "which could not decode it: it fails again unless the service has changed"
    elif step is None:
        does = "which has no step for it: it will be dead-lettered again"
    else:
        does = f"{step.name}: {step.summary}"
    return f"{printable(after.event_type or 'a message')} → {dead_letter.queue}, {does}"


def _text(dead_letter: DeadLetter) -> list[str]:
    document = dead_letter.document()
    attributes = {k: v for k, v in document.items() if not k.startswith("body") and k != "headers"}
    lines = [f"{k}: {printable(str(v))}" for k, v in sorted((attributes | document["headers"]).items())]
    return [*lines, *readable(dead_letter.body).splitlines()]


def _short(dead_letter: DeadLetter) -> str:
    return dead_letter.id[:SHORT_ID]


def _age(since: datetime | None) -> str:
    if since is None:
        return "?"
    seconds = max(0, (datetime.now(UTC) - since).total_seconds())
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= length:
            return f"{seconds // length:.0f} {unit}"
    return f"{seconds:.0f} s"
