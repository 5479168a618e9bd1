"""Mail that was accepted is kept, found again and shown harmlessly."""

import asyncio
import os
import re
import signal
import smtplib
import sys
from dataclasses import replace
from email.message import EmailMessage
from pathlib import Path

import pytest

from standins.mailbox.embedded import Embedded, embedded
from standins.mailbox.settings import Settings
from standins.mailbox.store import PER_FILE, Store

PORT = re.compile(rb"SMTP running on [\d.]+:(\d+)")


def mail(number: int, reason: str = "receipt") -> bytes:
    return (
        f"Subject: Mail {number}\r\nMessage-ID: <{number}@x>\r\nX-Order-Id: order-{number}\r\n"
        f"X-Reason: {reason}\r\n\r\nText {number}\r\n"
    ).encode()


def send(mailbox: Embedded, *mails: bytes, to: str = "ada@example.com") -> None:
    with smtplib.SMTP("127.0.0.1", mailbox.smtp_port, timeout=5) as client:
        for one in mails:
            client.sendmail("shop@saga.example", [to], one)


async def test_mails_are_found_by_order_reason_message_id_and_recipient(mailbox: Embedded) -> None:
    await asyncio.to_thread(send, mailbox, mail(1), mail(2, "refund"), mail(1))
    await asyncio.to_thread(send, mailbox, mail(3), to="bob@example.com")

    async def found(**query: str) -> list[str]:
        return [one["order_id"] for one in await mailbox.messages(**query)]

    assert await found(order_id="order-1") == ["order-1", "order-1"]
    assert await found(reason="refund") == ["order-2"]
    assert await found(message_id="<3@x>") == ["order-3"]
    assert await found(to="bob@example.com") == ["order-3"]
    assert await found(order_id="order-9") == []


async def test_a_long_list_comes_in_pages(mailbox: Embedded) -> None:
    await asyncio.to_thread(send, mailbox, *(mail(number) for number in range(5)))
    _, page = await mailbox.ask("GET", "/api/v1/messages", limit="2")
    assert (page["total"], [one["order_id"] for one in page["messages"]]) == (5, ["order-4", "order-3"])
    _, page = await mailbox.ask("GET", "/api/v1/messages", limit="9", start="2")
    assert [one["order_id"] for one in page["messages"]] == ["order-2", "order-1", "order-0"]
    assert (await mailbox.ask("GET", "/api/v1/messages", limit="many"))[0] == 400


async def test_the_oldest_mails_go(settings: Settings) -> None:
    async with embedded(replace(settings, keep=3)) as mailbox:
        await asyncio.to_thread(send, mailbox, *(mail(number) for number in range(5)))
        assert [one["order_id"] for one in await mailbox.messages()] == ["order-4", "order-3", "order-2"]


def test_files_go_when_all_that_is_in_them_is_gone(tmp_path: Path) -> None:
    store = Store(tmp_path, keep=PER_FILE)
    for number in range(2 * PER_FILE + 1):
        store.keep("a@b.c", ["d@e.f"], mail(number))
    assert len(list(tmp_path.iterdir())) == 2
    assert len(store.messages) == PER_FILE
    assert len(store.copies) == PER_FILE
    store.close()


async def test_all_mails_can_be_deleted_and_numbers_continue(settings: Settings) -> None:
    async with embedded(settings) as mailbox:
        await asyncio.to_thread(send, mailbox, mail(1), mail(2))
        assert await mailbox.ask("DELETE", "/api/v1/messages") == (200, {"deleted": 2})
        assert await mailbox.messages() == []
    async with embedded(settings) as mailbox:
        await asyncio.to_thread(send, mailbox, mail(3))
        assert [one["ID"] for one in await mailbox.messages()] == ["3"]


