"""The link in a guest's receipt, by which an account claims the order."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Self
from uuid import UUID

from pydantic import SecretStr

from chassis.http.tickets import Tickets
from contracts import CLAIM_PURPOSE, OrderClaim


@dataclass(frozen=True)
class ClaimLinks:
    """`link` is the page that claims, with `{token}` in it; it is good for so many days after its mail was
    written."""

    link: str
    days: int
    tickets: Tickets

    @classmethod
    def of(cls, link: str, days: int, keys: SecretStr) -> Self:
        """With a key that is derived from those of the setting (see `SealKeys`)."""
        return cls(link, days, Tickets.of(keys, CLAIM_PURPOSE))

    def to(self, order_id: UUID, written_at: datetime) -> str:
        """The order's link; the same whenever it is asked for."""
        content = OrderClaim(order_id=order_id).model_dump(mode="json")
        until = written_at + timedelta(days=self.days)
        return self.link.format(token=self.tickets.issue(content, until.timestamp()))
