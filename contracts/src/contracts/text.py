"""The texts that services accept in requests: text of one line, mail addresses and stock codes.

A line break in a name could forge lines of a text mail; a character that changes the writing direction could
forge the text beside it. So Unicode's categories C (control, format, surrogate, unassigned), Zl and Zp are
not allowed in text of one line. The two joiners are: Persian and Indic words are written with them, and they
neither break a line nor turn it. Source: RFC 5892, appendix A.1 and A.2.

A mail address is stored in the ASCII form that every mail server accepts: its domain in IDNA form (`xn--…`),
and only ASCII before the @, since other letters need SMTPUTF8. So an address that is accepted before money is
taken can be mailed afterwards. Source: RFC 5321, RFC 5890.
"""

import re
from typing import Annotated
from unicodedata import category, name

from email_validator import validate_email
from pydantic import AfterValidator, Field

_SPACES = re.compile(" +")
_JOINERS = "\u200c\u200d"

PATTERN = r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029]*$"
"""The main part of the rule, for JSON Schemas; `one_line` checks all of it."""


def one_line(text: str) -> str:
    """Returns the text. Raises ValueError, which names the first character that is not allowed."""
    found = next(filter(_is_forbidden, text), None) if not text.isprintable() else None
    if found is not None:
        known = name(found, "a control, unassigned or private character")
        raise ValueError(
            f"must be one line without control or format characters: U+{ord(found):04X}, {known}"
        )
    return text


def cleaned(text: str) -> str:
    """Make one line of text that an older release accepted: breaks become spaces, invisible characters are
    removed. `?` if nothing is left."""
    if text.isprintable() or not any(map(_is_forbidden, text)):
        return text
    line = "".join(_replacement(character) for character in text)
    return _SPACES.sub(" ", line).strip(" ") or "?"


OneLine = AfterValidator(one_line)
"""For fields of requests: `Annotated[str, OneLine]`."""

Cleaned = AfterValidator(cleaned)
"""For fields of events, which then have one line, whatever was published."""


def _is_forbidden(character: str) -> bool:
    kind = category(character)
    return (kind[0] == "C" and character not in _JOINERS) or kind in ("Zl", "Zp")


def _replacement(character: str) -> str:
    if not _is_forbidden(character):
        return character
    return "" if category(character) == "Cf" else " "


def mail_address(text: str) -> str:
    """Normalise an address to ASCII; the case of letters before the @ is kept.

    Raises ValueError, with the reason, for text that is not an address that every mail server accepts.
    """
    known = validate_email(text.strip(), check_deliverability=False, allow_smtputf8=False, strict=True)
    if known.ascii_email is None:
        raise ValueError("must have only ASCII before the @")
    return known.ascii_email


MailAddress = Annotated[
    str,
    Field(max_length=254, json_schema_extra={"format": "email"}, examples=["ada@example.com"]),
    AfterValidator(mail_address),
]
"""For fields of requests, which then have the ASCII form."""

# Events keep the wider type of `contracts.order`: a pattern in their schemas would be a breaking change, and
# would reject events of earlier releases.
SKU_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"
SKU_LENGTH = 32  # characters and bytes: all are ASCII, and none is escaped in a URL

Sku = Annotated[
    str,
    Field(
        min_length=1,
        max_length=SKU_LENGTH,
        pattern=SKU_PATTERN,
        description="Stock code.",
        examples=["85123A"],
    ),
]
"""A sku in a body or a query string."""

_sku = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,31}", re.ASCII)


def is_sku(text: str) -> bool:
    """Whether a product can have this sku."""
    return _sku.fullmatch(text) is not None
