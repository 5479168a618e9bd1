"""An order's id, and its number: short enough to say on the phone, and not guessable from another one.

Ids are UUIDs of version 7, so that newer orders come after older ones. A number is ten random characters of
Crockford's base 32, shown as `K7Q2X-9XMDA`; a sequence would show how many orders there are.
Sources: RFC 9562, section 5.7; https://www.crockford.com/base32.html
"""

import os
import re
import secrets
import time
from uuid import UUID

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

NUMBER_PATTERN = "^[0-9A-TV-Za-tv-z]{5}[- ]?[0-9A-TV-Za-tv-z]{5}$"
"""What is accepted as a number, for OpenAPI."""

_NUMBER = re.compile(f"([{ALPHABET}]{{5}})([{ALPHABET}]{{5}})")
_MISREAD = str.maketrans("OIL", "011", "- ")


def new_order_id() -> UUID:
    """A new id, ordered by time."""
    milliseconds = time.time_ns() // 1_000_000 << 80
    chance = int.from_bytes(os.urandom(10)) & ~(0xF << 76) & ~(0x3 << 62)
    return UUID(int=milliseconds | 0x7 << 76 | 0x2 << 62 | chance)


def new_number() -> str:
    """A random number in its displayed form. The database checks that it is unique."""
    drawn = "".join(secrets.choice(ALPHABET) for _ in range(10))
    return f"{drawn[:5]}-{drawn[5:]}"


def read_number(text: str) -> str | None:
    """The typed number in its displayed form, or None if it is invalid. Case, dashes and spaces do not
    matter; O is read as 0, I and L as 1."""
    if not text.isascii():
        return None
    found = _NUMBER.fullmatch(text.upper().translate(_MISREAD))
    return f"{found[1]}-{found[2]}" if found else None


def id_or_number(text: str) -> UUID | str:
    """An order's id or number. Raises ValueError if the text is neither."""
    if number := read_number(text):
        return number
    try:
        return UUID(text)
    except ValueError:
        raise ValueError("must be an order's id or its number, such as K7Q2X-9XMDA") from None
