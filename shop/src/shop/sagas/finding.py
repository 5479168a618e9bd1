"""Something that stands, as operators are told of it."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID


@dataclass(frozen=True)
class Finding:
    """`kind` is for scripts; `next` is a command, or several, to be pasted as they stand; `number` is the
    order's, if that is known."""

    kind: str
    order_id: UUID | None
    since: datetime | None
    means: str
    next: str
    number: str | None = None


def nudge_command(order_id: UUID | str) -> str:
    """The command with which every service publishes its events about the order again."""
    return f"shop saga nudge {order_id} --why TEXT"
