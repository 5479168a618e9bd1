"""Handing mails to a real SMTP server that sometimes refuses them."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from notification.domain import Outcome
from notification.smtp import NotAccepted, SmtpClient, SmtpSettings

from ..mailserver import MailServer, serving

MAIL = b"Subject: x\r\n\r\n.starts with a dot\r\nends\r\n"
ADA = "ada@example.com"
SENT = Outcome("sent")


@pytest.fixture
async def client(mail: MailServer) -> AsyncIterator[SmtpClient]:
    client = _client(mail.port)
    yield client
    await client.aclose()


def _client(
    port: int, *, connections: int = 1, stopping: asyncio.Event | None = None, **changed: Any
) -> SmtpClient:
    given = {f"smtp_{name}": value for name, value in changed.items()}
    settings = SmtpSettings.model_construct(
        smtp_host="127.0.0.1", smtp_port=port, smtp_connections=connections, **given
    )
    return SmtpClient(settings, "shop@example.com", stopping or asyncio.Event())


async def start() -> None:
    """A mail that may be sent."""


async def test_a_mail_arrives_unchanged(mail: MailServer, client: SmtpClient) -> None:
    assert await client.send(ADA, MAIL, start) == SENT
    [envelope] = mail.mailbox
    assert envelope.content == MAIL
    assert envelope.mail_from == "shop@example.com"
    assert envelope.rcpt_tos == [ADA]


async def test_many_mails_share_few_connections(mail: MailServer) -> None:
    client = _client(mail.port, connections=3)
    await asyncio.gather(*(client.send(ADA, MAIL, start) for _ in range(20)))
    await client.aclose()
    assert len(mail.mailbox) == 20
    assert mail.sessions == 3


async def test_a_recipient_refused_for_good_is_rejected_and_the_connection_kept(
    mail: MailServer, client: SmtpClient
) -> None:
    mail.on_recipient = ["550 5.1.1 no such user"]
    assert await client.send(ADA, MAIL, start) == Outcome("rejected", "refused with 550 5.1.1")
    assert await client.send(ADA, MAIL, start) == SENT
    assert mail.sessions == 1


async def test_a_mail_refused_for_good_is_rejected(mail: MailServer, client: SmtpClient) -> None:
    mail.on_data = ["554 5.7.1 looks like spam"]
    assert await client.send(ADA, MAIL, start) == Outcome("rejected", "refused with 554 5.7.1")
    assert mail.mailbox == []


@pytest.mark.parametrize("when", ["on_recipient", "on_data"])
async def test_a_mail_refused_for_now_can_be_retried(mail: MailServer, client: SmtpClient, when: str) -> None:
    setattr(mail, when, [f"451 4.7.1 {ADA} is greylisted"])
    with pytest.raises(NotAccepted) as refused:
        await client.send(ADA, MAIL, start)
    assert ADA not in repr(refused.value)
    assert await client.send(ADA, MAIL, start) == SENT


async def test_a_refused_connection_can_be_retried() -> None:
    async with serving() as gone:
        port = gone.port
    with pytest.raises(NotAccepted, match="Connect"):
        await _client(port).send(ADA, MAIL, start)


async def test_a_server_that_does_not_greet_times_out(mail: MailServer) -> None:
    async def never_greet(*_: object) -> None:
        await asyncio.Event().wait()

    silent = await asyncio.start_server(never_greet, "127.0.0.1", 0)
    client = _client(silent.sockets[0].getsockname()[1], timeout=0.2)
    with pytest.raises(NotAccepted):
        await client.send(ADA, MAIL, start)
    silent.close()


async def test_a_mail_without_a_reply_is_in_doubt_and_its_connection_is_not_reused(
    mail: MailServer,
) -> None:
    mail.silent = True
    client = _client(mail.port, data_timeout=0.2)
    assert (await client.send(ADA, MAIL, start)).fate == "in_doubt"
    mail.silent = False
    assert await client.send(ADA, MAIL, start) == SENT
    assert mail.sessions == 2
    await client.aclose()


async def test_a_connection_lost_before_the_reply_leaves_the_mail_in_doubt(
    mail: MailServer, client: SmtpClient
) -> None:
    mail.silent = True
    sending = asyncio.create_task(client.send(ADA, MAIL, start))
    await mail.has_mail.wait()
    mail.hang_up()
    assert (await sending).fate == "in_doubt"


async def test_waiting_for_a_free_connection_does_not_count_towards_the_timeout(mail: MailServer) -> None:
    """A server that takes its time over every mail gets each of them once."""
    mail.takes = 0.4
    client = _client(mail.port, connections=2, timeout=1.5)
    outcomes = await asyncio.gather(*(client.send(ADA, MAIL, start) for _ in range(16)))
    assert outcomes == [SENT] * 16
    assert len(mail.mailbox) == 16
    await client.aclose()


async def test_the_reply_has_a_longer_timeout_than_the_commands_before_it(mail: MailServer) -> None:
    mail.takes = 2
    client = _client(mail.port, timeout=1.5)
    assert await client.send(ADA, MAIL, start) == SENT
    assert len(mail.mailbox) == 1
    await client.aclose()


async def test_a_mail_starts_after_its_recipient_is_accepted_and_before_its_data(
    mail: MailServer, client: SmtpClient
) -> None:
    mails: list[int] = []

    async def start() -> None:
        mails.append(len(mail.mailbox))

    mail.on_recipient = ["550 5.1.1 no such user"]
    await client.send(ADA, MAIL, start)
    assert mails == []
    await client.send(ADA, MAIL, start)
    assert mails == [0]
    assert len(mail.mailbox) == 1


async def test_a_mail_that_may_not_start_is_not_sent_and_the_connection_is_kept(
    mail: MailServer, client: SmtpClient
) -> None:
    async def stopped() -> Outcome:
        return Outcome("stopped")

    assert await client.send(ADA, MAIL, stopped) == Outcome("stopped")
    assert await client.send(ADA, MAIL, start) == SENT
    assert len(mail.mailbox) == 1
    assert mail.sessions == 1


async def test_on_shutdown_started_mails_are_finished_and_no_other_starts(mail: MailServer) -> None:
    mail.takes = 0.1
    stopping = asyncio.Event()
    client = _client(mail.port, stopping=stopping)
    started, waiting = (asyncio.create_task(client.send(ADA, MAIL, start)) for _ in range(2))
    await mail.has_mail.wait()
    stopping.set()
    assert await started == SENT
    with pytest.raises(NotAccepted):
        await waiting
    assert len(mail.mailbox) == 1
    await client.aclose()


async def test_a_task_that_is_cancelled_during_the_reply_sends_nothing_more(
    mail: MailServer, client: SmtpClient
) -> None:
    async def send_all() -> None:
        while True:
            await client.send(ADA, MAIL, start)

    for wait in range(30):
        sending = asyncio.create_task(send_all())
        for _ in range(wait):
            await asyncio.sleep(0)
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            async with asyncio.timeout(5):
                await sending


async def test_a_connection_that_was_idle_for_long_is_not_reused(mail: MailServer) -> None:
    client = _client(mail.port, idle=0)
    await client.send(ADA, MAIL, start)
    await client.send(ADA, MAIL, start)
    assert mail.sessions == 2
    await client.aclose()


async def test_a_lost_connection_is_opened_again(mail: MailServer, client: SmtpClient) -> None:
    await client.send(ADA, MAIL, start)
    mail.hang_up()
    with pytest.raises(NotAccepted):
        while True:
            await client.send(ADA, MAIL, start)
            mail.hang_up()
    assert await client.send(ADA, MAIL, start) == SENT
