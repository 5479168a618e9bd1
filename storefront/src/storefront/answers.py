"""Answers of the API that are the same for everybody, kept as long as the API allows.

A call costs the storefront more than rendering a page. Only what is asked for without a token is kept. A
library for httpx (hishel) was not taken: it keeps answers in SQLite, and what it saves is not the call's cost
here but the network's.
"""

import re
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

_MAX_AGE = re.compile(r"max-age=(\d{1,9})")
MOST = 500  # a list's answer takes some 30 KB


@dataclass(frozen=True)
class Answer:
    """`content` is shared by all who read it: nobody may change it. It may be used until `until`, in seconds
    of the clock, and then again if the API says that its `etag` still names it."""

    content: dict[str, Any]
    etag: str
    until: float


class Answers:
    """At most `most` of them; the one that was not used for the longest time makes room. Source: RFC 9111."""

    def __init__(self, *, most: int = MOST, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = most
        self._clock = clock
        self._kept: OrderedDict[str, Answer] = OrderedDict()

    def find(self, url: str) -> Answer | None:
        """The answer, fresh or not."""
        answer = self._kept.get(url)
        if answer is not None:
            self._kept.move_to_end(url)
        return answer

    def is_fresh(self, answer: Answer) -> bool:
        return self._clock() < answer.until

    def keep(self, url: str, content: dict[str, Any], headers: Mapping[str, str]) -> None:
        """Keep the answer if its `Cache-Control` lets everybody use it, or its `ETag` can be asked about."""
        rules = headers.get("cache-control", "")
        etag = headers.get("etag", "")
        age = _MAX_AGE.search(rules) if "public" in rules else None
        if "no-store" in rules or "private" in rules or not (age or etag):
            self._kept.pop(url, None)
            return
        self._kept[url] = Answer(content, etag, self._clock() + (int(age[1]) if age else 0))
        self._kept.move_to_end(url)
        if len(self._kept) > self._most:
            self._kept.popitem(last=False)
