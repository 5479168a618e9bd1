"""A small service for the tests: the seller consumes `thing.made` and publishes `thing.sold`."""

from dataclasses import dataclass
from typing import ClassVar
from uuid import UUID

from pydantic import BaseModel
from sqlalchemy import Column, Integer, MetaData, Table, Uuid
from sqlalchemy.orm import registry

from chassis.saga.intents import Intents
from chassis.saga.steps import Steps
from chassis.saga.topology import Participant
from chassis.saga.tx import Intent, Tx
from chassis.storage.database import chassis_tables


class ThingMade(BaseModel):
    type: ClassVar[str] = "thing.made"
    version: ClassVar[int] = 1
    publisher: ClassVar[str] = "maker"
    id: UUID
    note: str = ""

    @property
    def subject(self) -> UUID:
        return self.id

    @property
    def about(self) -> UUID:
        return self.subject


class ThingSold(ThingMade):
    type: ClassVar[str] = "thing.sold"


class ThingPaid(ThingMade):
    type: ClassVar[str] = "thing.paid"


@dataclass(eq=False)
class Sale:
    id: UUID
    times: int


metadata = MetaData()
_sale = Table(
    "sale", metadata, Column("id", Uuid, primary_key=True), Column("times", Integer, nullable=False)
)
chassis_tables(metadata)
registry(metadata=metadata).map_imperatively(Sale, _sale)


def selling() -> Participant:
    steps = Steps("seller", locks=lambda event: [(Sale, event.subject)])
    intents = Intents(locks=lambda intent: [(Sale, intent.subject)])

    @steps.on(ThingMade, publishes=[ThingSold])
    async def sell(event: ThingMade, tx: Tx) -> None:
        if event.note == "unsellable":
            raise RuntimeError("nobody wants it")
        sale = await tx.get(Sale, event.id)
        if sale is None:
            tx.add(Sale(event.id, 1))
        else:
            sale.times += 1
        if event.note == "on credit":
            tx.intend(Intent("charge", event.id, {"price": 7}))
        else:
            tx.publish(ThingSold(id=event.id))

    @intents.on_outcome("charge", publishes=[ThingPaid])
    async def note(intent: Intent, outcome: str, tx: Tx) -> None:
        if outcome == "again":
            tx.intend(Intent("charge", intent.subject, {"price": 8}))
            return
        sale = await tx.get(Sale, intent.subject)
        assert sale is not None
        sale.times += 10
        tx.publish(ThingPaid(id=intent.subject, note=outcome))

    return Participant("seller", steps=[steps], intents=intents, publishes=[ThingMade])
