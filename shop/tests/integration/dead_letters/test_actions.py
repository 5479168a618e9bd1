"""Replaying, editing and discarding on a real broker, interrupted at every point."""

import asyncio
import json
from typing import Any
from uuid import UUID

import aio_pika
import pytest
from aio_pika.abc import AbstractChannel, AbstractIncomingMessage

from contracts import OrderCancelled
from devstack.testing.broker import Broker
from shop.audit.trail import Audit
from shop.dead_letters.dead_letter import DeadLetter
from shop.dead_letters.deliveries import Deliveries
from shop.dead_letters.session import Action, Busy, DeadLetterSession
from shop.errors import ShopError

from ...conftest import dead_letter
from .conftest import Bury, dsn

ORDER = UUID("6f6b0000-0000-0000-0000-000000000001")
READABLE = json.dumps(
    {
        "order_id": str(ORDER),
        "shopper_id": str(ORDER),
        "lines": [{"sku": "A", "name": "A", "quantity": 2, "unit_price": 500}],
        "total": {"amount": 1000, "currency": "GBP"},
        "payment_method": "pm_card_visa",
        "deadline": "2026-01-01T00:15:00Z",
    }
).encode()


class Killed(BaseException):
    """The process dies here."""


async def taken(channel: AbstractChannel, queue: str) -> list[AbstractIncomingMessage]:
    """Everything that is in the queue, out of it."""
    declared = await channel.declare_queue(queue, passive=True)
    found = []
    while message := await declared.get(no_ack=True, fail=False):
        found.append(message)
    return found


async def do(session: DeadLetterSession, *actions: Action) -> list[DeadLetter]:
    async with session.exclusive():
        return await session.act(actions, "tested")


async def states(audit: Audit) -> list[tuple[str, str]]:
    return [(entry.action, entry.state) for entry in await audit.entries(limit=100)]


async def test_a_replayed_message_is_as_it_was_before_it_died(
    session: DeadLetterSession, bury: Bury, channel: AbstractChannel
) -> None:
    await bury(dead_letter())
    [dead] = (await session.peek()).dead_letters
    assert await do(session, Action.replay(dead)) == []
    [message] = await taken(channel, "payment")
    assert DeadLetter.from_message("payment", message) == dead_letter().as_published()
    assert message.delivery_mode == aio_pika.DeliveryMode.PERSISTENT
    named = {name for name in message.headers if not name.startswith("x-")}
    assert named == {name for name in dead_letter().headers if name.startswith("cloudEvents:")}
    assert (await session.peek()).dead_letters == ()


async def test_a_replay_is_published_to_its_own_queue_only(
    session: DeadLetterSession, bury: Bury, channel: AbstractChannel
) -> None:
    await bury(dead_letter(queue="order.timeline"))
    await do(session, *map(Action.replay, (await session.peek()).dead_letters))
    assert len(await taken(channel, "order.timeline")) == 1
    for queue in ("order", "payment", "product"):
        assert await taken(channel, queue) == []


async def test_only_selected_dead_letters_are_acted_on_and_the_others_keep_their_order(
    session: DeadLetterSession, bury: Bury, channel: AbstractChannel
) -> None:
    await bury(*(dead_letter(body=b"%d" % n) for n in range(10)))
    dead_letters = (await session.peek()).dead_letters
    await do(session, Action.replay(dead_letters[4]), Action.discard(dead_letters[7]))
    assert [m.body for m in await taken(channel, "payment")] == [b"4"]
    assert [x.body for x in (await session.peek()).dead_letters] == [
        b"0",
        b"1",
        b"2",
        b"3",
        b"5",
        b"6",
        b"8",
        b"9",
    ]


async def test_many_dead_letters_are_replayed_in_order_and_each_is_reported(
    session: DeadLetterSession, bury: Bury, channel: AbstractChannel, audit: Audit
) -> None:
    await bury(*(dead_letter(body=b"%d" % n) for n in range(120)))
    done: list[None] = []
    async with session.exclusive() as (seen, _):
        assert (
            await session.act([*map(Action.replay, seen.dead_letters)], "tested", lambda: done.append(None))
            == []
        )
    assert [m.body for m in await taken(channel, "payment")] == [b"%d" % n for n in range(120)]
    assert len(done) == 120
    assert {e.state for e in await audit.entries(limit=1000)} == {"done"}


async def test_all_copies_of_a_dead_letter_are_replayed_as_one(
    session: DeadLetterSession, bury: Bury, channel: AbstractChannel
) -> None:
    await bury(dead_letter(), dead_letter())
    await do(session, *map(Action.replay, (await session.peek()).dead_letters))
    assert len(await taken(channel, "payment")) == 1
    assert (await session.peek()).dead_letters == ()


