"""A stored mail: the headers that a list shows, cut out of the bytes, and the whole of it, parsed."""

import re
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.header import decode_header, make_header
from email.message import EmailMessage
from pathlib import Path
from typing import Any

SHOWN = ("message-id", "subject", "from", "to", "date", "x-order-id", "x-reason")
HEADER = re.compile(
    rf"^({'|'.join(SHOWN)}):[ \t]*([^\r\n]*(?:\r?\n[ \t][^\r\n]*)*)".encode(), re.IGNORECASE | re.MULTILINE
)
FOLD = re.compile(rb"\r?\n[ \t]+")


@dataclass(frozen=True, slots=True)
class StoredMail:
    """Its envelope, the headers of the list, and where its bytes are."""

    number: int
    at: float
    sender: str
    recipients: list[str]
    size: int
    headers: dict[str, str]
    file: Path
    offset: int

    def read(self) -> bytes:
        with self.file.open("rb") as file:
            file.seek(self.offset)
            return file.read(self.size)

    def summary(self, copies: int) -> dict[str, Any]:
        """As in the list; `ID` and `MessageID` are named as in Mailpit's. `copies` is how many messages with
        this Message-ID have come in."""
        headers = self.headers
        return {
            "ID": str(self.number),
            "received_at": self.at,
            "envelope_from": self.sender,
            "envelope_to": self.recipients,
            "size": self.size,
            "MessageID": headers.get("message-id"),
            "subject": headers.get("subject", ""),
            "from": headers.get("from", ""),
            "to": headers.get("to", ""),
            "date": headers.get("date"),
            "order_id": headers.get("x-order-id"),
            "reason": headers.get("x-reason"),
            "copies": copies,
        }

    def whole(self, copies: int) -> dict[str, Any]:
        message = message_from_bytes(self.read(), policy=policy.default)
        headers = [(name, value.encode("utf-8", "surrogateescape")) for name, value in message.raw_items()]
        return self.summary(copies) | {
            "headers": [[name, decode(value)] for name, value in headers],
            "text": _body(message, "plain"),
            "html": _body(message, "html"),
        }

    def html(self) -> str | None:
        return _body(message_from_bytes(self.read(), policy=policy.default), "html")


def summarize(raw: bytes) -> dict[str, str]:
    """Lower-case header names and their values, decoded; the first of each counts."""
    end = raw.find(b"\r\n\r\n")
    found: dict[str, str] = {}
    for match in HEADER.finditer(raw, 0, len(raw) if end < 0 else end + 2):
        found.setdefault(match[1].decode().lower(), decode(match[2]))
    return found


def decode(value: bytes) -> str:
    """A header's value on one line, its encoded words read."""
    text = FOLD.sub(b" ", value).decode("utf-8", "replace").strip()
    if "=?" not in text:
        return text
    try:
        return str(make_header(decode_header(text)))
    except (LookupError, ValueError):
        return text


def _body(message: EmailMessage, kind: str) -> str | None:
    """The text or HTML alternative with plain line ends; None when the message has none that can be read."""
    part = message.get_body((kind,))
    if part is None:
        return None
    try:
        return str(part.get_content()).replace("\r\n", "\n")
    except (LookupError, ValueError):
        payload = part.get_payload(decode=True)
        return payload.decode("utf-8", "replace") if isinstance(payload, bytes) else None
