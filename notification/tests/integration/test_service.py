"""The whole service between a real broker, a real database and a real mail server."""

import asyncio
import email
import email.policy
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import aio_pika
import asyncpg
import pytest
from cryptography.fernet import Fernet

from chassis.messaging.encryption import Cipher
from chassis.saga.topology import EVENTS_EXCHANGE, definitions
from chassis.storage.outbox import envelope
from contracts import Event
from contracts.testing import ORDER_ID, mail_resend_requested, payment_voided, user_registered
from devstack.testing.broker import Broker
from notification.main import service
from notification.settings import Settings

from ..events import cancelled, paid, refunded
from ..mailserver import MailServer

KEY = Fernet.generate_key().decode()
ADDRESS = "ada@example.com"
LIMIT = 15


@dataclass
class Notification:
    """The running service: events go in at `exchange`, `database` is a connection beside it."""

    exchange: Any
    database: Any

    async def publish(self, *events: Event) -> None:
        for one in events:
            message = envelope(one, one.publisher, datetime.now(UTC), None, None)
            await self.exchange.publish(message.to_message(), routing_key=one.type)

    async def fates(self) -> dict[str, str]:
        rows = await self.database.fetch("SELECT letters FROM correspondence")
        return {reason: fate for row in rows for reason, fate in json.loads(row["letters"]).items()}

    async def until_fates(self, **expected: str) -> None:
        await eventually(lambda: self._fates_are(expected))
        assert await self.database.fetchval("SELECT count(*) FROM intent") == 0

    async def _fates_are(self, expected: dict[str, str]) -> bool:
        return await self.fates() == expected


async def eventually(done: Callable[[], Awaitable[Any]]) -> None:
    async with asyncio.timeout(20):
        while not await done():
            await asyncio.sleep(0.02)


@pytest.fixture
async def notification(
    migrated: Callable[[str], str], rabbitmq: Broker, mail: MailServer
) -> AsyncIterator[Notification]:
    url = migrated("notification")
    await rabbitmq.import_topology(definitions([service.participant]))
    given: dict[str, Any] = {
        "database_url": url,
        "amqp_url": rabbitmq.url_of("notification"),
        "jwks_url": "http://127.0.0.1:1/",
        "token_issuer": "saga-shop",
        "token_audience": "saga-shop",
        "role": "worker",
        "contact_key": KEY,
        "mail_from": "Saga Shop <shop@example.com>",
        "smtp_host": "127.0.0.1",
        "smtp_port": mail.port,
        "outbox_poll": 0.1,
        "intent_longest_delay": 0.2,
        "recipient_mails_per_hour": LIMIT,
    }
    app = service.app(Settings(**given))
    database = await asyncpg.connect(url.replace("+asyncpg", ""), timeout=10)
    async with app.router.lifespan_context(app), await aio_pika.connect(rabbitmq.url) as connection:
        channel = await connection.channel()
        exchange = await channel.get_exchange(EVENTS_EXCHANGE)
        yield Notification(exchange, database)
    await database.close()


def encrypted() -> str:
    return Cipher([KEY]).encrypt(ADDRESS)


def reasons(mail: MailServer) -> list[str]:
    return sorted(str(_message(content)["X-Reason"]) for content in _contents(mail))


def _contents(mail: MailServer) -> list[bytes]:
    return [envelope.content for envelope in mail.mailbox if isinstance(envelope.content, bytes)]


def _message(content: bytes) -> Any:
    return email.message_from_bytes(content, policy=email.policy.default)


async def test_each_event_has_its_mail_and_each_mail_is_sent_once(
    notification: Notification, mail: MailServer
) -> None:
    contact = encrypted()
    events = [paid(contact=contact), user_registered(contact=contact, token=contact)]
    await notification.publish(*events, *events)
    await notification.until_fates(receipt="sent", welcome="sent")
    events = [cancelled(contact=contact, was_paid=True), refunded(contact=contact)]
    await notification.publish(*events, *events)
    await notification.until_fates(receipt="sent", welcome="sent", cancellation="sent", refund="sent")

    assert reasons(mail) == ["cancellation", "receipt", "refund", "welcome"]
    assert {tuple(envelope.rcpt_tos) for envelope in mail.mailbox} == {(ADDRESS,)}


async def test_a_waiting_receipt_is_stopped_by_a_cancellation(
    notification: Notification, mail: MailServer
) -> None:
    mail.busy = True
    await notification.publish(paid(contact=encrypted()))
    await eventually(lambda: notification.database.fetchval("SELECT 1 FROM intent WHERE attempts > 0"))
    await notification.publish(cancelled(contact=encrypted()))
    await eventually(lambda: notification.database.fetchval("SELECT 1 FROM correspondence WHERE cancelled"))
    mail.busy = False

    await notification.until_fates(receipt="stopped", cancellation="sent")

    assert reasons(mail) == ["cancellation"]


