"""Messages on disk, whole and in order of arrival, in a few files; in memory only what a list shows.

A file holds, for each message, a line of JSON and the bytes as they came, written with one call before the
mail is acknowledged: a killed process loses nothing that it accepted. The oldest go a file at a time. Not
mailbox.Maildir, which syncs a file for each mail and takes 1 ms of CPU more.
"""

import os
import re
import time
from collections import Counter, OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.header import decode_header, make_header
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import orjson

PER_FILE = 1000
SUFFIX = ".mail"
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


class Store:
    def __init__(self, folder: Path, keep: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._keep = folder, keep
        self.messages: OrderedDict[int, StoredMail] = OrderedDict()
        self.copies: Counter[str] = Counter()
        self._next = 1
        for path in sorted(folder.glob(f"*{SUFFIX}")):
            self._next = int(path.stem)
            for message in _read(path):
                self._index(message)
        self._file = -1
        self._open(self._next)

    def keep(self, sender: str, recipients: list[str], raw: bytes) -> int:
        """Stores one message and returns its number. Raises OSError when the disk refuses."""
        if self._next - int(self._path.stem) >= PER_FILE:
            self._open(self._next)
        number, at = self._next, time.time()
        head = orjson.dumps(
            {"number": number, "at": at, "sender": sender, "recipients": recipients, "size": len(raw)}
        )
        entry = b"%b\n%b\n" % (head, raw)
        if os.write(self._file, entry) != len(entry):
            os.ftruncate(self._file, self._end)
            raise OSError("the disk is full")
        offset = self._end + len(head) + 1
        self._end += len(entry)
        self._index(StoredMail(number, at, sender, recipients, len(raw), summarize(raw), self._path, offset))
        return number

    def clear(self) -> int:
        """Deletes all messages; numbers continue, so that no new message has an old number."""
        count = len(self.messages)
        self.messages.clear()
        self.copies.clear()
        self._open(self._next)
        for path in self._folder.glob(f"*{SUFFIX}"):
            if path != self._path:
                path.unlink()
        return count

    def close(self) -> None:
        os.close(self._file)

    def _index(self, message: StoredMail) -> None:
        self.messages[message.number] = message
        self._next = message.number + 1
        self.copies[message.headers.get("message-id", "")] += 1
        while len(self.messages) > self._keep:
            _, oldest = self.messages.popitem(last=False)
            self._forget(oldest)

    def _forget(self, message: StoredMail) -> None:
        name = message.headers.get("message-id", "")
        self.copies[name] -= 1
        if not self.copies[name]:
            del self.copies[name]
        first = next(iter(self.messages.values()))
        if first.file != message.file:
            message.file.unlink(missing_ok=True)

    def _open(self, number: int) -> None:
        if getattr(self, "_file", -1) >= 0:
            os.close(self._file)
        self._path = self._folder / f"{number:010}{SUFFIX}"
        self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        self._end = os.fstat(self._file).st_size


def _read(path: Path) -> Iterator[StoredMail]:
    """The messages of one file; a torn last one, which was never acknowledged, is cut off."""
    content, offset = path.read_bytes(), 0
    while offset < len(content):
        line = content.find(b"\n", offset)
        head: dict[str, Any] = orjson.loads(content[offset:line]) if line > 0 else {"size": len(content)}
        start = line + 1
        if start + head["size"] >= len(content):
            os.truncate(path, offset)
            return
        raw = content[start : start + head["size"]]
        yield StoredMail(**head, headers=summarize(raw), file=path, offset=start)
        offset = start + head["size"] + 1


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
