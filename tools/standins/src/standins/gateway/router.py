"""Request paths, and which route takes a request in the sequence of Kong's default router.

A path is text in latin-1, one character for each byte. What nginx refuses is refused; the rest is normalised
as Kong does. The more kinds of criteria a route has (methods, paths), the earlier it is tried; then
expressions before prefixes, a higher `regex_priority`, a longer prefix. A tie Kong breaks by its ids, this by
the file's sequence.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar
from urllib.parse import unquote_to_bytes

T = TypeVar("T")
# What Rust's and Python's expressions read alike; the rest is refused rather than guessed.
_FOREIGN = re.compile(r"\(\?|\||\\[A-Za-z0-9$]|(?<!\[)\^|\$(?=.)")
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
        _without_dots(unquote_to_bytes(path).decode("latin-1"))
        path = _ESCAPE.sub(_decode_unreserved, path)
    return _without_dots(path) if "/." in path or "//" in path else path


def escape(path: str) -> str:
    """The path as it is sent upstream: what is unsafe in a request line is escaped again."""
    return _UNSAFE.sub(lambda found: f"%{ord(found[0]):02X}", path)


def _is_utf8(path: str) -> bool:
    try:
        return path.isascii() or bool(path.encode("latin-1").decode())
    except UnicodeDecodeError:
        return False


def _decode_unreserved(found: re.Match[str]) -> str:
    character = chr(int(found[1], 16))
    return found[0].upper() if character in _RESERVED else character


def _without_dots(path: str) -> str:
    kept: list[str] = []
    segments = path.split("/")
    for segment in segments:
        if segment == "..":
            if not kept:
                raise BadPath(path)
            kept.pop()
        elif segment not in ("", "."):
            kept.append(segment)
    closing = "/" if kept and segments[-1] in ("", ".", "..") else ""
    return "/" + "/".join(kept) + closing


def compile_path(path: str) -> re.Pattern[str]:
    """A pattern for `match` on a normalised path. Raises ValueError for what may be read in two ways."""
    if not path.startswith("~"):
        if not path.startswith("/") or "%" in path:
            raise ValueError("a path starts with / or ~/ and is not escaped")
        return re.compile(re.escape(path))
    expression = path[1:]
    if not expression.startswith("/") or _FOREIGN.search(expression):
        raise ValueError("a path is a simple expression that starts with ~/")
    try:
        return re.compile(expression[:-1] + r"\Z" if expression.endswith("$") else expression)
    except re.error as error:
        raise ValueError(f"not an expression: {error}") from None


@dataclass(frozen=True, slots=True)
class Rule(Generic[T]):
    """One path of a route, with what happens to requests that it takes."""

    path: str
    methods: frozenset[str]
    regex_priority: int
    target: T

    def rank(self) -> tuple[int, bool, int, int]:
        expression = self.path.startswith("~")
        kinds = 2 if self.methods else 1
        priority = self.regex_priority if expression else 0
        return (-kinds, not expression, -priority, 0 if expression else -len(self.path))


class Router(Generic[T]):
    def __init__(self, rules: Iterable[Rule[T]]) -> None:
        ranked = sorted(rules, key=Rule.rank)
        self._rules = [(compile_path(rule.path), rule) for rule in ranked]
        named = {method for rule in ranked for method in rule.methods}
        self._by_method = {method: self._open_to(method) for method in named}
        self._others = self._open_to("")

    def _open_to(self, method: str) -> list[tuple[Any, T]]:
        return [
            (pattern.match, rule.target)
            for pattern, rule in self._rules
            if not rule.methods or method in rule.methods
        ]

    def find(self, method: str, path: str) -> tuple[T, str] | None:
        """The target of the first rule that takes the request, and the part of the path that it matched. No
        rule takes a path that is not UTF-8."""
        if not _is_utf8(path):
            return None
        for match, target in self._by_method.get(method, self._others):
            found = match(path)
            if found:
                return target, found[0]
        return None