async def test_each_action_is_audited_with_the_message_before_and_after(
    session: DeadLetterSession, bury: Bury, audit: Audit
) -> None:
    await bury(dead_letter(), dead_letter(queue="product", body=b"\xff\0"))
    first, second = (await session.peek()).dead_letters
    broken, readable = (first, second) if first.queue == "product" else (second, first)
    await do(session, Action.edit(readable, READABLE, None), Action.discard(broken))
    edit, discard = await audit.entries(limit=10)
    assert (edit.who, edit.why, edit.order_id, edit.queue) == ("ada@desk", "tested", str(ORDER), "payment")
    assert edit.before == dead_letter().document()
    assert edit.after["body"] == READABLE.decode()
    assert "failed-step" not in edit.after["headers"]
    assert (discard.before["body_base64"], discard.after) == ("/wA=", None)
    assert await states(audit) == [("edit", "done"), ("discard", "done")]


async def test_an_edited_copy_takes_the_originals_place_under_its_id(
    session: DeadLetterSession, bury: Bury, channel: AbstractChannel
) -> None:
    await bury(dead_letter())
    [dead] = (await session.peek()).dead_letters
    await do(session, Action.edit(dead, READABLE, None))
    [message] = await taken(channel, "payment")
    assert (message.body, message.message_id) == (READABLE, dead.message_id)
    assert (await session.peek()).dead_letters == ()


async def test_a_dead_letter_that_is_no_longer_there_is_returned_and_nothing_is_done(
    session: DeadLetterSession, bury: Bury, audit: Audit, channel: AbstractChannel
) -> None:
    await bury(dead_letter())
    [dead] = (await session.peek()).dead_letters
    await taken(channel, "payment.dead")
    assert await do(session, Action.replay(dead)) == [dead]
    assert await states(audit) == []


async def test_a_dead_letter_that_cannot_be_published_stays(
    session: DeadLetterSession, bury: Bury, audit: Audit, channel: AbstractChannel
) -> None:
    await bury(dead_letter())
    [dead] = (await session.peek()).dead_letters
    await channel.queue_delete("payment")
    with pytest.raises(ShopError, match="the broker did not accept the message for queue payment"):
        await do(session, Action.replay(dead))
    assert (await session.peek()).dead_letters == (dead,)
    assert await states(audit) == [("replay", "failed")]


