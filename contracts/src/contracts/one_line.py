"""Text of one line: names, categories, the lines of an address.

A line break in a name could forge lines of a text mail; a character that changes the writing direction could
forge the text beside it. So Unicode's categories C (control, format, surrogate, unassigned), Zl and Zp are
not allowed.
"""

import re
from unicodedata import category, name

from pydantic import AfterValidator

_SPACES = re.compile(" +")

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
    return kind[0] == "C" or kind in ("Zl", "Zp")


def _replacement(character: str) -> str:
    if not _is_forbidden(character):
        return character
    return "" if category(character) == "Cf" else " "
