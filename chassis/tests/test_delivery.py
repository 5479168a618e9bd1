"""Who a message comes from and what it is, told by what its sender cannot make up."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import ClassVar
from uuid import UUID

import pytest
from pydantic import BaseModel

from chassis.messaging.envelope import Unreadable
from chassis.saga.delivery import decode, publisher
from chassis.saga.steps import Steps
from chassis.saga.tx import Tx
from chassis.testing import Harness, Published, published

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ID = UUID("6f6b5b1e-0000-4000-8000-000000000001")


class ThingMade(BaseModel):
    type: ClassVar[str] = "thing.made"
    version: ClassVar[int] = 1
    publisher: ClassVar[str] = "maker"
    id: UUID

    @property
    def subject(self) -> UUID:
        return self.id

    @property
    def about(self) -> UUID:
        return self.id


@dataclass(eq=False)
class Seen:
    id: UUID
    source: str


steps = Steps("seller")


@steps.on(ThingMade)
async def note(event: ThingMade, tx: Tx) -> None:
    assert tx.envelope is not None
    tx.add(Seen(event.id, tx.envelope.source))


HONEST = published(ThingMade(id=ID), NOW)


def with_headers(message: Published, **attributes: str) -> Published:
    given = {f"cloudEvents:{name}": value for name, value in attributes.items()}
    return replace(message, headers={**message.headers, **given})


def test_the_user_whom_the_broker_has_checked_is_the_source() -> None:
    assert decode(HONEST, steps).envelope.source == "maker"
    other = replace(with_headers(HONEST, source="/courier"), user_id="courier")
    assert decode(other, steps).envelope.source == "courier"


def test_a_source_that_is_not_the_user_is_a_lie() -> None:
    with pytest.raises(Unreadable, match=r"^the source is not who published it$"):
        decode(with_headers(HONEST, source="/courier"), steps)


def test_where_the_broker_vouches_for_nobody_the_events_own_publisher_is_the_source() -> None:
    """As with what the previous release publishes: its header is not believed either."""
    nobody = replace(with_headers(HONEST, source="/courier"), user_id=None)
    assert decode(nobody, steps).envelope.source == "maker"
    assert publisher(nobody, steps) == "maker"


def test_a_copy_that_came_back_keeps_the_source_that_was_checked() -> None:
    back = replace(with_headers(HONEST, source="/courier"), exchange="", routing_key="seller", user_id=None)
    assert decode(back, steps).envelope.source == "courier"
    assert publisher(back, steps) is None


def test_an_id_is_never_taken_over_whichever_way_it_came() -> None:
    forged = with_headers(HONEST, id=f"thing.lost/{ID}")
    for exchange in ("events", ""):
        with pytest.raises(Unreadable, match=r"^the id is not its type and subject$"):
            decode(replace(forged, exchange=exchange), steps)


async def test_tests_in_memory_read_as_the_consumer_does() -> None:
    harness = Harness(steps)
    with pytest.raises(Unreadable):
        await harness.receive(with_headers(HONEST, id=f"thing.lost/{ID}"))
    assert (harness.rows, harness.inbox) == ({}, set())
    await harness.receive(HONEST)
    assert harness.inbox == {("seller", f"thing.made/{ID}")}
    row = harness.row(Seen, ID)
    assert row is not None
    assert row.source == "maker"
