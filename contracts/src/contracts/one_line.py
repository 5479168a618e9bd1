"""Text that people read as one line: names, categories, the lines of an address.

A line break in a name forges lines of a text mail; a character that turns the direction of writing forges
what stands beside it. So none of Unicode's categories C (controls, formats, surrogates, unassigned), Zl, Zp.
"""

import re
from unicodedata import category, name

from pydantic import AfterValidator

_SPACES = re.compile(" +")

PATTERN = r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029]*$"
"""The most frequent part of the rule, for documents; `one_line` knows all of it."""


def one_line(text: str) -> str:
    """The text itself. Raises ValueError, naming the first character that is not allowed."""
    found = next(filter(_is_refused, text), None) if not text.isprintable() else None
    if found is not None:
        known = name(found, "a control, unassigned or private character")
        raise ValueError(
            f"must be one line without control or format characters: U+{ord(found):04X}, {known}"
        )
    return text


def cleaned(text: str) -> str:
    """One line of it, for text that was taken before it was refused: a break becomes a space, what cannot be
    seen goes. `?` where nothing is left."""
    if text.isprintable() or not any(map(_is_refused, text)):
        return text
    shown = "".join(_shown(character) for character in text)
    return _SPACES.sub(" ", shown).strip(" ") or "?"


OneLine = AfterValidator(one_line)
"""For a field of a request: `Annotated[str, OneLine]`."""

Cleaned = AfterValidator(cleaned)
"""For a field of an event: whoever reads it has one line, whoever wrote it."""


def _is_refused(character: str) -> bool:
    kind = category(character)
    return kind[0] == "C" or kind in ("Zl", "Zp")


def _shown(character: str) -> str:
    if not _is_refused(character):
        return character
    return "" if category(character) == "Cf" else " "
