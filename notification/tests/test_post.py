"""From the intent to the letter: what stops one, what is tried again, and what is never sent twice."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.fernet import Fernet
from pydantic import SecretStr

from chassis.errors import Unavailable
from chassis.messaging.sealed import NotSealed, Seal
from chassis.saga.tx import Intent
from notification import domain
from notification.domain import Outcome
from notification.letters import Letters
from notification.post import Post
from notification.recipients import PutOff, Recipients
from notification.smtp import Begin, NotAccepted
from notification.store import IN_DOUBT, Answer, Verdict

from .events import ORDER, cancelled, paid

NOW = datetime(2026, 1, 4, tzinfo=UTC)
KEY = Fernet.generate_key().decode()
SEAL = Seal([KEY])
RECIPIENTS = Recipients(SecretStr(KEY))
SENT = Outcome("sent")


class Carrier:
    """Notes what it was given, and refuses for now what it is told to, before the mail or after."""

    def __init__(self, *, before: bool = False, after: bool = False) -> None:
        self.carried: list[tuple[str, bytes]] = []
        self.calls = 0
        self._before = before
        self._after = after

    async def send(self, recipient: str, message: bytes, begin: Begin) -> Outcome:
        self.calls += 1
        if self._before:
            raise NotAccepted("refused with 451")
        if (known := await begin()) is not None:
            return known
        if self._after:
            raise NotAccepted("refused with 451")
        self.carried.append((recipient, message))
        return SENT


class Begins:
    """Answers `verdict`, and notes what ended and what was withdrawn. `before` is how a mail ended that was
    begun before; `away` is a database that notes no end."""

    def __init__(
        self, verdict: Verdict = "begun", *, before: Outcome | None = None, away: bool = False
    ) -> None:
        self._verdict = verdict
        self._before = before
        self._away = away
        self.counted: list[bytes] = []
        self.noted: list[tuple[str, Outcome]] = []
        self.withdrawn: list[str] = []

    async def begin(self, key: str, recipient: bytes) -> Answer:
        self.counted.append(recipient)
        verdict = self._verdict if self._before is None else "ended"
        return Answer(verdict, NOW, NOW + timedelta(minutes=9), self._before)

    async def end(self, key: str, stamp: datetime, outcome: Outcome) -> None:
        assert stamp == NOW
        if self._away:
            raise Unavailable("The database does not answer.")
        self.noted.append((key, outcome))

    async def withdraw(self, key: str, stamp: datetime) -> None:
        assert stamp == NOW
        self.withdrawn.append(key)

    async def ended(self, key: str) -> Outcome | None:
        return self._before


def post(carrier: Carrier, begins: Begins | None = None) -> Post:
    letters = Letters("Saga Shop <shop@example.com>")
    return Post(
        letters,
        SEAL,
        Recipients(SecretStr(KEY)),
        begins or Begins(),
        carrier,
        keep_trying=timedelta(days=3),
        clock=lambda: NOW,
    )


def receipt(address: str = "ada@example.com", written_at: datetime = NOW, **more: str) -> Intent:
    written = {"contact": SEAL.seal(address), "written_at": written_at.isoformat(), **more}
    return Intent("receipt", ORDER, {**domain.receipt(paid()), **written})


async def test_the_address_is_opened_for_the_envelope_only() -> None:
    carrier = Carrier()
    assert await post(carrier).deliver(receipt()) == SENT
    [(recipient, message)] = carrier.carried
    assert recipient == "ada@example.com"
    assert b"Subject: Your receipt" in message


async def test_where_to_ship_is_opened_for_the_letter_only() -> None:
    carrier = Carrier()
    address = {"name": "Ada", "street": "1 Mill Lane", "city": "York", "postcode": "YO1", "country": "GB"}
    await post(carrier).deliver(receipt(shipping=SEAL.seal(json.dumps(address))))
    [(_, message)] = carrier.carried
    assert b"Ships to:\r\nAda\r\n1 Mill Lane\r\nYork\r\nYO1\r\nGB\r\n" in message


@pytest.mark.parametrize("outcome", [SENT, Outcome("rejected", "refused with 554"), IN_DOUBT])
async def test_a_mail_that_was_begun_before_is_not_sent_and_ended_as_is_noted(outcome: Outcome) -> None:
    carrier, begins = Carrier(), Begins(before=outcome)
    assert await post(carrier, begins).deliver(receipt()) == outcome
    assert carrier.carried == []
    assert begins.noted == []


async def test_how_a_mail_ended_is_noted_before_it_is_settled() -> None:
    begins = Begins()
    await post(Carrier(), begins).deliver(receipt())
    assert begins.noted == [(receipt().key, SENT)]


async def test_what_did_not_begin_has_no_end() -> None:
    begins = Begins("stopped")
    await post(Carrier(), begins).deliver(receipt())
    assert begins.noted == []


async def test_a_mail_that_was_taken_but_could_not_be_noted_is_not_in_doubt_while_its_process_lives() -> None:
    carrier, begins = Carrier(), Begins(away=True)
    office = post(carrier, begins)
    assert [await office.deliver(receipt()) for _ in range(2)] == [SENT, SENT]
    assert (len(carrier.carried), len(begins.counted)) == (1, 1)
    sent_again_by_an_operator = receipt(written_at=NOW + timedelta(hours=1))
    assert await office.deliver(sent_again_by_an_operator) == SENT
    assert len(carrier.carried) == 2


@pytest.mark.parametrize("outcome", [SENT, IN_DOUBT])
async def test_how_a_mail_ended_is_found_out_while_the_mail_server_is_away(outcome: Outcome) -> None:
    assert await post(Carrier(before=True), Begins(before=outcome)).deliver(receipt()) == outcome


@pytest.mark.parametrize("outcome", [SENT, IN_DOUBT])
async def test_a_mail_that_was_begun_before_is_not_given_up_for_unsent(outcome: Outcome) -> None:
    late = receipt(written_at=NOW - timedelta(days=4))
    assert await post(Carrier(), Begins(before=outcome)).deliver(late) == outcome


async def test_a_mail_that_the_server_refused_for_now_may_begin_again() -> None:
    begins = Begins()
    with pytest.raises(NotAccepted):
        await post(Carrier(after=True), begins).deliver(receipt())
    assert begins.withdrawn == [receipt().key]


async def test_a_mail_that_never_began_has_nothing_to_withdraw() -> None:
    begins = Begins()
    with pytest.raises(NotAccepted):
        await post(Carrier(before=True), begins).deliver(receipt())
    assert begins.withdrawn == []


async def test_a_receipt_is_stopped_when_its_order_was_cancelled_meanwhile() -> None:
    carrier = Carrier()
    assert await post(carrier, Begins("stopped")).deliver(receipt()) == Outcome("stopped")
    assert carrier.carried == []


async def test_a_recipient_who_had_enough_waits_without_another_call() -> None:
    carrier = Carrier()
    office = post(carrier, Begins("put_off"))
    for _ in range(3):
        with pytest.raises(PutOff, match="until 00:09:00 UTC"):
            await office.deliver(receipt())
    assert (carrier.carried, carrier.calls) == ([], 1)


async def test_one_reader_is_counted_once_however_the_address_is_spelt_and_not_named() -> None:
    begins = Begins()
    for address in ("ada@example.com", "Ada+2@example.com", "ben@example.com"):
        await post(Carrier(), begins).deliver(receipt(address))
    same, again, other = begins.counted
    assert same == again != other
    assert b"ada" not in same


def test_another_key_counts_by_other_hashes() -> None:
    other = Recipients(SecretStr(Fernet.generate_key().decode()))
    assert other.hash("ada@example.com") != RECIPIENTS.hash("ada@example.com")


async def test_a_letter_is_given_up_after_days_not_tried_for_ever() -> None:
    carrier = Carrier()
    assert await post(carrier).deliver(receipt(written_at=NOW - timedelta(days=3))) == SENT
    late = receipt(written_at=NOW - timedelta(days=3, seconds=1))
    assert (await post(carrier).deliver(late)).fate == "given_up"
    assert len(carrier.carried) == 1


async def test_the_cancellation_itself_goes_out() -> None:
    payload = {**domain.cancellation(cancelled(), paid=False), **receipt().payload}
    assert await post(Carrier()).deliver(Intent("cancellation", ORDER, payload)) == SENT


@pytest.mark.parametrize("address", ["nonsense", "a@example.com\r\nRCPT TO:<b@example.com>", "ä@example.com"])
async def test_what_is_no_address_gets_no_letter(address: str) -> None:
    carrier = Carrier()
    assert (await post(carrier).deliver(receipt(address))).fate == "rejected"
    assert carrier.carried == []


async def test_a_contact_that_another_key_sealed_waits_for_that_key() -> None:
    stranger = Seal([Fernet.generate_key().decode()]).seal("ada@example.com")
    intent = Intent("receipt", ORDER, {**receipt().payload, "contact": stranger})
    with pytest.raises(NotSealed):
        await post(Carrier()).deliver(intent)
