"""The ledger reads a mailbox by Mailpit's API, which lists mails in pages."""

from uuid import uuid4

import httpx
import pytest

from shop.errors import ShopError
from shop.ledger import gather
from shop.ledger.evidence import MailRecord

ORDER, REFUND, USER = (str(uuid4()) for _ in range(3))
MESSAGE_IDS = [
    f"refund.{ORDER}.{REFUND}@shop.example",
    f"receipt.{ORDER}@shop.example",
    f"welcome.{USER}@shop.example",
    "somebody-else@example.com",
]
MAILS = (
    MailRecord(ORDER, "refund", MESSAGE_IDS[0], REFUND),
    MailRecord(ORDER, "receipt", MESSAGE_IDS[1]),
    MailRecord(None, "welcome", MESSAGE_IDS[2]),
    MailRecord(None, None, MESSAGE_IDS[3]),
)


def mailpit(inbox: list[str], *, arrives: bool = False) -> httpx.AsyncClient:
    """Answers as Mailpit; with `arrives`, a mail arrives after each page."""

    def answer(request: httpx.Request) -> httpx.Response:
        start, limit = (int(request.url.params[name]) for name in ("start", "limit"))
        page = [{"ID": message_id, "MessageID": message_id} for message_id in inbox[start : start + limit]]
        answered = {"total": len(inbox), "messages": page}
        if arrives:
            inbox.insert(0, f"new {len(inbox)}")
        return httpx.Response(200, json=answered)

    return httpx.AsyncClient(transport=httpx.MockTransport(answer))


async def test_a_message_id_says_what_a_mail_is_about() -> None:
    async with mailpit([*MESSAGE_IDS]) as http:
        assert await gather.mails(http, "http://mailpit:8025") == MAILS


async def test_a_mail_that_arrives_between_two_pages_counts_no_other_mail_twice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(gather, "PAGE", 2)
    async with mailpit([*MESSAGE_IDS], arrives=True) as http:
        assert await gather.mails(http, "http://mailpit:8025") == MAILS


async def test_an_empty_mailbox_has_no_mails() -> None:
    async with mailpit([]) as http:
        assert await gather.mails(http, "http://mailpit:8025") == ()


async def test_an_error_response_is_reported() -> None:
    refusing = httpx.MockTransport(lambda _: httpx.Response(503, text="starting"))
    async with httpx.AsyncClient(transport=refusing) as http:
        with pytest.raises(ShopError, match="503"):
            await gather.mails(http, "http://mailpit:8025")
