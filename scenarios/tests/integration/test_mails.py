"""Mails are read alike from our own mailbox and from Mailpit."""

import asyncio
import smtplib
from collections.abc import Callable
from email.message import EmailMessage
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from scenarios import mails as reading
from scenarios.mails import Mail, mails, text_of
from standins.mailbox.embedded import embedded
from standins.mailbox.settings import Settings

ORDER, OTHER, USER = (str(uuid4()) for _ in range(3))
CAUGHT = [
    f"receipt.{ORDER}@shop.example",
    f"cancellation.{OTHER}@shop.example",
    f"welcome.{USER}@shop.example",
    "somebody-else@example.com",
    f"receipt.{ORDER}@shop.example",
]


async def test_our_own_mailbox_is_read(tmp_path: Path) -> None:
    settings = Settings(folder=tmp_path, port=0, smtp_port=0)
    async with embedded(settings) as mailbox, httpx.AsyncClient() as http:
        await asyncio.to_thread(_send, mailbox.smtp_port)

        assert [(mail.reason, mail.order_id) for mail in await mails(http, mailbox.url)] == [
            ("receipt", ORDER),
            (None, None),
            ("welcome", None),
            ("cancellation", OTHER),
            ("receipt", ORDER),
        ]
        [cancellation] = await mails(http, mailbox.url, OTHER)
        assert cancellation.reason == "cancellation"
        assert (await text_of(http, mailbox.url, cancellation)).strip() == f"About {OTHER}"


async def test_mailpit_is_read_though_it_does_not_know_orders() -> None:
    async with _mailpit(_inbox(), then=_nothing) as http:
        assert await mails(http, "http://mailpit:8025", OTHER) == [Mail(CAUGHT[1], "cancellation", OTHER)]


async def test_mail_that_comes_while_pages_are_turned_counts_nothing_twice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(reading, "PAGE", 2)
    inbox = _inbox()

    def more_comes() -> None:
        inbox.insert(0, (f"new {len(inbox)}", f"refund.{OTHER}@shop.example"))

    async with _mailpit(inbox, then=more_comes) as http:
        found = await mails(http, "http://mailpit:8025")
    assert [mail.message_id for mail in found] == CAUGHT


async def test_an_empty_mailbox_holds_nothing() -> None:
    async with _mailpit([], then=_nothing) as http:
        assert await mails(http, "http://mailpit:8025") == []


def _inbox() -> list[tuple[str, str]]:
    """Id and Message-ID, the newest first."""
    return [(f"id {number}", one) for number, one in enumerate(CAUGHT)]


def _mailpit(inbox: list[tuple[str, str]], then: Callable[[], None]) -> httpx.AsyncClient:
    """Lists mails as Mailpit does, as far as it is read; then something happens before the next page."""

    def answer(request: httpx.Request) -> httpx.Response:
        start, limit = (int(request.url.params[name]) for name in ("start", "limit"))
        listed = [{"ID": key, "MessageID": one} for key, one in inbox[start : start + limit]]
        listing = {"total": len(inbox), "messages": listed}
        then()
        return httpx.Response(200, json=listing)

    return httpx.AsyncClient(transport=httpx.MockTransport(answer))


def _nothing() -> None:
    pass


def _send(port: int) -> None:
    with smtplib.SMTP("127.0.0.1", port, timeout=5) as client:
        for message_id in CAUGHT:
            letter = EmailMessage()
            letter["Message-ID"] = f"<{message_id}>"
            if message_id.startswith(("receipt", "cancellation")):
                letter["X-Order-Id"] = message_id.partition(".")[2].partition("@")[0]
                letter.set_content(f"About {letter['X-Order-Id']}")
            client.sendmail("shop@example.com", ["ada@example.com"], letter.as_bytes())
