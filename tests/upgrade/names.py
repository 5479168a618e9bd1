"""What `peer` needs of the chassis, under the names of this release."""

from typing import Any

from chassis.messaging.broker import Publisher, connect
from chassis.runtime.consumer import Consumer
from chassis.saga.delivery import decode
from chassis.storage.outbox import envelope
from chassis.testing import Harness
from shop.services import PARTICIPANTS

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

CONNECT: dict[str, Any] = {"startup_timeout": 10}
CONSUME: dict[str, Any] = {"batch_bytes": 1_000_000}


def wire(event: Any, time: Any) -> Any:
    """The message in which its publisher sends an event."""
    return envelope(event, event.publisher, time, "cause/1", None).to_message(login=event.publisher)


def read(message: Any, steps: Any) -> Any:
    """The event in a message."""
    return decode(message, steps).event


def routing_keys(steps: Any) -> list[str]:
    keys: list[str] = steps.routing_keys()
    return keys


async def consume(harness: Any, event: Any) -> None:
    await harness.consume(event)
