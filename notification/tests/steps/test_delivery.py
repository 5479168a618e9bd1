"""From the intent to the mail: what stops one, what is retried, and what is never sent twice."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.fernet import Fernet
from pydantic import SecretStr

from chassis.errors import Unavailable
from chassis.messaging.encryption import Cipher, NotDecryptable
from chassis.saga.tx import Intent
from contracts.testing import ORDER_ID, SHOPPER_ID, user_password_reset_requested
from notification import domain
from notification.delivery import MailDelivery, PutOff, Recipients
from notification.domain import Outcome
from notification.mail import MailRenderer
from notification.settings import Settings
from notification.smtp import NotAccepted, Start
from notification.store import IN_DOUBT, StartResult, Verdict

from ..events import cancelled, paid

NOW = datetime(2026, 1, 4, tzinfo=UTC)
KEY = Fernet.generate_key().decode()
CIPHER = Cipher([KEY])
RECIPIENTS = Recipients(SecretStr(KEY))
SENT = Outcome("sent")


class FakeTransport:
    """Records the mails it is given; can refuse them for now, `before` the data or `after`."""

    def __init__(self, *, before: bool = False, after: bool = False) -> None:
        self.sent: list[tuple[str, bytes]] = []
        self.calls = 0
        self._before = before
        self._after = after

    async def send(self, recipient: str, message: bytes, start: Start) -> Outcome:
        self.calls += 1
        if self._before:
            raise NotAccepted("refused with 451")
        if (known := await start()) is not None:
            return known
        if self._after:
            raise NotAccepted("refused with 451")
        self.sent.append((recipient, message))
        return SENT


class FakeSendLog:
    """Returns `verdict` for a start; records outcomes and undone starts. `before` is the outcome of a mail
    that was started before; `unavailable` is a database that records no outcome."""

    def __init__(
        self, verdict: Verdict = "started", *, before: Outcome | None = None, unavailable: bool = False
    ) -> None:
        self._verdict = verdict
        self._before = before
        self._unavailable = unavailable
        self.counted: list[bytes] = []
        self.outcomes: list[tuple[str, Outcome]] = []
        self.undone: list[str] = []

    async def start(self, key: str, recipient: bytes) -> StartResult:
        self.counted.append(recipient)
        verdict = self._verdict if self._before is None else "finished"
        return StartResult(verdict, NOW, NOW + timedelta(minutes=9), self._before)

    async def finish(self, key: str, stamp: datetime, outcome: Outcome) -> None:
        assert stamp == NOW
        if self._unavailable:
            raise Unavailable("The database does not answer.")
        self.outcomes.append((key, outcome))

    async def undo_start(self, key: str, stamp: datetime) -> None:
        assert stamp == NOW
        self.undone.append(key)

    async def outcome_of(self, key: str) -> Outcome | None:
        return self._before


def delivery(transport: FakeTransport, send_log: FakeSendLog | None = None) -> MailDelivery:
    renderer = MailRenderer("Saga Shop <shop@example.com>")
    return MailDelivery(
        Settings.model_construct(contact_key=SecretStr(KEY)),
        renderer,
        send_log or FakeSendLog(),  # type: ignore[arg-type]
        transport,  # type: ignore[arg-type]
        clock=lambda: NOW,
    )


def password_reset(expires_at: datetime) -> Intent:
    content = domain.notice("password_reset", user_password_reset_requested(expires_at=expires_at))
    written = {"contact": CIPHER.encrypt("ada@example.com"), "written_at": NOW.isoformat()}
    return Intent("account", SHOPPER_ID, {**content, **written, "token": CIPHER.encrypt("the-token")})


async def test_a_token_is_decrypted_as_its_mail_is_sent() -> None:
    transport = FakeTransport()
    assert await delivery(transport).deliver(password_reset(NOW + timedelta(hours=1))) == SENT
    [(_, message)] = transport.sent
    assert b"the-token" in message


async def test_a_mail_whose_token_has_expired_is_given_up() -> None:
    transport = FakeTransport()
    outcome = await delivery(transport).deliver(password_reset(NOW))
    assert outcome == Outcome("given_up", "not handed over before its token expired")
    assert transport.sent == []


def receipt(address: str = "ada@example.com", written_at: datetime = NOW, **more: str) -> Intent:
    written = {"contact": CIPHER.encrypt(address), "written_at": written_at.isoformat(), **more}
    return Intent("receipt", ORDER_ID, {**domain.receipt(paid()), **written})


async def test_the_address_is_decrypted_for_the_envelope_only() -> None:
    transport = FakeTransport()
    assert await delivery(transport).deliver(receipt()) == SENT
    [(recipient, message)] = transport.sent
    assert recipient == "ada@example.com"
    assert b"Subject: Your receipt" in message


async def test_the_shipping_address_is_decrypted_for_the_mail_only() -> None:
    transport = FakeTransport()
    address = {"name": "Ada", "street": "1 Mill Lane", "city": "York", "postcode": "YO1", "country": "GB"}
    await delivery(transport).deliver(receipt(shipping=CIPHER.encrypt(json.dumps(address))))
    [(_, message)] = transport.sent
    assert b"Ships to:\r\nAda\r\n1 Mill Lane\r\nYork\r\nYO1\r\nGB\r\n" in message


@pytest.mark.parametrize("outcome", [SENT, Outcome("rejected", "refused with 554"), IN_DOUBT])
async def test_a_mail_that_was_started_before_is_not_sent_and_has_the_recorded_outcome(
    outcome: Outcome,
) -> None:
    transport, send_log = FakeTransport(), FakeSendLog(before=outcome)
    assert await delivery(transport, send_log).deliver(receipt()) == outcome
    assert transport.sent == []
    assert send_log.outcomes == []


async def test_the_outcome_is_recorded_in_the_send_log() -> None:
    send_log = FakeSendLog()
    await delivery(FakeTransport(), send_log).deliver(receipt())
    assert send_log.outcomes == [(receipt().key, SENT)]


async def test_a_mail_that_was_not_started_has_no_recorded_outcome() -> None:
    send_log = FakeSendLog("stopped")
    await delivery(FakeTransport(), send_log).deliver(receipt())
    assert send_log.outcomes == []


async def test_a_sent_mail_is_not_in_doubt_for_its_process_when_the_database_is_unavailable() -> None:
    transport, send_log = FakeTransport(), FakeSendLog(unavailable=True)
    mails = delivery(transport, send_log)
    assert [await mails.deliver(receipt()) for _ in range(2)] == [SENT, SENT]
    assert (len(transport.sent), len(send_log.counted)) == (1, 1)
    sent_again_by_an_operator = receipt(written_at=NOW + timedelta(hours=1))
    assert await mails.deliver(sent_again_by_an_operator) == SENT
    assert len(transport.sent) == 2


@pytest.mark.parametrize("outcome", [SENT, IN_DOUBT])
async def test_a_recorded_outcome_is_found_while_the_mail_server_is_unavailable(outcome: Outcome) -> None:
    assert (
        await delivery(FakeTransport(before=True), FakeSendLog(before=outcome)).deliver(receipt()) == outcome
    )


@pytest.mark.parametrize("outcome", [SENT, IN_DOUBT])
async def test_a_mail_that_was_started_before_is_not_given_up(outcome: Outcome) -> None:
    late = receipt(written_at=NOW - timedelta(days=4))
    assert await delivery(FakeTransport(), FakeSendLog(before=outcome)).deliver(late) == outcome


async def test_the_start_of_a_mail_that_is_refused_for_now_is_undone() -> None:
    send_log = FakeSendLog()
    with pytest.raises(NotAccepted):
        await delivery(FakeTransport(after=True), send_log).deliver(receipt())
    assert send_log.undone == [receipt().key]


async def test_a_mail_that_was_not_started_has_no_start_to_undo() -> None:
    send_log = FakeSendLog()
    with pytest.raises(NotAccepted):
        await delivery(FakeTransport(before=True), send_log).deliver(receipt())
    assert send_log.undone == []


async def test_a_receipt_is_stopped_when_its_order_was_cancelled_meanwhile() -> None:
    transport = FakeTransport()
    assert await delivery(transport, FakeSendLog("stopped")).deliver(receipt()) == Outcome("stopped")
    assert transport.sent == []


async def test_a_recipient_at_the_limit_waits_without_another_connection() -> None:
    transport = FakeTransport()
    mails = delivery(transport, FakeSendLog("put_off"))
    for _ in range(3):
        with pytest.raises(PutOff, match="until 00:09:00 UTC"):
            await mails.deliver(receipt())
    assert (transport.sent, transport.calls) == ([], 1)


async def test_spellings_of_one_address_are_counted_together_and_only_as_a_hash() -> None:
    send_log = FakeSendLog()
    for address in ("ada@example.com", "Ada+2@example.com", "ben@example.com"):
        await delivery(FakeTransport(), send_log).deliver(receipt(address))
    same, again, other = send_log.counted
    assert same == again != other
    assert b"ada" not in same


def test_another_key_gives_other_hashes() -> None:
    other = Recipients(SecretStr(Fernet.generate_key().decode()))
    assert other.hash("ada@example.com") != RECIPIENTS.hash("ada@example.com")


async def test_a_mail_is_given_up_after_days() -> None:
    transport = FakeTransport()
    assert await delivery(transport).deliver(receipt(written_at=NOW - timedelta(days=3))) == SENT
    late = receipt(written_at=NOW - timedelta(days=3, seconds=1))
    assert (await delivery(transport).deliver(late)).fate == "given_up"
    assert len(transport.sent) == 1


async def test_a_cancellation_is_sent() -> None:
    payload = {**domain.cancellation(cancelled(), paid=False), **receipt().payload}
    assert await delivery(FakeTransport()).deliver(Intent("cancellation", ORDER_ID, payload)) == SENT


@pytest.mark.parametrize("address", ["nonsense", "a@example.com\r\nRCPT TO:<b@example.com>", "ä@example.com"])
async def test_an_invalid_address_gets_no_mail(address: str) -> None:
    transport = FakeTransport()
    assert (await delivery(transport).deliver(receipt(address))).fate == "rejected"
    assert transport.sent == []


async def test_a_contact_that_is_encrypted_with_a_missing_key_can_be_retried() -> None:
    contact = Cipher([Fernet.generate_key().decode()]).encrypt("ada@example.com")
    intent = Intent("receipt", ORDER_ID, {**receipt().payload, "contact": contact})
    with pytest.raises(NotDecryptable):
        await delivery(FakeTransport()).deliver(intent)
