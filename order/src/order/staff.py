"""What staff do to another's order: who did what, when, and why."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID


@dataclass(eq=False)
class StaffAction:
    """One of them, kept with the change that it made. `about` says what of the order it concerned."""

    action_id: UUID
    order_id: UUID
    action: str
    done_by: UUID
    done_at: datetime
    why: str | None
    about: dict[str, Any]
