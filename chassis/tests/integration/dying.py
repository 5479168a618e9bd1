"""The seller as a process of its own, which crashes at a deadly message. Run by test_crash_loop."""

import asyncio
import os
from typing import Any, ClassVar
from uuid import UUID

from pydantic import BaseModel
from sqlalchemy import text

from chassis.runtime.settings import ServiceSettings, load
from chassis.runtime.worker import Worker
from chassis.saga.steps import Steps
from chassis.saga.topology import Participant
from chassis.storage.database import Transactions, connect

steps = Steps("seller")


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
        return self.id


@steps.on(ThingMade)
async def sell(event: ThingMade, tx: Any) -> None:
    if event.note == "deadly":
        os._exit(9)
    await tx.session.execute(text("INSERT INTO sale (id, times) VALUES (:id, 1)"), {"id": event.id})


async def main() -> None:
    settings = load(ServiceSettings)
    engine = connect(settings.database_url, pool_size=5, statement_timeout=5)
    worker = Worker(
        Participant("seller", steps=[steps]), settings, Transactions(engine, "seller", lease=10), None, ()
    )
    await worker.start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
