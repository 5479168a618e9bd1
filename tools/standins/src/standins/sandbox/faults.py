"""What goes wrong on request: planned for every call of an operation, or of a card for one order.

A fault `…_after` comes when the effect is done and stored, so the same idempotency key then shows it, once.
`error_stored` does what Stripe documents: the effect is done, but the 500 is what is stored and replayed, so
only a lookup of the payment shows it. `error_before` leaves no trace, and the key free; so do the refusals
that are the shop's own to mend: `wrong_key`, `no_permission`, `bad_form`.

Counts survive a restart; the dice of a probability start again from the seed.
"""

import random
from typing import Annotated, Literal, get_args

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

Operation = Literal["authorize", "capture", "cancel", "refund", "retrieve", "any"]
Before = Literal["error_before", "wrong_key", "no_permission", "bad_form"]
During = Literal["error_stored", "slow", "decline"]
After = Literal["timeout_after", "disconnect_after", "error_after"]
Kind = Before | During | After
ONCE = get_args(During)
"""What happens while a call is carried out, and not when it is replayed."""


@dataclass(config=ConfigDict(strict=True, extra="forbid"))
class Fault:
    """One thing that goes wrong. `count`: how many requests it still hits (None: all that the odds choose);
    `seconds`: how long a slow answer takes (None: as the sandbox is set); `decline`: a name in DECLINES."""

    operation: Operation
    kind: Kind
    count: Annotated[int, Field(ge=0, le=1_000_000)] | None = None
    probability: Annotated[float, Field(ge=0, le=1)] = 1.0
    seed: Annotated[int, Field(ge=0, le=2**63)] = 0
    seconds: Annotated[float, Field(ge=0, le=600)] | None = None
    decline: str = "chargeDeclined"

    def __post_init__(self) -> None:
        self._dice = random.Random(self.seed)

    def concerns(self, operation: str, *, replay: bool) -> bool:
        if replay and self.kind in ONCE:
            return False
        return self.operation in (operation, "any")

    def hits(self) -> bool:
        if self.count == 0 or (self.probability < 1 and self._dice.random() >= self.probability):
            return False
        if self.count is not None:
            self.count -= 1
        return True
