"""What a mailbox is set to do: its settings from the environment, and the faults of the next messages."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

Port = Annotated[int, Field(ge=0)]
Count = Annotated[int, Field(ge=1)]


@dataclass(frozen=True, slots=True)
class Settings:
    """`keep` is how many messages are kept, `largest` the size of one in bytes, `idle` in seconds."""

    folder: Path
    host: str = "127.0.0.1"
    port: Port = 18008
    smtp_port: Port = 18009
    keep: Count = 10_000
    largest: Count = 1_048_576
    recipients: Count = 100
    connections: Count = 200
    idle: Annotated[float, Field(gt=0)] = 60.0


VARIABLES = {name: f"MAILBOX_{name.upper()}" for name in Settings.__dataclass_fields__} | {
    name: name.upper() for name in ("host", "port", "smtp_port")
}


@dataclass(slots=True, config=ConfigDict(strict=True, extra="forbid"))
class Fault:
    """`defer` answers 451 and `reject` 550 to a whole message, `disconnect` hangs up on it,
    `accept_then_disconnect` keeps it and hangs up without an answer, and `slow` keeps it and answers after
    `seconds`. It hits the next `count` messages to an address with `recipient` in it."""

    kind: Literal["defer", "reject", "disconnect", "accept_then_disconnect", "slow"]
    count: Count = 1
    recipient: str = ""
    seconds: Annotated[float, Field(ge=0, le=3600)] = 0.0


def take_fault(planned: list[Fault], recipients: list[str]) -> Fault | None:
    """The fault that hits this message; its count goes down."""
    for fault in planned:
        if any(fault.recipient in recipient for recipient in recipients):
            fault.count -= 1
            if fault.count == 0:
                planned.remove(fault)
            return fault
    return None
