"""Forgives misspelt searches: a word that finds nothing is held against the words of the catalogue itself."""

import asyncio
import re
import time
from collections.abc import Callable, Mapping

from rapidfuzz import process
from rapidfuzz.distance import OSA
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

_WORD = re.compile(r"[^\W\d_]+")
_SHORTEST = 4
_FAR = 2  # letters wrong in a long word; in one of fewer than `_LONG` letters a single one is forgiven
_LONG = 6
_MOST = 5  # words that are corrected in one search: each is held against the whole vocabulary

# The commonest words of what is for sale, as they are written: the search column itself knows stems only.
_WORDS = text("""
    SELECT word, ndoc FROM ts_stat($$
        SELECT to_tsvector('simple', name || ' ' || coalesce(category, '') || ' ' || description)
        FROM product WHERE status = 'active'$$)
    WHERE length(word) >= 3 AND word !~ '[0-9]' ORDER BY ndoc DESC, word LIMIT :limit
""")


def correct(words: Mapping[str, int], q: str) -> dict[str, str]:
    """For words of a search that the catalogue does not have, the nearest that it has; `words` says how
    many products have each."""
    wrong = {word.lower() for word in _WORD.findall(q)} - words.keys()
    tried = sorted(word for word in wrong if len(word) >= _SHORTEST)[:_MOST]
    nearest = {word: _nearest(words, word) for word in tried}
    return {word: right for word, right in nearest.items() if right is not None}


def respell(q: str, corrected: Mapping[str, str]) -> str:
    """The search with its words replaced, and its quotes and signs left as they are."""
    return _WORD.sub(lambda match: corrected.get(match[0].lower(), match[0]), q)


def _nearest(words: Mapping[str, int], word: str) -> str | None:
    far = _FAR if len(word) >= _LONG else 1
    near = process.extract(word, words.keys(), scorer=OSA.distance, score_cutoff=far, limit=None)
    return min(near, key=lambda found: (found[1], -words[found[0]], found[0]))[0] if near else None


class Vocabulary:
    """The catalogue's words, read again when a search needs them and they are older than `age` seconds.

    Holds at most `limit` words, the commonest.
    """

    def __init__(
        self,
        engine: AsyncEngine,
        *,
        age: float,
        limit: int = 50_000,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._engine = engine.execution_options(isolation_level="AUTOCOMMIT")
        self._age = age
        self._limit = limit
        self._clock = clock
        self._read_at = float("-inf")
        self._words: dict[str, int] = {}
        self._one_at_a_time = asyncio.Lock()

    async def words(self) -> Mapping[str, int]:
        """Each word, and how many products have it."""
        async with self._one_at_a_time:
            if self._clock() - self._read_at > self._age:
                async with self._engine.connect() as connection:
                    rows = await connection.execute(_WORDS, {"limit": self._limit})
                    self._words = {row.word: row.ndoc for row in rows}
                self._read_at = self._clock()
        return self._words
