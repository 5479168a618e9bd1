"""How a provider call ended, in the shop's words. An outcome that is not known is none: it is waited for."""

from dataclasses import dataclass
from datetime import datetime

from contracts import Money


@dataclass(frozen=True)
class Authorized:
    """So much money is held; `None` is an amount that the shop never asks for."""

    payment_id: str
    held: Money | None


@dataclass(frozen=True)
class ActionRequired:
    """Nothing is held before the shopper has confirmed at her bank's page, whose address is `url`, sealed."""

    payment_id: str
    url: str
    expires_at: datetime


@dataclass(frozen=True)
class Declined:
    """Refused for good: nothing was taken, though a refused capture may leave the hold."""

    code: str


@dataclass(frozen=True)
class Captured:
    """So much money is taken, `None` as above; so ends a void that came too late, too."""

    taken: Money | None


@dataclass(frozen=True)
class Voided:
    """Nothing is held any more, and nothing was taken. `held`: whether money ever was."""

    held: bool = True


@dataclass(frozen=True)
class Refunded:
    """All that was left is given back: so much. `None` where others had given back all of it before, or it is
    as above: then it is to be looked up."""

    amount: Money | None


@dataclass(frozen=True)
class PartRefunded:
    """So much of it is given back, `None` as above."""

    amount: Money | None


@dataclass(frozen=True)
class RefundRefused:
    """The provider will not give it back, for now."""

    code: str


Outcome = Authorized | ActionRequired | Declined | Captured | Voided | Refunded | PartRefunded | RefundRefused
"""How a call that does something ended. What a look finds is `payment.found.Found`."""
