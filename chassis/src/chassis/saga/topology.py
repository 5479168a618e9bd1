"""The broker's topology, generated from the registered steps: the content of `definitions.json`.

Services declare nothing; the broker imports this document at boot. Source of each rule: RabbitMQ's
documentation on definitions, quorum queues, at-least-once dead-lettering and topic authorisation.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from chassis.saga.intents import Intents
from chassis.saga.steps import Steps
from chassis.saga.tx import Event

VHOST = "/"
EVENTS_EXCHANGE = "events"
LADDER = ("1s", "10s", "60s")
DEAD = "dead"
# High enough that the broker never dead-letters a message by itself. When a process crashes repeatedly, the
# broker counts a delivery for every message that it had prefetched, including those that it never handled;
# the consumer finds the one that crashes it. Displaying a dead letter counts as a delivery, too. If no limit
# is set, RabbitMQ 4.x uses 20; -1 would mean "unlimited", but 3.10 refuses it.
DELIVERY_LIMIT = 1_000_000_000
# A full queue refuses further messages: events then wait in their publishers' outboxes, and dead letters go
# to the ladder's longest delay.
ROOM = {"max-length": 1_000_000, "max-length-bytes": 2 * 1024**3}
ROOM_FOR_DEAD = {"max-length": 100_000, "max-length-bytes": 512 * 1024**2}
# For each broker user, that is, for all copies of one service together; a copy needs two connections. They
# keep one service from using up all of the broker's connections.
LIMITS = {"max-connections": 100, "max-channels": 500}
_MILLISECONDS = {"1s": 1_000, "10s": 10_000, "60s": 60_000}
_AT_LEAST_ONCE = {"dead-letter-strategy": "at-least-once", "overflow": "reject-publish"}


@dataclass(frozen=True)
class Participant:
    """A service as the broker sees it: the queues that it consumes and the events that it publishes.

    `name`: the service's name, and its user at the broker.
    `steps`: its steps, queue by queue.
    `intents`: its remote calls.
    `publishes`: the types of events that it publishes outside steps and outcomes, for example from requests.
    """

    name: str
    steps: Sequence[Steps] = ()
    intents: Intents | None = None
    publishes: Sequence[type[Event]] = ()

    def published_keys(self) -> list[str]:
        """Every routing key that the service may publish with."""
        from_steps = [event for steps in self.steps for step in steps for event in step.publishes]
        from_outcomes = [event for outcome in self.intents or () for event in outcome.publishes]
        return sorted({event.type for event in (*self.publishes, *from_steps, *from_outcomes)})


def retry_exchange(queue: str) -> str:
    return f"{queue}.retry"


def definitions(participants: Sequence[Participant]) -> dict[str, Any]:
    """The definitions document, with empty password hashes: each deployment fills in its own."""
    every_steps = [steps for participant in participants for steps in participant.steps]
    queues = [steps.queue for steps in every_steps]
    return {
        "vhosts": [{"name": VHOST}],
        "users": [{"name": p.name, "password_hash": "", "tags": [], "limits": LIMITS} for p in participants],
        "permissions": [_permission(p) for p in participants],
        "topic_permissions": [_topic_permission(p) for p in participants],
        "exchanges": [
            _exchange(EVENTS_EXCHANGE, "topic"),
            *(_exchange(retry_exchange(queue), "direct") for queue in queues),
        ],
        "queues": [_queue(name) for queue in queues for name in _with_retry_queues(queue)],
        "bindings": [binding for steps in every_steps for binding in _bindings(steps)],
        "policies": [policy for queue in queues for policy in _policies(queue)],
    }


def _with_retry_queues(queue: str) -> list[str]:
    return [queue, *(f"{queue}.retry.{delay}" for delay in LADDER), f"{queue}.{DEAD}"]


def _queue(name: str) -> dict[str, Any]:
    arguments = {"x-queue-type": "quorum"}
    return {"name": name, "vhost": VHOST, "durable": True, "auto_delete": False, "arguments": arguments}


def _exchange(name: str, kind: str) -> dict[str, Any]:
    return {
        "name": name,
        "vhost": VHOST,
        "type": kind,
        "durable": True,
        "auto_delete": False,
        "internal": False,
        "arguments": {},
    }


def _bindings(steps: Steps) -> list[dict[str, Any]]:
    retry = retry_exchange(steps.queue)
    return [
        *(_binding(EVENTS_EXCHANGE, steps.queue, key) for key in steps.routing_keys()),
        *(_binding(retry, f"{steps.queue}.retry.{delay}", delay) for delay in LADDER),
        _binding(retry, f"{steps.queue}.{DEAD}", DEAD),
    ]


def _binding(source: str, queue: str, key: str) -> dict[str, Any]:
    return {
        "source": source,
        "vhost": VHOST,
        "destination": queue,
        "destination_type": "queue",
        "routing_key": key,
        "arguments": {},
    }


def _policies(queue: str) -> list[dict[str, Any]]:
    to_queue = {"dead-letter-exchange": "", "dead-letter-routing-key": queue}
    to_dead = {"dead-letter-exchange": retry_exchange(queue), "dead-letter-routing-key": DEAD}
    full = {**ROOM, **_AT_LEAST_ONCE}
    dead = {"delivery-limit": DELIVERY_LIMIT, **ROOM_FOR_DEAD, "overflow": "reject-publish"}
    return [
        _policy(queue, {**to_dead, "delivery-limit": DELIVERY_LIMIT, **full}),
        *(
            _policy(f"{queue}.retry.{d}", {**to_queue, "message-ttl": _MILLISECONDS[d], **full})
            for d in LADDER
        ),
        _policy(f"{queue}.{DEAD}", dead),
    ]


def _policy(queue: str, definition: dict[str, Any]) -> dict[str, Any]:
    return {
        "vhost": VHOST,
        "name": queue,
        "pattern": f"^{_escape(queue)}$",
        "apply-to": "queues",  # RabbitMQ 3.10 and 3.11 do not know `quorum_queues`
        "definition": definition,
        "priority": 1,
    }


def _permission(participant: Participant) -> dict[str, Any]:
    queues = [steps.queue for steps in participant.steps]
    # A service without events may not write to the exchange at all: `_one_of` of no keys is `^$`, which would
    # still allow the empty routing key.
    events = [EVENTS_EXCHANGE] if participant.published_keys() else []
    return {
        "user": participant.name,
        "vhost": VHOST,
        "configure": "^$",
        "write": _one_of([*events, *(retry_exchange(queue) for queue in queues)]),
        "read": _one_of(queues),
    }


def _topic_permission(participant: Participant) -> dict[str, Any]:
    return {
        "user": participant.name,
        "vhost": VHOST,
        "exchange": EVENTS_EXCHANGE,
        "write": _one_of(participant.published_keys()),
        "read": "^$",
    }


def _one_of(names: Sequence[str]) -> str:
    return f"^({'|'.join(_escape(name) for name in names)})$" if names else "^$"


def _escape(name: str) -> str:
    return name.replace(".", "\\.")
