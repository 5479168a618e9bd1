"""Reads mails from a mail catcher by Mailpit's API, which the mailbox stand-in implements in part.

The Message-ID says what a mail is about: `<reason.order@host>`, for partial refunds
`<refund.order.refund@host>`.
"""

import re
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from typing import Any

import httpx

from scenarios.shopper import must

PAGE = 1000
_OURS = re.compile(
    r"^<?(?P<reason>receipt|cancellation|refund|welcome|account)\.(?P<subject>[0-9a-f-]{36})(?:\.(?P<refund>[0-9a-f-]{36}))?@"
)


@dataclass(frozen=True)
class Mail:
    """`order_id` is None for mails that are not about an order, `reason` too for mails that the shop did not
    send; `refund_id` is for partial refunds; `id` is empty if the catcher lists mails but does not show
    them."""

    message_id: str | None
    reason: str | None
    order_id: str | None
    refund_id: str | None = None
    id: str = field(default="", compare=False)


async def mails(http: httpx.AsyncClient, mailbox_url: str, order_id: str | None = None) -> list[Mail]:
    """Newest first; only those of one order if that is given. Raises Unexpected on an error response."""
    wanted: dict[str, str | int] = {"limit": PAGE} | ({"order_id": order_id} if order_id else {})
    caught: dict[str, Mail] = {}
    start = 0
    while True:
        answer = await http.get(f"{mailbox_url}/api/v1/messages", params=wanted | {"start": start})
        page = must(answer, 200)
        for number, listed in enumerate(page["messages"], start):
            # New mails shift the pages: a page may begin with the end of the one before.
            caught.setdefault(str(listed.get("ID", number)), _mail(listed))
        start += len(page["messages"])
        if not page["messages"] or start >= page["total"]:
            return [mail for mail in caught.values() if order_id in (None, mail.order_id)]


async def text_of(http: httpx.AsyncClient, mailbox_url: str, mail: Mail) -> str:
    """The plain text of a mail. Raises Unexpected on an error response."""
    answer = await http.get(f"{mailbox_url}/api/v1/message/{mail.id}/raw")
    if answer.is_error:
        must(answer, 200)
    part = message_from_bytes(answer.content, policy=policy.default).get_body(("plain",))
    return "" if part is None else str(part.get_content()).replace("\r\n", "\n")


def _mail(listed: dict[str, Any]) -> Mail:
    message_id: str | None = listed["MessageID"]
    ours = _OURS.match(message_id or "")
    if ours is None:
        return Mail(message_id, None, None, id=listed.get("ID", ""))
    subject = None if ours["reason"] in ("welcome", "account") else ours["subject"]
    return Mail(message_id, ours["reason"], subject, ours["refund"], listed.get("ID", ""))
