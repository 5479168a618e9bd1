"""One stored message, parsed for reading: headers, text and HTML."""

from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

from standins.mailbox.store import Kept
from standins.mailbox.summary import decode


def summary_json(kept: Kept, copies: int) -> dict[str, Any]:
    """As in the list; `ID` and `MessageID` are named as in Mailpit's. `copies` is how many messages with this
    Message-ID have come in."""
    headers = kept.headers
    return {
        "ID": str(kept.number),
        "received_at": kept.at,
        "envelope_from": kept.sender,
        "envelope_to": kept.recipients,
        "size": kept.size,
        "MessageID": headers.get("message-id"),
        "subject": headers.get("subject", ""),
        "from": headers.get("from", ""),
        "to": headers.get("to", ""),
        "date": headers.get("date"),
        "order_id": headers.get("x-order-id"),
        "reason": headers.get("x-reason"),
        "copies": copies,
    }


def whole_json(kept: Kept, copies: int) -> dict[str, Any]:
    message = _parse(kept.read())
    return summary_json(kept, copies) | {
        "headers": [
            [name, decode(value.encode("utf-8", "surrogateescape"))] for name, value in message.raw_items()
        ],
        "text": body(message, "plain"),
        "html": body(message, "html"),
    }


def html_of(kept: Kept) -> str | None:
    return body(_parse(kept.read()), "html")


def body(message: EmailMessage, kind: str) -> str | None:
    """The text or HTML alternative with plain line ends; None when the message has none that can be read."""
    part = message.get_body((kind,))
    if part is None:
        return None
    try:
        return str(part.get_content()).replace("\r\n", "\n")
    except (LookupError, ValueError):
        payload = part.get_payload(decode=True)
        return payload.decode("utf-8", "replace") if isinstance(payload, bytes) else None


def _parse(raw: bytes) -> EmailMessage:
    return message_from_bytes(raw, policy=policy.default)
