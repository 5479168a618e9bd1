"""Whatever arrives in a queue is handled or dead-lettered with a reason: nothing crashes the consumer, and
nothing that it wants to move on is something that AMQP cannot carry."""

import json
import struct
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any
from uuid import UUID

import aio_pika
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from chassis.runtime.consumer import Consumer
from chassis.saga.delivery import Delivery as Read
from tests.fuzz.events import NO_TEXT, QUEUES, Delivery, delivered, encoded, enveloped, good, heard_by
from tests.fuzz.odd import TOLERATED, UNREADABLE

FRAME = 128 * 1024
HIDDEN = "hunter2"
STAMPS = {"failed-service", "failed-step", "error", "attempts", "first-seen"}


class Post:
    """Takes what a consumer moves on, if AMQP could."""

    def __init__(self) -> None:
        self.moved: list[tuple[str, aio_pika.Message]] = []

    async def send(self, _: str, messages: Sequence[tuple[str, aio_pika.Message]]) -> list[None]:
        for key, message in messages:
            assert len(encoded(message)) < FRAME
            self.moved.append((key, message))
        return [None] * len(messages)


class Listener(Consumer):
    """A consumer whose every step fails, when that is switched on."""

    def __init__(self, queue: str, *, fails: bool = False) -> None:
        self.post = Post()
        given: Any = self.post
        nobody: Any = None
        super().__init__(
            nobody, given, nobody, QUEUES[queue], service="tests", batch=50, batch_bytes=2**20, linger=0
        )
        self.done: list[Read] = []
        self._fails = fails

    async def _commit(self, batch: list[Read]) -> None:
        if self._fails:
            raise RuntimeError("no step works today")
        self.done += batch

    async def consume(self, *deliveries: Delivery) -> None:
        batch: Any = list(deliveries)
        with capture_logs():
            await self._handle_delivered(batch)
        assert deliveries[-1].acknowledged


def message(queue: str) -> aio_pika.Message:
    return enveloped(good(heard_by(queue)[0])).to_message()


@pytest.mark.parametrize("how", UNREADABLE)
async def test_an_unreadable_message_is_dead_lettered_with_its_reason_and_no_other_is(how: str) -> None:
    for queue in QUEUES:
        listener = Listener(queue)
        bad = message(queue)
        UNREADABLE[how](bad)
        await listener.consume(delivered(bad), delivered(message(queue)))
        [(key, dead)] = listener.post.moved
        assert key == "dead"
        assert dead.headers.keys() >= STAMPS
        assert dead.body == bad.body
        assert len(listener.done) == 1


@pytest.mark.parametrize("how", TOLERATED)
async def test_an_odd_but_valid_message_is_handled(how: str) -> None:
    for queue in QUEUES:
        listener, failing = Listener(queue), Listener(queue, fails=True)
        odd = message(queue)
        TOLERATED[how](odd)
        await listener.consume(delivered(odd))
        await failing.consume(delivered(odd))
        assert (len(listener.done), listener.post.moved) == (1, [])
        assert [key for key, _ in failing.post.moved] == ["1s"]


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(["\0", HIDDEN, "9" * 400, 10**400, -1, 2**63, "2026-01-01", "GBP"]),
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(st.text(max_size=5), inside, max_size=3),
    max_leaves=6,
)
header = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(width=32)
    | st.just(NO_TEXT)
    | st.binary(max_size=20).map(bytearray)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
    | st.sampled_from([HIDDEN, "1.0", "order.created", "x" * 256, "y" * 70_000])
    | st.integers(0, 2**32 - 1).map(partial(datetime.fromtimestamp, tz=UTC)),
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(st.just("a"), inside),
    max_leaves=5,
)


@st.composite
def messages(draw: st.DrawFn) -> tuple[str, aio_pika.Message]:
    """A queue, and a good message for it with some of its parts replaced by anything."""
    queue = draw(st.sampled_from(sorted(QUEUES)))
    made = enveloped(good(draw(st.sampled_from(heard_by(queue))), UUID(int=1))).to_message()
    known = [*made.headers, "attempts", "first-seen", "cloudEvents:causationid", "cloudEvents:traceparent"]
    made.headers = {**made.headers, **draw(st.dictionaries(st.sampled_from(known), header, max_size=2))}
    document = json.loads(made.body)
    for _ in range(draw(st.integers(0, 2))):
        inside, step = document, draw(st.sampled_from(sorted(document)))
        while isinstance(inside[step], dict | list) and inside[step] and draw(st.booleans()):
            inside = inside[step]
            step = draw(st.sampled_from(sorted(inside) if isinstance(inside, dict) else range(len(inside))))
        inside[step] = draw(anything)
    body = json.dumps(document).encode()
    cut = draw(st.sampled_from([None, None, None, len(body) // 2]))
    made.body = draw(st.one_of(st.just(body[:cut]), st.just(body[:cut]), st.binary(max_size=50)))
    return queue, made


LOGINS = [None, "order", "product", "operator"]


@pytest.mark.parametrize("queue", QUEUES)
@pytest.mark.parametrize("login", LOGINS)
async def test_no_event_is_handled_under_a_source_that_did_not_publish_it(
    queue: str, login: str | None
) -> None:
    for model in heard_by(queue):
        for claimed in ("auth", "order", "product", "operator"):
            listener, odd = Listener(queue), enveloped(good(model)).to_message(login)
            odd.headers = {**odd.headers, "cloudEvents:source": f"/{claimed}"}
            delivery = replace(delivered(odd), exchange="events", routing_key=model.type)
            assert delivery.user_id == login
            await listener.consume(delivery)
            if login not in (None, claimed):
                [(key, dead)] = listener.post.moved
                assert (key, dead.headers["cloudEvents:source"]) == ("dead", f"/{login}")
            else:
                [done] = listener.done
                assert done.envelope.source == (login or model.publisher)


@given(messages(), st.booleans(), st.sampled_from(["", "events"]), st.sampled_from(LOGINS))
@settings(
    max_examples=400, derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck)
)
async def test_whatever_arrives_is_handled_or_moved_on_once(
    arrived: tuple[str, aio_pika.Message], fails: bool, exchange: str, login: str | None
) -> None:
    queue, odd = arrived
    try:
        delivery = replace(
            delivered(odd), exchange=exchange, routing_key=odd.type or "", user_id=login if exchange else None
        )
    except (ValueError, TypeError, struct.error):
        assume(False)  # no publisher could send it
    listener = Listener(queue, fails=fails)
    await listener.consume(delivery)
    assert len(listener.done) + len(listener.post.moved) == 1
    for done in listener.done:
        assert done.envelope.id == f"{done.step.event.type}/{done.event.subject}"
        assert not exchange or done.envelope.source == (login or done.step.event.publisher)
    for _, moved in listener.post.moved:
        assert moved.headers.keys() >= STAMPS
        error = str(moved.headers["error"])
        assert 0 < len(error) <= 350
        assert HIDDEN not in error
        assert moved.body == odd.body