class Dying:
    """Kills the process at one call that publishes or acknowledges."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, method: str, *, before: bool) -> None:
        self._patch = monkeypatch
        self._method = method
        usual = getattr(Deliveries, method)

        async def dying(deliveries: Deliveries, one: DeadLetter) -> None:
            if not before:
                await usual(deliveries, one)
            raise Killed

        monkeypatch.setattr(Deliveries, method, dying)

    def rise(self) -> None:
        self._patch.undo()


POINTS = [("publish", True), ("publish", False), ("acknowledge", True), ("acknowledge", False)]


@pytest.mark.parametrize(("method", "before"), POINTS)
async def test_an_interrupted_edit_is_finished_by_the_next_operator(
    method: str,
    before: bool,
    session: DeadLetterSession,
    bury: Bury,
    broker: Broker,
    postgres: str,
    audit: Audit,
    channel: AbstractChannel,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await bury(dead_letter(), dead_letter(body=b"another"))
    dead, another = (await session.peek()).dead_letters
    dying = Dying(monkeypatch, method, before=before)
    with pytest.raises(Killed):
        await do(session, Action.edit(dead, READABLE, None))
    dying.rise()
    async with (
        Audit.connected(dsn(postgres), "eve") as hers,
        DeadLetterSession(hers, broker.url).exclusive() as (seen, finished),
    ):
        assert [entry.who for entry in finished] == ["ada@desk"]
        assert seen.dead_letters == (another,)
    published = await taken(channel, "payment")
    assert {(m.body, m.message_id) for m in published} == {(READABLE, dead.message_id)}
    assert len(published) == (2 if (method, before) == ("publish", False) else 1)
    assert await states(audit) == [("edit", "done")]


@pytest.mark.parametrize("before", [True, False])
async def test_an_interrupted_discard_is_finished_too(
    before: bool,
    session: DeadLetterSession,
    bury: Bury,
    audit: Audit,
    channel: AbstractChannel,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await bury(dead_letter())
    [dead] = (await session.peek()).dead_letters
    dying = Dying(monkeypatch, "acknowledge", before=before)
    with pytest.raises(Killed):
        await do(session, Action.discard(dead))
    dying.rise()
    async with session.exclusive() as (seen, _):
        assert seen.dead_letters == ()
    assert await taken(channel, "payment") == []
    assert await states(audit) == [("discard", "done")]


async def test_a_dead_letter_whose_acknowledgement_was_lost_is_not_replayed_again(
    session: DeadLetterSession, bury: Bury, channel: AbstractChannel
) -> None:
    await bury(dead_letter())
    [dead] = (await session.peek()).dead_letters
    await do(session, Action.edit(dead, READABLE, None))
    await bury(dead)
    async with session.exclusive() as (seen, _):
        assert seen.dead_letters == ()
    assert [m.body for m in await taken(channel, "payment")] == [READABLE]


async def test_an_interrupted_replay_fails_if_its_dead_letter_is_gone(
    session: DeadLetterSession,
    bury: Bury,
    audit: Audit,
    channel: AbstractChannel,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await bury(dead_letter())
    [dead] = (await session.peek()).dead_letters
    dying = Dying(monkeypatch, "publish", before=True)
    with pytest.raises(Killed):
        await do(session, Action.replay(dead))
    dying.rise()
    await taken(channel, "payment.dead")
    async with session.exclusive():
        pass
    [entry] = await audit.entries(limit=10)
    assert (entry.state, entry.error) == ("failed", "no longer in the queue before it was published")
    assert entry.before == dead.document()


async def test_an_interrupted_action_beyond_the_limit_asks_for_a_higher_limit(
    session: DeadLetterSession, bury: Bury, broker: Broker, audit: Audit, monkeypatch: pytest.MonkeyPatch
) -> None:
    await bury(*(dead_letter(body=b"%d" % n) for n in range(3)))
    last = (await session.peek()).dead_letters[2]
    dying = Dying(monkeypatch, "publish", before=True)
    with pytest.raises(Killed):
        await do(session, Action.replay(last))
    dying.rise()
    with pytest.raises(ShopError, match=r"not among the first 1 of payment: pass --limit 3"):
        async with DeadLetterSession(audit, broker.url, limit=1).exclusive():
            pass


async def test_a_second_operator_is_refused_with_the_name_of_the_first(
    session: DeadLetterSession, broker: Broker, postgres: str, bury: Bury
) -> None:
    await bury(dead_letter())
    async with Audit.connected(dsn(postgres), "eve") as hers, session.exclusive():
        other = DeadLetterSession(hers, broker.url)
        with pytest.raises(
            Busy, match=r"ada@desk has been working on the dead letters since \d\d:\d\d:\d\d UTC"
        ):
            await do(other)
        assert len((await other.peek()).dead_letters) == 1  # peeking is not exclusive
    async with Audit.connected(dsn(postgres), "eve") as hers:
        assert await do(DeadLetterSession(hers, broker.url)) == []


async def test_the_lock_of_an_operator_whose_process_died_is_released(
    session: DeadLetterSession, broker: Broker, postgres: str
) -> None:
    async with Audit.connected(dsn(postgres), "eve") as hers:
        lost = DeadLetterSession(hers, broker.url).exclusive()
        await lost.__aenter__()
        hers.connection.terminate()
        async with asyncio.timeout(20):
            while True:
                try:
                    assert await do(session) == []
                    break
                except Busy:
                    await asyncio.sleep(0.05)
        await lost.__aexit__(None, None, None)


async def test_a_message_that_is_dead_lettered_again_has_its_history(
    session: DeadLetterSession, bury: Bury, audit: Audit
) -> None:
    await bury(dead_letter())
    [dead] = (await session.peek()).dead_letters
    assert (await session.histories([dead]))[dead.id] == []
    await do(session, Action.replay(dead))
    again: dict[str, Any] = {"first-seen": "2026-01-02T00:00:00+00:00", "error": "no better"}
    await bury(dead_letter(headers={**dead_letter().headers, **again}))
    [risen] = (await session.peek()).dead_letters
    assert risen.id != dead.id
    [entry] = (await session.histories([risen]))[risen.id]
    assert (entry.action, entry.who, entry.why, entry.letter_id) == ("replay", "ada@desk", "tested", dead.id)
    assert entry.before["headers"]["error"] == "total: Input should be an object"


async def test_a_message_without_an_id_is_recognized_when_it_is_dead_lettered_again(
    session: DeadLetterSession, bury: Bury, channel: AbstractChannel
) -> None:
    await bury(dead_letter(headers={}, message_id=None, type=None))
    [dead] = (await session.peek()).dead_letters
    await do(session, Action.replay(dead))
    [message] = await taken(channel, "payment")
    await bury(DeadLetter.from_message("payment", message))
    [risen] = (await session.peek()).dead_letters
    assert [e.action for e in (await session.histories([risen]))[risen.id]] == ["replay"]


async def test_odd_headers_survive_a_replay(
    session: DeadLetterSession, bury: Bury, channel: AbstractChannel
) -> None:
    odd = {"text": "a\0b", "bytes": bytearray(b"\xff"), "list": [1, 2.5, None], "table": {"deep": True}}
    await bury(dead_letter(headers=odd))
    await do(session, *map(Action.replay, (await session.peek()).dead_letters))
    [message] = await taken(channel, "payment")
    assert DeadLetter.from_message("payment", message).headers == odd


def test_a_cancellation_names_the_step_that_it_compensates() -> None:
    step = dead_letter(queue="product", headers={"cloudEvents:type": OrderCancelled.type}, type=None).step
    assert step is not None
    assert step.compensates
