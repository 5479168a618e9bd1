"""Replaying, editing and discarding on a real broker, interrupted wherever it can be."""

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
from shop.dead_letters.desk import Busy, Deed, Desk
from shop.dead_letters.holding import Held
from shop.dead_letters.letter import Letter
from shop.errors import ShopError

from .conftest import Bury, dsn, letter

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


async def do(desk: Desk, *deeds: Deed) -> list[Letter]:
    async with desk.alone():
        return await desk.act(deeds, "tested")


async def states(audit: Audit) -> list[tuple[str, str]]:
    return [(entry.action, entry.state) for entry in await audit.entries(limit=100)]


async def test_a_replayed_message_is_as_it_was_before_it_died(
    desk: Desk, bury: Bury, channel: AbstractChannel
) -> None:
    await bury(letter())
    [dead] = (await desk.look()).letters
    assert await do(desk, Deed.replay(dead)) == []
    [message] = await taken(channel, "payment")
    assert Letter.of("payment", message) == letter().fresh()
    assert message.delivery_mode == aio_pika.DeliveryMode.PERSISTENT
    named = {name for name in message.headers if not name.startswith("x-")}
    assert named == {name for name in letter().headers if name.startswith("cloudEvents:")}
    assert (await desk.look()).letters == ()


async def test_it_goes_to_its_own_queue_and_nowhere_else(
    desk: Desk, bury: Bury, channel: AbstractChannel
) -> None:
    await bury(letter(queue="order.timeline"))
    await do(desk, *map(Deed.replay, (await desk.look()).letters))
    assert len(await taken(channel, "order.timeline")) == 1
    for queue in ("order", "payment", "product"):
        assert await taken(channel, queue) == []


async def test_only_the_chosen_letter_goes_the_others_keep_their_order(
    desk: Desk, bury: Bury, channel: AbstractChannel
) -> None:
    await bury(*(letter(body=b"%d" % n) for n in range(10)))
    letters = (await desk.look()).letters
    await do(desk, Deed.replay(letters[4]), Deed.discard(letters[7]))
    assert [m.body for m in await taken(channel, "payment")] == [b"4"]
    assert [x.body for x in (await desk.look()).letters] == [b"0", b"1", b"2", b"3", b"5", b"6", b"8", b"9"]


async def test_many_letters_are_replayed_in_their_order_and_each_is_heeded(
    desk: Desk, bury: Bury, channel: AbstractChannel, audit: Audit
) -> None:
    await bury(*(letter(body=b"%d" % n) for n in range(120)))
    heeded: list[None] = []
    async with desk.alone() as (seen, _):
        assert await desk.act([*map(Deed.replay, seen.letters)], "tested", lambda: heeded.append(None)) == []
    assert [m.body for m in await taken(channel, "payment")] == [b"%d" % n for n in range(120)]
    assert len(heeded) == 120
    assert {e.state for e in await audit.entries(limit=1000)} == {"done"}


async def test_all_copies_of_a_letter_are_replayed_as_one(
    desk: Desk, bury: Bury, channel: AbstractChannel
) -> None:
    await bury(letter(), letter())
    await do(desk, *map(Deed.replay, (await desk.look()).letters))
    assert len(await taken(channel, "payment")) == 1
    assert (await desk.look()).letters == ()


async def test_each_action_is_audited_with_the_message_before_and_after(
    desk: Desk, bury: Bury, audit: Audit
) -> None:
    await bury(letter(), letter(queue="product", body=b"\xff\0"))
    first, second = (await desk.look()).letters
    broken, readable = (first, second) if first.queue == "product" else (second, first)
    await do(desk, Deed.edit(readable, READABLE, None), Deed.discard(broken))
    edit, discard = await audit.entries(limit=10)
    assert (edit.who, edit.why, edit.order_id, edit.queue) == ("ada@desk", "tested", str(ORDER), "payment")
    assert edit.before == letter().document()
    assert edit.after["body"] == READABLE.decode()
    assert "failed-step" not in edit.after["headers"]
    assert (discard.before["body_base64"], discard.after) == ("/wA=", None)
    assert await states(audit) == [("edit", "done"), ("discard", "done")]


