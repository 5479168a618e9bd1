"""`names` for the previous release. A new release brings its own `names` along."""

from typing import Any

from chassis.broker import Publisher, connect
from chassis.consumer import Consumer
from chassis.harness import Harness
from chassis.outbox import envelope
from shop.participants import PARTICIPANTS

__all__ = [
    "CONNECT",
    "CONSUME",
    "PARTICIPANTS",
    "Consumer",
    "Harness",
    "Publisher",
    "connect",
    "consume",
    "read",
    "routing_keys",
    "wire",
]

CONNECT: dict[str, Any] = {}
CONSUME: dict[str, Any] = {}


def wire(event: Any, time: Any) -> Any:
    return envelope(event, event.said_by, time, "cause/1", None).to_message()


def read(message: Any, steps: Any) -> Any:
    nobody: Any = None
    old: Any = Consumer
    return old(nobody, nobody, nobody, steps, service="peer", batch=1, linger=0)._decode(message).event


def routing_keys(steps: Any) -> list[str]:
    keys: list[str] = steps.heard()
    return keys


async def consume(harness: Any, event: Any) -> None:
    await harness.hear(event)
