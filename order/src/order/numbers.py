"""An order's number: short enough to say on the phone, and not guessable from another one.

Ten random characters of Crockford's base 32, shown as `K7Q2X-9XMDA`. A sequence would show how many
orders there are. Source: https://www.crockford.com/base32.html
"""

import re
import secrets
from uuid import UUID

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

PATTERN = "^[0-9A-TV-Za-tv-z]{5}[- ]?[0-9A-TV-Za-tv-z]{5}$"
"""What is accepted as a number, for OpenAPI."""

_NUMBER = re.compile(f"([{ALPHABET}]{{5}})([{ALPHABET}]{{5}})")
_MISREAD = str.maketrans("OIL", "011", "- ")


def new() -> str:
    """A random number in its displayed form. The database checks that it is unique."""
    drawn = "".join(secrets.choice(ALPHABET) for _ in range(10))
    return f"{drawn[:5]}-{drawn[5:]}"


def read(text: str) -> str | None:
    """The typed number in its displayed form, or None if it is invalid. Case, dashes and spaces do not
    matter; O is read as 0, I and L as 1."""
    if not text.isascii():
        return None
    found = _NUMBER.fullmatch(text.upper().translate(_MISREAD))
    return f"{found[1]}-{found[2]}" if found else None


def id_or_number(text: str) -> UUID | str:
    """An order's id or number. Raises ValueError if the text is neither."""
    if number := read(text):
        return number
    try:
        return UUID(text)
    except ValueError:
        raise ValueError("must be an order's id or its number, such as K7Q2X-9XMDA") from None
