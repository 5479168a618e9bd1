"""Mail comes in as mail clients send it, several at a time, and goes wrong on request."""

import asyncio
import socket
from dataclasses import replace
from email.message import EmailMessage
from typing import Any

import aiosmtplib
import pytest

from standins.mailbox.embedded import Embedded, embedded
from standins.mailbox.settings import Settings

SENDER = "shop@saga.example"


def receipt(number: int = 1, text: str = "Thank you.\n") -> EmailMessage:
    mail = EmailMessage()
    mail["From"] = f"Saga Shop <{SENDER}>"
    mail["To"] = "Ada Lovelace <ada@example.com>"
    mail["Subject"] = f"Your receipt № {number}"
    mail["Message-ID"] = f"<receipt-{number}@saga.example>"
    mail["X-Order-Id"] = f"order-{number}"
    mail["X-Reason"] = "receipt"
    mail.set_content(text)
    mail.add_alternative(f"<p>{text}</p>", subtype="html")
    return mail


def smtp(mailbox: Embedded) -> aiosmtplib.SMTP:
    return aiosmtplib.SMTP(hostname="127.0.0.1", port=mailbox.smtp_port, timeout=5)


async def dialogue(mailbox: Embedded, sent: bytes, *, until: bytes = b"221") -> bytes:
    """The replies to raw bytes, up to the one that is waited for or the end of the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", mailbox.smtp_port)
    writer.write(sent)
    replies = b""
    async with asyncio.timeout(5):
        while until not in replies and (piece := await reader.read(4096)):
            replies += piece
    writer.close()
    return replies


async def test_a_mail_is_stored_with_its_text_html_order_and_reason(mailbox: Embedded) -> None:
    async with smtp(mailbox) as client:
        await client.send_message(receipt())
    [mail] = await mailbox.messages()
    assert (mail["subject"], mail["MessageID"]) == ("Your receipt № 1", "<receipt-1@saga.example>")
    assert (mail["order_id"], mail["reason"], mail["copies"]) == ("order-1", "receipt", 1)
    assert (mail["envelope_from"], mail["envelope_to"]) == (SENDER, ["ada@example.com"])
    assert (mail["from"], mail["to"]) == (f"Saga Shop <{SENDER}>", "Ada Lovelace <ada@example.com>")
    assert (mail["text"].strip(), mail["html"].strip()) == ("Thank you.", "<p>Thank you.\n</p>")
    assert ["X-Reason", "receipt"] in mail["headers"]


async def test_many_mails_come_over_one_connection(mailbox: Embedded) -> None:
    async with smtp(mailbox) as client:
        for number in range(20):
            await client.send_message(receipt(number))
    assert [mail["order_id"] for mail in await mailbox.messages()] == [
        f"order-{number}" for number in range(19, -1, -1)
    ]


async def test_commands_may_come_all_at_once(mailbox: Embedded) -> None:
    one = (
        b"MAIL FROM:<shop@saga.example> SIZE=20 BODY=8BITMIME\r\nRCPT TO:<ada@example.com>\r\nDATA\r\n"
        b"Subject: %d\r\n\r\nHello\r\n.\r\n"
    )
    replies = await dialogue(mailbox, b"EHLO me\r\n" + one % 1 + one % 2 + b"NOOP\r\nQUIT\r\n")
    codes = [line[:3] for line in replies.split(b"\r\n") if line[3:4] == b" "]
    assert codes == [b"220", b"250", *[b"250", b"250", b"354", b"250"] * 2, b"250", b"221"]
    assert [mail["subject"] for mail in await mailbox.messages()] == ["2", "1"]


async def test_a_mail_may_come_in_the_smallest_pieces(mailbox: Embedded) -> None:
    sent = b"HELO me\r\nMAIL FROM:<>\r\nRCPT TO:<a@b.c>\r\nDATA\r\nSubject: x\r\n\r\nHi\r\n.\r\nQUIT\r\n"
    reader, writer = await asyncio.open_connection("127.0.0.1", mailbox.smtp_port)
    writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for byte in sent:
        writer.write(bytes([byte]))
        await writer.drain()
    async with asyncio.timeout(5):
        assert b"221" in await reader.read()
    writer.close()
    [mail] = await mailbox.messages()
    assert (mail["subject"], mail["text"].strip(), mail["envelope_from"]) == ("x", "Hi", "")


@pytest.mark.parametrize("text", [".\n", "..\n", ".dot\n..dots\nend\n", "a\n.\nb\n"])
async def test_dots_at_the_start_of_a_line_survive(mailbox: Embedded, text: str) -> None:
    async with smtp(mailbox) as client:
        await client.send_message(receipt(text=text))
    [mail] = await mailbox.messages()
    assert mail["text"] == text


async def test_only_a_dot_between_proper_line_ends_ends_a_mail(mailbox: Embedded) -> None:
    smuggled = b"one\n.\nMAIL FROM:<evil@x.y>\r\ntwo\r\n.\r\n"
    await dialogue(
        mailbox, b"HELO me\r\nMAIL FROM:<a@b.c>\r\nRCPT TO:<d@e.f>\r\nDATA\r\n\r\n" + smuggled + b"QUIT\r\n"
    )
    [mail] = await mailbox.messages()
    assert "evil" in mail["text"]


async def test_a_mail_that_is_too_long_is_refused_and_the_next_one_taken(mailbox: Embedded) -> None:
    async with smtp(mailbox) as client:
        with pytest.raises(aiosmtplib.SMTPResponseException) as caught:
            await client.send_message(receipt(text="x" * 70 + "\n" + "long line\n" * 20_000))
        assert caught.value.code == 552
        await client.send_message(receipt(2))
    assert [mail["order_id"] for mail in await mailbox.messages()] == ["order-2"]


async def test_a_mail_that_is_too_long_is_refused_without_a_declared_size(mailbox: Embedded) -> None:
    sent = (
        b"HELO me\r\nMAIL FROM:<a@b.c>\r\nRCPT TO:<d@e.f>\r\nDATA\r\n" + b"x" * 300_000 + b"\r\n.\r\nQUIT\r\n"
    )
    assert b"552" in await dialogue(mailbox, sent)
    assert await mailbox.messages() == []


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (b"MAIL FROM:<a@b.c>\r\n", b"503"),
        (b"HELO me\r\nRCPT TO:<a@b.c>\r\n", b"503"),
        (b"HELO me\r\nMAIL FROM:<a@b.c>\r\nDATA\r\n", b"503"),
        (b"HELO me\r\nMAIL FROM:<a@b.c>\r\nMAIL FROM:<a@b.c>\r\n", b"503"),
        (b"HELO me\r\nMAIL TO:<a@b.c>\r\n", b"501"),
        (b"HELO me\r\nMAIL FROM:<a@b.c>\r\nRCPT TO:<nobody>\r\n", b"501"),
        (b"HELO me\r\nMAIL FROM:<a@b.c>\r\n" + b"RCPT TO:<a@b.c>\r\n" * 4, b"452"),
        (b"WHAT\r\n", b"500"),
        (b"x" * 5000, b"500"),
        (b"WHAT\r\n" * 20, b"421"),
    ],
)
async def test_a_wrong_command_is_refused(mailbox: Embedded, sent: bytes, code: bytes) -> None:
    assert code + b" " in await dialogue(mailbox, sent, until=code)


async def test_a_deferred_mail_is_not_kept_until_it_comes_again(mailbox: Embedded) -> None:
    await mailbox.fault(kind="defer", count=2)
    async with smtp(mailbox) as client:
        for _ in range(2):
            with pytest.raises(aiosmtplib.SMTPDataError) as caught:
                await client.send_message(receipt())
            assert caught.value.code == 451
        assert await mailbox.messages() == []
        await client.send_message(receipt())
    assert len(await mailbox.messages()) == 1


async def test_a_mail_can_be_accepted_and_the_reply_lost(mailbox: Embedded) -> None:
    await mailbox.fault(kind="accept_then_disconnect")
    client = smtp(mailbox)
    await client.connect()
    with pytest.raises(aiosmtplib.SMTPServerDisconnected):
        await client.send_message(receipt())
    async with smtp(mailbox) as again:
        await again.send_message(receipt())
    assert [mail["copies"] for mail in await mailbox.messages(message_id="<receipt-1@saga.example>")] == [
        2,
        2,
    ]


async def test_a_slow_answer_comes_after_its_time_and_the_mail_is_kept_once(mailbox: Embedded) -> None:
    await mailbox.fault(kind="slow", seconds=0.3, count=2)
    began = asyncio.get_running_loop().time()
    async with smtp(mailbox) as client:
        await client.send_message(receipt(1))
        await client.send_message(receipt(2))
        assert asyncio.get_running_loop().time() - began > 0.55
        await client.send_message(receipt(3))
    assert [mail["order_id"] for mail in await mailbox.messages()] == ["order-3", "order-2", "order-1"]


async def test_a_slow_mail_is_stored_though_its_client_has_gone(mailbox: Embedded) -> None:
    await mailbox.fault(kind="slow", seconds=0.3)
    client = smtp(mailbox)
    await client.connect()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await client.send_message(receipt())
    client.close()
    async with asyncio.timeout(5):
        while not await mailbox.messages():
            await asyncio.sleep(0.05)


async def test_a_fault_hits_only_mails_to_its_recipient(mailbox: Embedded) -> None:
    await mailbox.fault(kind="reject", recipient="bob@example.com")
    async with smtp(mailbox) as client:
        await client.send_message(receipt())
        with pytest.raises(aiosmtplib.SMTPDataError) as caught:
            await client.send_message(receipt(2), recipients=["bob@example.com"])
    assert caught.value.code == 550
    assert [mail["order_id"] for mail in await mailbox.messages()] == ["order-1"]
    assert (await mailbox.ask("GET", "/_mailbox/faults"))[1] == {"faults": []}


async def test_a_planned_fault_can_be_deleted(mailbox: Embedded) -> None:
    await mailbox.fault(kind="disconnect", count=100)
    await mailbox.ask("DELETE", "/_mailbox/faults")
    async with smtp(mailbox) as client:
        await client.send_message(receipt())


@pytest.mark.parametrize(
    "fault",
    [
        {},
        {"kind": "rain"},
        {"kind": "defer", "count": 0},
        [1],
        {"kind": "defer", "x": 1},
        {"kind": "slow", "seconds": -1},
    ],
)
async def test_a_fault_that_makes_no_sense_is_refused(mailbox: Embedded, fault: Any) -> None:
    status, problem = await mailbox.ask("POST", "/_mailbox/faults", fault)
    assert (status, problem["status"]) == (400, 400)


async def test_an_idle_connection_is_closed_with_421(settings: Settings) -> None:
    async with embedded(replace(settings, idle=0.2)) as mailbox:
        assert b"421" in await dialogue(mailbox, b"NOOP\r\n", until=b"421")


async def test_connections_past_the_limit_are_refused(settings: Settings) -> None:
    async with embedded(replace(settings, connections=1)) as mailbox, smtp(mailbox) as first:
        assert b"421" in await dialogue(mailbox, b"", until=b"421")
        await first.send_message(receipt())