async def test_a_killed_mailbox_keeps_what_it_accepted(settings: Settings) -> None:
    env = os.environ | {"MAILBOX_FOLDER": str(settings.folder), "PORT": "0", "SMTP_PORT": "0"}
    command = (sys.executable, "-m", "standins.mailbox")
    child = await asyncio.create_subprocess_exec(*command, env=env, stderr=asyncio.subprocess.PIPE)
    assert child.stderr is not None
    async with asyncio.timeout(20):
        while not (found := PORT.search(await child.stderr.readline())):
            assert child.returncode is None, "the mailbox ended"

    def hand_in() -> None:
        with smtplib.SMTP("127.0.0.1", int(found[1]), timeout=5) as client:
            for number in range(3):
                client.sendmail("shop@saga.example", ["ada@example.com"], mail(number))

    await asyncio.to_thread(hand_in)
    child.send_signal(signal.SIGKILL)
    await child.wait()
    async with embedded(settings) as mailbox:
        assert [one["text"] for one in await mailbox.messages()] == ["Text 2\n", "Text 1\n", "Text 0\n"]


@pytest.mark.parametrize("torn", [b'{"number":2,', b'{"number":2,"at":1.0,"size":400}\nSubject: cut of'])
async def test_a_torn_last_mail_is_forgotten(settings: Settings, torn: bytes) -> None:
    async with embedded(settings) as mailbox:
        await asyncio.to_thread(send, mailbox, mail(1))
    [file] = settings.folder.iterdir()
    with file.open("ab") as journal:
        journal.write(torn)
    async with embedded(settings) as mailbox:
        await asyncio.to_thread(send, mailbox, mail(2))
        assert [one["order_id"] for one in await mailbox.messages()] == ["order-2", "order-1"]
    async with embedded(settings) as mailbox:
        assert len(await mailbox.messages()) == 2


async def test_a_mails_html_is_caged(mailbox: Embedded) -> None:
    message = EmailMessage()
    message["Subject"] = "Hello"
    message.set_content("plain")
    message.add_alternative("<script>alert(1)</script><p>rich</p>", subtype="html")
    await asyncio.to_thread(send, mailbox, message.as_bytes())
    async with mailbox.http.get(f"{mailbox.url}/api/v1/messages/1/html") as answer:
        policy = answer.headers["content-security-policy"]
        assert "<p>rich</p>" in await answer.text()
    assert policy.startswith("sandbox; default-src 'none'")
    assert "script" not in policy


async def test_the_page_and_its_files_are_served(mailbox: Embedded) -> None:
    async with mailbox.http.get(f"{mailbox.url}/") as answer:
        content = await answer.text()
        assert "default-src 'self'" in answer.headers["content-security-policy"]
    assert "<title>Mailbox</title>" in content
    for path in re.findall(r'(?:href|src)="(/page/[^"]+)"', content):
        async with mailbox.http.get(f"{mailbox.url}{path}") as part:
            assert part.status == 200, path


async def test_a_missing_mail_is_a_problem(mailbox: Embedded) -> None:
    for path in ("", "/html", "/raw"):
        status, problem = await mailbox.ask("GET", f"/api/v1/messages/7{path}")
        assert (status, problem["status"]) == (404, 404)


@pytest.mark.parametrize(
    "strange",
    [
        b"",
        b"no headers at all",
        b"Subject: =?utf-8?q?broken\r\n\r\n",
        b"Subject: =?nonsense?b?AAAA?=\r\nContent-Type: text/plain; charset=klingon\r\n\r\nqapla\xff",
        b"Content-Type: multipart/mixed\r\n\r\nno boundary",
        "Subject: Grüße\r\n\r\nübrigens".encode(),
        b"To: <<>,;\r\nDate: yesterday\r\nMessage-ID: <<\r\n\r\nx",
    ],
)
async def test_a_strange_mail_can_be_shown(mailbox: Embedded, strange: bytes) -> None:
    await asyncio.to_thread(send, mailbox, strange)
    assert len(await mailbox.messages()) == 1


async def test_a_mailbox_that_cannot_start_says_in_one_line_what_to_do(tmp_path: Path) -> None:
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "standins.mailbox"),
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"]},
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(20):
        _, stderr = await child.communicate()
    assert (child.returncode, stderr) == (1, b"mailbox: set MAILBOX_FOLDER (or MAILBOX_FOLDER_FILE)\n")