async def test_the_address_is_never_stored_in_the_clear(notification: Notification, mail: MailServer) -> None:
    mail.busy = True
    await notification.publish(paid(contact=encrypted()))
    await eventually(lambda: notification.database.fetchval("SELECT 1 FROM intent WHERE attempts > 0"))
    for table in ("intent", "correspondence", "inbox"):
        for row in await notification.database.fetch(f"SELECT * FROM {table}"):
            assert ADDRESS not in str(dict(row))
    mail.busy = False
    await notification.until_fates(receipt="sent")


async def test_a_mail_that_is_refused_for_good_is_kept_and_can_be_resent(
    notification: Notification, mail: MailServer
) -> None:
    mail.on_recipient = ["550 5.1.1 no such user"]
    await notification.publish(paid(contact=encrypted()))
    await notification.until_fates(receipt="rejected")
    assert mail.mailbox == []
    [kept] = await notification.database.fetch("SELECT * FROM kept_mail")
    assert (kept["key"], kept["why"]) == (f"receipt:{ORDER_ID}", "refused with 550 5.1.1")
    assert ADDRESS not in str(dict(kept))

    request = mail_resend_requested(reason="receipt")
    await notification.publish(request, request)
    await notification.until_fates(receipt="sent")
    assert reasons(mail) == ["receipt"]


async def test_a_mail_that_was_started_before_a_crash_is_in_doubt_and_not_sent(
    notification: Notification, mail: MailServer
) -> None:
    mail.busy = True
    await notification.publish(paid(contact=encrypted()))
    await eventually(lambda: notification.database.fetchval("SELECT 1 FROM intent WHERE attempts > 0"))
    await notification.database.execute("UPDATE intent SET started_at = now()")
    mail.busy = False
    await notification.until_fates(receipt="in_doubt")
    assert mail.mailbox == []


async def test_a_mail_that_was_recorded_as_sent_before_a_crash_is_not_in_doubt(
    notification: Notification, mail: MailServer
) -> None:
    mail.busy = True
    await notification.publish(paid(contact=encrypted()))
    await eventually(lambda: notification.database.fetchval("SELECT 1 FROM intent WHERE attempts > 0"))
    await notification.database.execute(
        """UPDATE intent SET started_at = now(), outcome = '{"fate": "sent", "why": null}'"""
    )
    mail.busy = False
    await notification.until_fates(receipt="sent")
    assert mail.mailbox == []


async def test_a_slow_mail_server_gets_each_mail_once(notification: Notification, mail: MailServer) -> None:
    mail.takes = 0.2
    events = [paid(order_id=uuid4(), contact=encrypted()) for _ in range(15)]
    await notification.publish(*events)
    await eventually(lambda: notification.database.fetchval("SELECT count(*) = 15 FROM correspondence"))
    await eventually(lambda: notification.database.fetchval("SELECT count(*) = 0 FROM intent"))
    orders = [str(_message(content)["X-Order-Id"]) for content in _contents(mail)]
    assert sorted(orders) == sorted(str(event.order_id) for event in events)


async def test_a_flood_of_mails_to_one_recipient_waits_and_loses_nothing(
    notification: Notification, mail: MailServer
) -> None:
    await notification.publish(*(paid(order_id=uuid4(), contact=encrypted()) for _ in range(LIMIT + 5)))
    await eventually(
        lambda: notification.database.fetchval("SELECT count(*) = 5 FROM intent WHERE error LIKE 'PutOff%'")
    )
    assert len(mail.mailbox) == LIMIT
    assert await notification.database.fetchval("SELECT count(*) FROM recipient") == 1
    assert await notification.database.fetchval("SELECT count(*) FROM kept_mail") == 0


async def test_a_guest_who_never_paid_gets_no_mail_and_one_whose_money_was_held_does(
    notification: Notification, mail: MailServer
) -> None:
    declined = [
        cancelled("payment_declined", guest=True, order_id=uuid4(), contact=encrypted()) for _ in range(9)
    ]
    await notification.publish(*declined, cancelled(guest=True, contact=encrypted()))
    await eventually(lambda: notification.database.fetchval("SELECT count(*) = 10 FROM kept_mail"))
    await notification.publish(payment_voided())
    await eventually(lambda: notification.database.fetchval("SELECT 1 FROM kept_mail WHERE fate = 'sent'"))
    [mailed] = _contents(mail)
    assert _message(mailed)["X-Order-Id"] == str(ORDER_ID)


async def test_a_retried_mail_keeps_its_message_id(notification: Notification, mail: MailServer) -> None:
    mail.on_data = ["451 4.3.0 disk full"]
    await notification.publish(paid(contact=encrypted()))
    await notification.until_fates(receipt="sent")
    assert [_message(content)["Message-ID"] for content in _contents(mail)] == [
        f"<receipt.{ORDER_ID}@example.com>"
    ]