async def test_an_edited_copy_takes_the_originals_place_under_its_id(
    desk: Desk, bury: Bury, channel: AbstractChannel
) -> None:
    await bury(letter())
    [dead] = (await desk.look()).letters
    await do(desk, Deed.edit(dead, READABLE, None))
    [message] = await taken(channel, "payment")
    assert (message.body, message.message_id) == (READABLE, dead.message_id)
    assert (await desk.look()).letters == ()


async def test_a_letter_that_has_gone_is_told_and_nothing_is_done(
    desk: Desk, bury: Bury, audit: Audit, channel: AbstractChannel
) -> None:
    await bury(letter())
    [dead] = (await desk.look()).letters
    await taken(channel, "payment.dead")
    assert await do(desk, Deed.replay(dead)) == [dead]
    assert await states(audit) == []


async def test_what_cannot_be_published_stays(
    desk: Desk, bury: Bury, audit: Audit, channel: AbstractChannel
) -> None:
    await bury(letter())
    [dead] = (await desk.look()).letters
    await channel.queue_delete("payment")
    with pytest.raises(ShopError, match="payment did not take the message"):
        await do(desk, Deed.replay(dead))
    assert (await desk.look()).letters == (dead,)
    assert await states(audit) == [("replay", "failed")]


class Dying:
    """Kills the process at one call of the hand that publishes and settles."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, method: str, *, before: bool) -> None:
        self._patch = monkeypatch
        self._method = method
        usual = getattr(Held, method)

        async def dying(hand: Held, one: Letter) -> None:
            if not before:
                await usual(hand, one)
            raise Killed

        monkeypatch.setattr(Held, method, dying)

    def rise(self) -> None:
        self._patch.undo()


POINTS = [("publish", True), ("publish", False), ("settle", True), ("settle", False)]


@pytest.mark.parametrize(("method", "before"), POINTS)
async def test_an_interrupted_edit_is_finished_by_whoever_comes_next(
    method: str,
    before: bool,
    desk: Desk,
    bury: Bury,
    broker: Broker,
    postgres: str,
    audit: Audit,
    channel: AbstractChannel,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await bury(letter(), letter(body=b"another"))
    dead, another = (await desk.look()).letters
    dying = Dying(monkeypatch, method, before=before)
    with pytest.raises(Killed):
        await do(desk, Deed.edit(dead, READABLE, None))
    dying.rise()
    async with (
        Audit.connected(dsn(postgres), "eve") as hers,
        Desk(hers, broker.url).alone() as (seen, finished),
    ):
        assert [entry.who for entry in finished] == ["ada@desk"]
        assert seen.letters == (another,)
    published = await taken(channel, "payment")
    assert {(m.body, m.message_id) for m in published} == {(READABLE, dead.message_id)}
    assert len(published) == (2 if (method, before) == ("publish", False) else 1)
    assert await states(audit) == [("edit", "done")]


@pytest.mark.parametrize("before", [True, False])
async def test_an_interrupted_discard_is_finished_too(
    before: bool,
    desk: Desk,
    bury: Bury,
    audit: Audit,
    channel: AbstractChannel,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await bury(letter())
    [dead] = (await desk.look()).letters
    dying = Dying(monkeypatch, "settle", before=before)
    with pytest.raises(Killed):
        await do(desk, Deed.discard(dead))
    dying.rise()
    async with desk.alone() as (seen, _):
        assert seen.letters == ()
    assert await taken(channel, "payment") == []
    assert await states(audit) == [("discard", "done")]


async def test_a_letter_whose_acknowledgement_was_lost_is_not_replayed_again(
    desk: Desk, bury: Bury, channel: AbstractChannel
) -> None:
    await bury(letter())
    [dead] = (await desk.look()).letters
    await do(desk, Deed.edit(dead, READABLE, None))
    await bury(dead)
    async with desk.alone() as (seen, _):
        assert seen.letters == ()
    assert [m.body for m in await taken(channel, "payment")] == [READABLE]


async def test_a_letter_that_went_while_its_replay_was_interrupted_is_said_to_have_gone(
    desk: Desk, bury: Bury, audit: Audit, channel: AbstractChannel, monkeypatch: pytest.MonkeyPatch
) -> None:
    await bury(letter())
    [dead] = (await desk.look()).letters
    dying = Dying(monkeypatch, "publish", before=True)
    with pytest.raises(Killed):
        await do(desk, Deed.replay(dead))
    dying.rise()
    await taken(channel, "payment.dead")
    async with desk.alone():
        pass
    [entry] = await audit.entries(limit=10)
    assert (entry.state, entry.error) == ("failed", "the letter had gone before it was published")
    assert entry.before == dead.document()


async def test_an_interrupted_letter_beyond_the_limit_is_asked_for(
    desk: Desk, bury: Bury, broker: Broker, audit: Audit, monkeypatch: pytest.MonkeyPatch
) -> None:
    await bury(*(letter(body=b"%d" % n) for n in range(3)))
    last = (await desk.look()).letters[2]
    dying = Dying(monkeypatch, "publish", before=True)
    with pytest.raises(Killed):
        await do(desk, Deed.replay(last))
    dying.rise()
    with pytest.raises(ShopError, match=r"not among the first 1 of payment: say --limit 3"):
        async with Desk(audit, broker.url, limit=1).alone():
            pass


async def test_one_operator_at_a_time_the_second_is_told_who_it_is(
    desk: Desk, broker: Broker, postgres: str, bury: Bury
) -> None:
    await bury(letter())
    async with Audit.connected(dsn(postgres), "eve") as hers, desk.alone():
        other = Desk(hers, broker.url)
        with pytest.raises(Busy, match=r"ada@desk is at the dead letters since \d\d:\d\d:\d\d UTC"):
            await do(other)
        assert len((await other.look()).letters) == 1  # looking is free
    async with Audit.connected(dsn(postgres), "eve") as hers:
        assert await do(Desk(hers, broker.url)) == []


async def test_an_operator_whose_process_died_is_at_it_no_longer(
    desk: Desk, broker: Broker, postgres: str
) -> None:
    async with Audit.connected(dsn(postgres), "eve") as hers:
        lost = Desk(hers, broker.url).alone()
        await lost.__aenter__()
        hers.connection.terminate()
        async with asyncio.timeout(20):
            while True:
                try:
                    assert await do(desk) == []
                    break
                except Busy:
                    await asyncio.sleep(0.05)
        await lost.__aexit__(None, None, None)


async def test_a_message_that_dies_again_has_its_history(desk: Desk, bury: Bury, audit: Audit) -> None:
    await bury(letter())
    [dead] = (await desk.look()).letters
    assert (await desk.histories([dead]))[dead.id] == []
    await do(desk, Deed.replay(dead))
    again: dict[str, Any] = {"first-seen": "2026-01-02T00:00:00+00:00", "error": "no better"}
    await bury(letter(headers={**letter().headers, **again}))
    [risen] = (await desk.look()).letters
    assert risen.id != dead.id
    [entry] = (await desk.histories([risen]))[risen.id]
    assert (entry.action, entry.who, entry.why, entry.letter_id) == ("replay", "ada@desk", "tested", dead.id)
    assert entry.before["headers"]["error"] == "total: Input should be an object"


async def test_a_message_without_any_id_is_known_when_it_dies_again(
    desk: Desk, bury: Bury, channel: AbstractChannel
) -> None:
    await bury(letter(headers={}, message_id=None, type=None))
    [dead] = (await desk.look()).letters
    await do(desk, Deed.replay(dead))
    [message] = await taken(channel, "payment")
    await bury(Letter.of("payment", message))
    [risen] = (await desk.look()).letters
    assert [e.action for e in (await desk.histories([risen]))[risen.id]] == ["replay"]


async def test_odd_headers_survive_a_replay(desk: Desk, bury: Bury, channel: AbstractChannel) -> None:
    odd = {"text": "a\0b", "bytes": bytearray(b"\xff"), "list": [1, 2.5, None], "table": {"deep": True}}
    await bury(letter(headers=odd))
    await do(desk, *map(Deed.replay, (await desk.look()).letters))
    [message] = await taken(channel, "payment")
    assert Letter.of("payment", message).headers == odd


def test_a_cancellation_is_known_for_what_it_undoes() -> None:
    step = letter(queue="product", headers={"cloudEvents:type": OrderCancelled.type}, type=None).hears
    assert step is not None
    assert step.compensates
