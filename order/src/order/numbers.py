"""An order's number: short enough to say on the phone, and no other can be guessed from it.

Ten random characters of Crockford's base 32, shown as `K7Q2X-9XMDA`. A sequence would tell everybody how many
orders there are. Source: https://www.crockford.com/base32.html
"""

import re
import secrets
from uuid import UUID

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

PATTERN = "^[0-9A-TV-Za-tv-z]{5}[- ]?[0-9A-TV-Za-tv-z]{5}$"
"""What may be typed, for documents."""

_NUMBER = re.compile(f"([{ALPHABET}]{{5}})([{ALPHABET}]{{5}})")
_MISREAD = str.maketrans("OIL", "011", "- ")


def new() -> str:
    """A number as it is shown; that no other order has it is for the database to say."""
    drawn = "".join(secrets.choice(ALPHABET) for _ in range(10))
    return f"{drawn[:5]}-{drawn[5:]}"


def read(text: str) -> str | None:
    """The number that was typed, as it is shown, or None when it is none. Case, dashes and spaces do not
    matter; O is read as 0, I and L as 1."""
    if not text.isascii():
        return None
    found = _NUMBER.fullmatch(text.upper().translate(_MISREAD))
    return f"{found[1]}-{found[2]}" if found else None


def which(text: str) -> UUID | str:
    """The id or the number that names an order. Raises ValueError when the text is neither."""
    if number := read(text):
        return number
    try:
        return UUID(text)
    except ValueError:
        raise ValueError("must be an order's id or its number, such as K7Q2X-9XMDA") from None
