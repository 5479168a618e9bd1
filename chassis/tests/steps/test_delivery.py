"""A message's source and type, by attributes that its sender cannot forge."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from uuid import UUID

import pytest

from chassis.messaging.envelope import Unreadable
from chassis.saga.delivery import decode, publisher
from chassis.saga.steps import Steps
from chassis.saga.tx import Tx
from chassis.testing import Harness, Published, published

from ..things import ThingMade

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ID = UUID("6f6b5b1e-0000-4000-8000-000000000001")


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


def test_the_authenticated_user_is_the_source() -> None:
    assert decode(HONEST, steps).envelope.source == "maker"
    other = replace(with_headers(HONEST, source="/courier"), user_id="courier")
    assert decode(other, steps).envelope.source == "courier"


def test_a_source_that_is_not_the_authenticated_user_is_rejected() -> None:
    with pytest.raises(Unreadable, match=r"^the source is not who published it$"):
        decode(with_headers(HONEST, source="/courier"), steps)


def test_without_an_authenticated_user_the_events_publisher_is_the_source() -> None:
    """As the previous release publishes: the header is not trusted then, either."""
    anonymous = replace(with_headers(HONEST, source="/courier"), user_id=None)
    assert decode(anonymous, steps).envelope.source == "maker"
    assert publisher(anonymous, steps) == "maker"


def test_a_retried_copy_keeps_its_verified_source() -> None:
    back = replace(with_headers(HONEST, source="/courier"), exchange="", routing_key="seller", user_id=None)
    assert decode(back, steps).envelope.source == "courier"
    assert publisher(back, steps) is None


def test_a_forged_id_is_rejected_from_every_exchange() -> None:
    forged = with_headers(HONEST, id=f"thing.lost/{ID}")
    for exchange in ("events", ""):
        with pytest.raises(Unreadable, match=r"^the id is not its type and subject$"):
            decode(replace(forged, exchange=exchange), steps)


async def test_the_harness_decodes_as_the_consumer_does() -> None:
    harness = Harness(steps)
    with pytest.raises(Unreadable):
        await harness.receive(with_headers(HONEST, id=f"thing.lost/{ID}"))
    assert (harness.rows, harness.inbox) == ({}, set())
    await harness.receive(HONEST)
    assert harness.inbox == {("seller", f"thing.made/{ID}")}
    row = harness.row(Seen, ID)
    assert row is not None
    assert row.source == "maker"
