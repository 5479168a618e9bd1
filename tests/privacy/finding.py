"""Looking for values in text, in whatever form they may have got there."""

import base64
import json
from collections.abc import Iterator, Mapping
from urllib.parse import quote, quote_plus

SHORTEST = 12  # anything shorter would be found by chance


def found(values: Mapping[str, str], text: str) -> set[str]:
    """The names of the values that the text holds, each with its form."""
    return {
        f"{name} ({form})"
        for name, value in values.items()
        for form, written in forms(value)
        if written in text
    }


def forms(value: str) -> Iterator[tuple[str, str]]:
    """How the value may be written."""
    assert len(value) >= SHORTEST
    yield "plain", value
    yield "in JSON", json.dumps(value)[1:-1]
    yield "in a URL", quote(value, safe="")
    yield "in a form", quote_plus(value)
    yield "in hexadecimal digits", value.encode().hex()
    for before in range(3):
        for alphabet in (b"+/", b"-_"):
            yield "in base64", _base64(value.encode(), before, alphabet)


def _base64(value: bytes, before: int, alphabet: bytes) -> str:
    """What is the same in any context, if so many bytes precede it in a group of three."""
    written = base64.b64encode(bytes(before) + value, alphabet)
    return written[-(-before * 8 // 6) : (before + len(value)) * 8 // 6].decode()
