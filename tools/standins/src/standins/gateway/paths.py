"""Request paths: what nginx refuses, how Kong normalises, and what goes upstream.

A path is text in latin-1, one character for each byte.
"""

import re
from typing import Final
from urllib.parse import unquote_to_bytes

_ESCAPE: Final = re.compile(r"%([0-9A-Fa-f]{2})")
_BROKEN: Final = re.compile(r"%(?![0-9A-Fa-f]{2})|%00")
_RESERVED: Final = frozenset("!*'();:@&=+$,/?%#[]")
_UNSAFE: Final = re.compile(r"[^!#$&'()*+,/:;=?@\[\]A-Za-z0-9\-_.~%]")


class BadPath(ValueError):
    """A path that nginx answers with 400."""


def normalise(raw: bytes) -> str:
    """The path that routes are matched against. Raises BadPath above the root and for broken escapes."""
    path = raw.decode("latin-1")
    if not path.startswith("/"):
        raise BadPath(path)
    if "%" in path:
        if _BROKEN.search(path):
            raise BadPath(path)
        _stay_below_the_root(unquote_to_bytes(path).decode("latin-1"))
        path = _ESCAPE.sub(_decode_unreserved, path)
    if "/." in path or "//" in path:
        _stay_below_the_root(path)
        return _without_dots(path)
    return path


def escape(path: str) -> str:
    """The path as it is sent upstream: what is unsafe in a request line is escaped again."""
    return _UNSAFE.sub(lambda found: f"%{ord(found[0]):02X}", path)


def _decode_unreserved(found: re.Match[str]) -> str:
    character = chr(int(found[1], 16))
    return found[0].upper() if character in _RESERVED else character


def _stay_below_the_root(path: str) -> None:
    depth = 0
    for segment in path.split("/"):
        if segment == "..":
            depth -= 1
        elif segment not in ("", "."):
            depth += 1
        if depth < 0:
            raise BadPath(path)


def _without_dots(path: str) -> str:
    kept: list[str] = []
    segments = path.split("/")
    for segment in segments:
        if segment == "..":
            kept.pop()
        elif segment not in ("", "."):
            kept.append(segment)
    closing = "/" if kept and segments[-1] in ("", ".", "..") else ""
    return "/" + "/".join(kept) + closing
