"""Evidence from the mailbox: its list of mails, by Mailpit's API."""

import re

import httpx

from shop.http import checked_json
from shop.ledger.evidence import MailRecord

PAGE = 1000
# `<reason.order@host>`, for a partial refund `<refund.order.refund@host>`; `welcome` is about an account.
_MESSAGE_ID = re.compile(
    r"<?(?P<reason>receipt|cancellation|refund|welcome)\.(?P<subject>[0-9a-f-]{36})(?:\.(?P<refund>[0-9a-f-]{36}))?@"
)


async def mails(http: httpx.AsyncClient, mailbox_url: str) -> tuple[MailRecord, ...]:
    """All mails, the newest first. Raises ShopError on an error response."""
    caught: dict[str, MailRecord] = {}
    start = 0
    while True:
        page = checked_json(
            await http.get(f"{mailbox_url}/api/v1/messages", params={"limit": PAGE, "start": start})
        )
        for number, listed in enumerate(page["messages"], start):
            # New mails shift the pages: a page may begin with the end of the one before.
            caught.setdefault(str(listed.get("ID", number)), _mail(listed["MessageID"]))
        start += len(page["messages"])
        if not page["messages"] or start >= page["total"]:
            return tuple(caught.values())


def _mail(message_id: str | None) -> MailRecord:
    ours = _MESSAGE_ID.match(message_id or "")
    if ours is None:
        return MailRecord(None, None, message_id)
    order_id = None if ours["reason"] == "welcome" else ours["subject"]
    return MailRecord(order_id, ours["reason"], message_id, ours["refund"])
