from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from aio_pika import DeliveryMode, Message

from chassis.messaging.envelope import Envelope, Unreadable

ENVELOPE = Envelope(
    type="thing.made",
    version=1,
    source="maker",
    subject=UUID("6f6b5b1e-0000-4000-8000-000000000001"),
    time=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
    data=b'{"x": 1}',
    causation_id="thing.wanted/6f6b5b1e-0000-4000-8000-000000000001",
    traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    attempts=2,
    first_failed_at="2026-01-02T03:04:06+00:00",
)


def test_an_envelope_survives_the_wire() -> None:
    assert Envelope.from_message(ENVELOPE.to_message()) == ENVELOPE


def test_a_message_is_persistent_and_readable_in_the_management_ui() -> None:
    message = ENVELOPE.to_message()
    assert message.delivery_mode == DeliveryMode.PERSISTENT
    assert (message.message_id, message.type, message.app_id) == (ENVELOPE.id, "thing.made", "maker")


def test_the_publishing_user_is_the_source_and_is_checked_by_the_broker() -> None:
    message = ENVELOPE.to_message("courier")
    assert (message.user_id, message.app_id) == ("courier", "courier")
    assert message.headers["cloudEvents:source"] == "/courier"
    assert ENVELOPE.to_message().user_id is None


@pytest.mark.parametrize(
    "id_",
    [
        "thing.lost/6f6b5b1e-0000-4000-8000-000000000001",
        "thing.made/6f6b5b1e-0000-4000-8000-000000000002",
        "thing.made/6F6B5B1E-0000-4000-8000-000000000001",
        "thing.made",
    ],
)
def test_an_event_under_the_id_of_another_is_unreadable(id_: str) -> None:
    headers: dict[str, Any] = {**ENVELOPE.to_message().headers, "cloudEvents:id": id_}
    with pytest.raises(Unreadable, match=r"^the id is not its type and subject$"):
        Envelope.from_message(Message(b"{}", headers=headers))


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"cloudEvents:id": 7},
        {**ENVELOPE.to_message().headers, "cloudEvents:subject": "nobody"},
        {**ENVELOPE.to_message().headers, "cloudEvents:time": "yesterday"},
        {**ENVELOPE.to_message().headers, "cloudEvents:dataschema": "urn:event:thing.made:one"},
        {**ENVELOPE.to_message().headers, "cloudEvents:specversion": "0.3"},
        {**ENVELOPE.to_message().headers, "cloudEvents:id": "x" * 256},
        {**ENVELOPE.to_message().headers, "cloudEvents:source": "x" * 256},
        {**ENVELOPE.to_message().headers, "cloudEvents:time": "2026-01-02T03:04:05"},
        {**ENVELOPE.to_message().headers, "cloudEvents:time": "1969-12-31T23:59:59Z"},
        {**ENVELOPE.to_message().headers, "attempts": "many"},
        {**ENVELOPE.to_message().headers, "attempts": -1},
        {**ENVELOPE.to_message().headers, "attempts": float("inf")},
    ],
)
def test_a_message_that_is_no_cloud_event_is_unreadable(headers: dict[str, object]) -> None:
    with pytest.raises(Unreadable):
        Envelope.from_message(Message(b"{}", headers=headers))  # type: ignore[arg-type]


def test_an_error_names_the_attribute_and_does_not_quote_it() -> None:
    headers = {**ENVELOPE.to_message().headers, "cloudEvents:subject": "ada@example.com"}
    with pytest.raises(Unreadable, match=r"^not a CloudEvent: subject makes no sense$"):
        Envelope.from_message(Message(b"{}", headers=headers))
