"""The documents generated from the code: schemas, AsyncAPI, the saga table, the broker's topology."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import yaml

from chassis.saga.steps import Step, Steps
from chassis.saga.topology import Participant, definitions
from contracts import EVENTS, Event, OrderCreated, SagaNudged
from contracts.asyncapi import asyncapi
from contracts.schema import breaking_changes, committed, schemas
from shop.errors import ShopError

Consumer = tuple[Participant, Steps, Step]


def documents(participants: Sequence[Participant]) -> dict[str, str]:
    """Path below the project's root to text."""
    return {
        **{f"contracts/schemas/{name}": text for name, text in schemas().items()},
        "contracts/asyncapi.yaml": _asyncapi(participants),
        "SAGA.md": saga_table(participants),
        "deploy/rabbitmq/definitions.json": json.dumps(definitions(participants), indent=2) + "\n",
    }


def stale(root: Path, participants: Sequence[Participant]) -> list[str]:
    """Which committed documents differ from the code."""
    generated = documents(participants)
    written = {name: (root / name).read_text() for name in generated if (root / name).exists()}
    differing = [name for name, text in generated.items() if written.get(name) != text]
    kept = {f"contracts/schemas/{name}" for name in committed(root / "contracts/schemas")}
    return sorted({*differing, *(kept - generated.keys())})


def incompatible(root: Path) -> list[str]:
    """How the models break consumers that were built against the committed schemas."""
    new = {name: json.loads(text) for name, text in schemas().items()}
    found = []
    for name, old in committed(root / "contracts/schemas").items():
        changes = breaking_changes(old, new[name]) if name in new else ["/: was removed"]
        found += [f"{name} {change}" for change in changes]
    return found


def write(root: Path, participants: Sequence[Participant]) -> list[str]:
    """Write the documents. Returns those that changed. Raises ShopError if a schema would break."""
    if broken := incompatible(root):
        raise ShopError("give the event a new version instead: " + "; ".join(broken))
    changed = stale(root, participants)
    for name, text in documents(participants).items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return changed


def publishers(event: type[Event], participants: Sequence[Participant]) -> list[str]:
    """The event's own publisher, and other services that may publish it."""
    others = (p.name for p in participants if event.type in p.published_keys())
    return list(dict.fromkeys([event.publisher, *others]))


def saga_table(participants: Sequence[Participant]) -> str:
    """Every event: its publishers, the steps that consume it, and the compensations."""
    consumers = [(p, steps, step) for p in participants for steps in p.steps for step in steps]
    events = in_sequence(participants)
    rows = [_row(event.type, ", ".join(publishers(event, participants)), consumers) for event in events]
    calls = [
        f"| {p.name} | `{outcome.kind}` | {_types(outcome.publishes)} |"
        for p in participants
        for outcome in p.intents or ()
    ]
    return _SAGA.format(rows="\n".join(rows), calls="\n".join(calls))


def _row(type_: str, published_by: str, consumers: Sequence[Consumer]) -> str:
    mine = [(p, steps, step) for p, steps, step in consumers if step.event.type == type_]
    compensations = [
        f"{p.name}: `{step.name}` compensates `{step.compensates}`" for p, _, step in mine if step.compensates
    ]
    lines = [_consumer(p, steps, step) for p, steps, step in mine]
    return (
        f"| `{type_}` | {published_by} | {'<br>'.join(lines) or '–'} | {'<br>'.join(compensations) or '–'} |"
    )


def in_sequence(participants: Sequence[Participant]) -> list[type[Event]]:
    """All events: those of a checkout as one leads to the next, then the others as `contracts` lists them."""
    found: list[type[Event]] = [OrderCreated]
    for event in found:
        found += [after for after in _led_to(event, participants) if after not in found]
    return [*found, *(event for event in EVENTS.values() if event not in found)]


def _led_to(event: type[Event], participants: Sequence[Participant]) -> list[type[Event]]:
    """What steps for this event publish, and what the calls of services with such steps lead to."""
    if event is SagaNudged:
        return []  # any event may be published again
    led_to: list[Any] = []
    for participant in participants:
        steps = [found for one in participant.steps if (found := one.find(event.type, event.version))]
        led_to += [after for step in steps for after in step.publishes]
        if steps:
            led_to += [after for outcome in participant.intents or () for after in outcome.publishes]
    return list(dict.fromkeys(led_to))


def _consumer(participant: Participant, steps: Steps, step: Step) -> str:
    if steps.queue != participant.name:
        return f"({steps.queue})"
    published = f" → {_types(step.publishes)}" if step.publishes else ""
    return f"**{participant.name}** `{step.name}`: {step.summary.rstrip('.')}{published}"


def _types(events: Iterable[Any]) -> str:
    return ", ".join(f"`{event.type}`" for event in events) or "–"


def _asyncapi(participants: Sequence[Participant]) -> str:
    consumed_by: dict[str, list[str]] = {}
    queues: dict[str, str] = {}
    for participant in participants:
        for steps in participant.steps:
            queues[steps.queue] = participant.name
            for key in steps.routing_keys():
                consumed_by.setdefault(key, []).append(steps.queue)
    published_by = {event.type: publishers(event, participants) for event in EVENTS.values()}
    document = asyncapi(published_by, consumed_by, queues)
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=110)


_SAGA = """\
# The saga

Generated from the registered steps by `shop generate`; a test fails when it differs from the code. Every
step may receive its events in any order and any number of times.

| event | published by | consumed by: step → events that it may publish | compensation |
|---|---|---|---|
{rows}

## Remote calls

Committed as intents before they are made, made outside any transaction, repeated with the same key until
their outcome is known.

| service | call | events that its outcome may publish |
|---|---|---|
{calls}
"""
