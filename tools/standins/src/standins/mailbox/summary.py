"""The few headers that a list of mails shows, cut out of the bytes without parsing the whole message."""

import re
from email.header import decode_header, make_header

SHOWN = ("message-id", "subject", "from", "to", "date", "x-order-id", "x-reason")
HEADER = re.compile(
    rf"^({'|'.join(SHOWN)}):[ \t]*([^\r\n]*(?:\r?\n[ \t][^\r\n]*)*)".encode(), re.IGNORECASE | re.MULTILINE
)
FOLD = re.compile(rb"\r?\n[ \t]+")


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
