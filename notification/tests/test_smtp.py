"""Handing letters to a real SMTP server that is not always willing."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from notification.smtp import NotAccepted, Postman, Server

from .mailserver import MailServer, serving

LETTER = b"Subject: x\r\n\r\n.starts with a dot\r\nends\r\n"
ADA = "ada@example.com"


@pytest.fixture
async def postman(mail: MailServer) -> AsyncIterator[Postman]:
    postman = _postman(mail.port)
    yield postman
    await postman.aclose()


def _postman(port: int, *, connections: int = 1, **changed: Any) -> Postman:
    return Postman(Server("127.0.0.1", port, **changed), "shop@example.com", connections=connections)


async def test_a_letter_arrives_as_it_was_written(mail: MailServer, postman: Postman) -> None:
    assert await postman.send(ADA, LETTER) == "sent"
    [envelope] = mail.mailbox
    assert envelope.content == LETTER
    assert envelope.mail_from == "shop@example.com"
    assert envelope.rcpt_tos == [ADA]


async def test_many_letters_share_few_connections(mail: MailServer) -> None:
    postman = _postman(mail.port, connections=3)
    await asyncio.gather(*(postman.send(ADA, LETTER) for _ in range(20)))
    await postman.aclose()
    assert len(mail.mailbox) == 20
    assert mail.sessions == 3


async def test_a_recipient_refused_for_good_is_rejected_and_the_connection_kept(
    mail: MailServer, postman: Postman
) -> None:
    mail.on_recipient = ["550 5.1.1 no such user"]
    assert await postman.send(ADA, LETTER) == "rejected"
    assert await postman.send(ADA, LETTER) == "sent"
    assert mail.sessions == 1


async def test_a_letter_refused_for_good_is_rejected(mail: MailServer, postman: Postman) -> None:
    mail.on_data = ["554 5.7.1 looks like spam"]
    assert await postman.send(ADA, LETTER) == "rejected"
    assert mail.mailbox == []


@pytest.mark.parametrize("when", ["on_recipient", "on_data"])
async def test_a_letter_refused_for_now_is_to_be_tried_again(
    mail: MailServer, postman: Postman, when: str
) -> None:
    setattr(mail, when, [f"451 4.7.1 {ADA} is greylisted"])
    with pytest.raises(NotAccepted) as refused:
        await postman.send(ADA, LETTER)
    assert ADA not in repr(refused.value)
    assert await postman.send(ADA, LETTER) == "sent"


async def test_nobody_listening_is_to_be_tried_again() -> None:
    async with serving() as gone:
        port = gone.port
    with pytest.raises(NotAccepted, match="Connect"):
        await _postman(port).send(ADA, LETTER)


async def test_a_server_that_does_not_answer_is_not_waited_for(mail: MailServer) -> None:
    mail.silent = True
    postman = _postman(mail.port, timeout=2)
    with pytest.raises(NotAccepted):
        await postman.send(ADA, LETTER)
    mail.silent = False
    assert await postman.send(ADA, LETTER) == "sent"
    assert mail.sessions == 2
    await postman.aclose()


async def test_whoever_is_cancelled_as_the_answer_comes_sends_nothing_more(
    mail: MailServer, postman: Postman
) -> None:
    async def send_all() -> None:
        while True:
            await postman.send(ADA, LETTER)

    for wait in range(30):
        sending = asyncio.create_task(send_all())
        for _ in range(wait):
            await asyncio.sleep(0)
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            async with asyncio.timeout(5):
                await sending


async def test_a_connection_that_was_idle_for_long_is_not_trusted(mail: MailServer) -> None:
    postman = _postman(mail.port, idle=0)
    await postman.send(ADA, LETTER)
    await postman.send(ADA, LETTER)
    assert mail.sessions == 2
    await postman.aclose()


async def test_a_server_that_hung_up_is_called_again(mail: MailServer, postman: Postman) -> None:
    await postman.send(ADA, LETTER)
    mail.hang_up()
    with pytest.raises(NotAccepted):
        while True:
            await postman.send(ADA, LETTER)
            mail.hang_up()
    assert await postman.send(ADA, LETTER) == "sent"
