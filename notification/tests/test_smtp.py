"""Handing letters to a real SMTP server that is not always willing."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from notification.domain import Outcome
from notification.smtp import NotAccepted, Postman, Server

from .mailserver import MailServer, serving

LETTER = b"Subject: x\r\n\r\n.starts with a dot\r\nends\r\n"
ADA = "ada@example.com"
SENT = Outcome("sent")


@pytest.fixture
async def postman(mail: MailServer) -> AsyncIterator[Postman]:
    postman = _postman(mail.port)
    yield postman
    await postman.aclose()


def _postman(
    port: int, *, connections: int = 1, stopping: asyncio.Event | None = None, **changed: Any
) -> Postman:
    server = Server("127.0.0.1", port, **changed)
    return Postman(server, "shop@example.com", connections=connections, stopping=stopping)


async def test_a_letter_arrives_as_it_was_written(mail: MailServer, postman: Postman) -> None:
    assert await postman.send(ADA, LETTER) == SENT
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
    assert await postman.send(ADA, LETTER) == Outcome("rejected", "refused with 550 5.1.1")
    assert await postman.send(ADA, LETTER) == SENT
    assert mail.sessions == 1


async def test_a_letter_refused_for_good_is_rejected(mail: MailServer, postman: Postman) -> None:
    mail.on_data = ["554 5.7.1 looks like spam"]
    assert await postman.send(ADA, LETTER) == Outcome("rejected", "refused with 554 5.7.1")
    assert mail.mailbox == []


@pytest.mark.parametrize("when", ["on_recipient", "on_data"])
async def test_a_letter_refused_for_now_is_to_be_tried_again(
    mail: MailServer, postman: Postman, when: str
) -> None:
    setattr(mail, when, [f"451 4.7.1 {ADA} is greylisted"])
    with pytest.raises(NotAccepted) as refused:
        await postman.send(ADA, LETTER)
    assert ADA not in repr(refused.value)
    assert await postman.send(ADA, LETTER) == SENT


async def test_nobody_listening_is_to_be_tried_again() -> None:
    async with serving() as gone:
        port = gone.port
    with pytest.raises(NotAccepted, match="Connect"):
        await _postman(port).send(ADA, LETTER)


async def test_a_server_that_does_not_greet_is_not_waited_for(mail: MailServer) -> None:
    async def say_nothing(*_: object) -> None:
        await asyncio.Event().wait()

    silent = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
    postman = _postman(silent.sockets[0].getsockname()[1], timeout=0.2)
    with pytest.raises(NotAccepted):
        await postman.send(ADA, LETTER)
    silent.close()


async def test_a_mail_without_an_answer_is_in_doubt_and_its_connection_is_not_used_again(
    mail: MailServer,
) -> None:
    mail.silent = True
    postman = _postman(mail.port, data_timeout=0.2)
    assert (await postman.send(ADA, LETTER)).fate == "in_doubt"
    mail.silent = False
    assert await postman.send(ADA, LETTER) == SENT
    assert mail.sessions == 2
    await postman.aclose()


async def test_a_connection_that_breaks_before_the_answer_leaves_the_mail_in_doubt(
    mail: MailServer, postman: Postman
) -> None:
    mail.silent = True
    sending = asyncio.create_task(postman.send(ADA, LETTER))
    await mail.has_mail.wait()
    mail.hang_up()
    assert (await sending).fate == "in_doubt"


async def test_waiting_for_a_free_connection_is_not_part_of_the_time(mail: MailServer) -> None:
    """A server that takes its time over every mail gets each of them once."""
    mail.takes = 0.4
    postman = _postman(mail.port, connections=2, timeout=1.5)
    outcomes = await asyncio.gather(*(postman.send(ADA, LETTER) for _ in range(16)))
    assert outcomes == [SENT] * 16
    assert len(mail.mailbox) == 16
    await postman.aclose()


async def test_an_answer_is_waited_for_longer_than_all_that_comes_before(mail: MailServer) -> None:
    mail.takes = 2
    postman = _postman(mail.port, timeout=1.5)
    assert await postman.send(ADA, LETTER) == SENT
    assert len(mail.mailbox) == 1
    await postman.aclose()


async def test_a_mail_begins_after_the_recipient_was_taken_and_before_it_is_handed_over(
    mail: MailServer, postman: Postman
) -> None:
    seen: list[int] = []

    async def begin() -> None:
        seen.append(len(mail.mailbox))

    mail.on_recipient = ["550 5.1.1 no such user"]
    await postman.send(ADA, LETTER, begin)
    assert seen == []
    await postman.send(ADA, LETTER, begin)
    assert seen == [0]
    assert len(mail.mailbox) == 1


async def test_what_may_not_begin_is_not_sent_and_the_connection_is_kept(
    mail: MailServer, postman: Postman
) -> None:
    async def stopped() -> Outcome:
        return Outcome("stopped")

    assert await postman.send(ADA, LETTER, stopped) == Outcome("stopped")
    assert await postman.send(ADA, LETTER) == SENT
    assert len(mail.mailbox) == 1
    assert mail.sessions == 1


async def test_once_it_stops_mails_in_hand_are_finished_and_no_other_begins(mail: MailServer) -> None:
    mail.takes = 0.1
    stopping = asyncio.Event()
    postman = _postman(mail.port, stopping=stopping)
    in_hand, waiting = (asyncio.create_task(postman.send(ADA, LETTER)) for _ in range(2))
    await mail.has_mail.wait()
    stopping.set()
    assert await in_hand == SENT
    with pytest.raises(NotAccepted):
        await waiting
    assert len(mail.mailbox) == 1
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
    assert await postman.send(ADA, LETTER) == SENT
