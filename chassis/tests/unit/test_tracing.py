"""Which trace a log line carries, and which texts are valid traces."""

import re
from typing import Any
from uuid import uuid4

import pytest
import structlog
from aio_pika import Message
from hypothesis import example, given
from hypothesis import strategies as st
from sqlalchemy.exc import InterfaceError

from chassis.http.middleware import Trace
from chassis.messaging.envelope import Envelope
from chassis.runtime.consumer import Consumer
from chassis.saga.delivery import Delivery, decode
from chassis.saga.tx import event_id
from chassis.telemetry.logs import current_traceparent, trace_context, valid_traceparent, without_trace
from chassis.testing import published

from ..conftest import LogLine
from ..things import ThingMade, selling
from .test_envelope import ENVELOPE

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
GOOD = f"00-{TRACE}-{SPAN}-01"
ODD = [
    "",
    GOOD.upper(),
    f"00-{'0' * 32}-{SPAN}-01",
    f"00-{TRACE}-{'0' * 16}-01",
    f"ff-{TRACE}-{SPAN}-01",
    f"00-{TRACE}-{SPAN}-01-more",
    f"00-{TRACE}-{SPAN}-01\n",
    f"01-{TRACE}-{SPAN}-01more",
    f"01-{TRACE}-{SPAN}-01-{'x' * 300}",
    f"00-{TRACE}-{SPAN}",
    f" {GOOD}"[:55],
    "00-<script>alert(document.cookie)</script>-aaaaaaaaaaaa-01",
    "00-" + "\0" * 52,
    "0०-" + GOOD[3:],
]


@pytest.mark.parametrize("odd", ODD)
def test_an_invalid_trace_context_begins_a_new_trace(odd: str) -> None:
    assert valid_traceparent(odd) is None
    with trace_context(odd) as current:
        assert TRACE not in current
        assert valid_traceparent(current) == current


def test_a_trace_is_continued_with_a_new_span() -> None:
    with trace_context(GOOD) as current:
        assert re.fullmatch(f"00-{TRACE}-[0-9a-f]{{16}}-01", current)
        assert current != GOOD
    assert current_traceparent() is None


@pytest.mark.parametrize("newer", [f"01-{TRACE}-{SPAN}-01", f"cc-{TRACE}-{SPAN}-01-what <b>will</b> be"])
def test_of_a_later_version_the_known_fields_are_used(newer: str) -> None:
    assert valid_traceparent(newer) == GOOD


alphabet = st.sampled_from("0123456789abcdefF-<>\"'&\n\0 ") | st.characters()


@given(st.text(alphabet, max_size=70) | st.integers() | st.binary() | st.none())
@example("00-" + "<" * 52)
@example(GOOD)
def test_only_hexadecimal_digits_are_passed_on(given_: object) -> None:
    """Neither into logs and calls to other services, nor into messages and tables."""
    shape = "00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}"
    with trace_context(given_) as current:
        assert re.fullmatch(shape, current)
        assert re.fullmatch("[0-9a-f]{32}", structlog.contextvars.get_contextvars()["trace_id"])
    headers: Any = {**ENVELOPE.to_message().headers, "cloudEvents:traceparent": given_}
    came = Envelope.from_message(Message(b"{}", headers=headers)).traceparent
    assert came is None or re.fullmatch(shape, came)


@given(st.text(max_size=70))
@example("<script>alert(1)</script>/6f6b5b1e-0000-4000-8000-000000000001")
def test_a_cause_is_an_events_id_or_none(cause: str) -> None:
    headers: Any = {**ENVELOPE.to_message().headers, "cloudEvents:causationid": cause}
    assert Envelope.from_message(Message(b"{}", headers=headers)).causation_id is None


async def test_a_task_for_many_requests_logs_no_trace(logged: list[LogLine]) -> None:
    with trace_context(GOOD, "one"):
        without_trace().run(structlog.get_logger().info, "for many")
        structlog.get_logger().info("for one")
    structlog.get_logger().info("without a trace")
    many, one, outside = logged
    assert (one["trace_id"], one["subject"]) == (TRACE, "one")
    for entry in (many, outside):
        assert not entry.keys() & {"trace_id", "subject"}


class Failing(Consumer):
    """A step's error, followed by an outage of the database."""

    def __init__(self, queue: Any) -> None:
        nothing: Any = None
        publisher: Any = self
        super().__init__(
            nothing, publisher, nothing, queue, service="seller", batch=9, batch_bytes=2**20, linger=0
        )
        self.errors: list[Exception] = []
        self.sent: list[Any] = [ConnectionError("away"), None]

    async def send(self, _: str, __: Any) -> list[Any]:
        return [self.sent.pop(0)]

    async def _commit(self, batch: list[Delivery]) -> None:
        for delivery in batch:
            with trace_context(delivery.envelope.traceparent, delivery.event.about):
                structlog.get_logger().info("at work")
        if self.errors:
            raise self.errors.pop(0)


async def test_a_line_carries_its_messages_trace_and_an_outage_carries_none(
    logged: list[LogLine],
) -> None:
    [steps] = selling().steps
    consumer = Failing(steps)
    made = ThingMade(id=uuid4())
    delivery = decode(published(made, ENVELOPE.time), steps)
    consumer.errors = [InterfaceError("", None, OSError("gone")), RuntimeError("it fails")]
    await consumer._handle([delivery])
    lines = {entry["event"]: entry for entry in logged}
    assert not lines["database unavailable, retrying"].keys() & {"trace_id", "subject"}
    for event in ("step failed", "could not publish failed message, retrying"):
        assert lines[event]["message_id"] == event_id(made)
        assert lines[event]["subject"] == str(made.id)
    assert structlog.contextvars.get_contextvars().keys() & {"trace_id", "subject"} == set()


async def test_a_request_logs_its_trace_and_the_next_line_does_not(logged: list[LogLine]) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 500, "headers": []})

    async def send(message: Any) -> None: ...

    for given_ in (GOOD.encode(), b"00-<script>alert(document.cookie)</script>-aaaaaaaaaaaa-01"):
        scope = {"type": "http", "method": "GET", "path": "/", "headers": [(b"traceparent", given_)]}
        await Trace(app)(scope, send, send)  # type: ignore[arg-type]
    first, second = logged
    assert first["trace_id"] == TRACE
    assert re.fullmatch("[0-9a-f]{32}", second["trace_id"])
    assert "trace_id" not in structlog.contextvars.get_contextvars()
