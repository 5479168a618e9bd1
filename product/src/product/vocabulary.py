"""Misspelt words are corrected, and words that are half typed completed, by the words that the catalogue has.

Comparing a word with a large catalogue's vocabulary takes 10 to 20 ms of CPU, and no thread would help, since
the library holds the interpreter's lock. So it is done in slices, between which the event loop does other
work.
"""

import asyncio
import re
from bisect import bisect_left
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from heapq import nsmallest
from typing import TypeVar

from rapidfuzz import process
from rapidfuzz.distance import OSA
from sqlalchemy.ext.asyncio import AsyncEngine

from chassis.storage.raw_sql import fetch
from product.kept import Kept

T = TypeVar("T")

WORD = re.compile(r"[^\W\d_]+")
SHORTEST = 4
_LONG = 6
_MAX_DISTANCE = 2  # wrong letters in a word of at least `_LONG` letters; 1 in a shorter one
_MOST = 5  # words that are corrected in one search: each is compared with the whole vocabulary
SLICE = 1000  # words of the vocabulary, for which the event loop is blocked for less than a millisecond
_LAST_CHARACTER = "\U0010ffff"

# The commonest words of active products, unstemmed: the search column has only stems. Of a large catalogue
# only the newest descriptions are read, which takes a second less than all.
_WORDS = """
    SELECT word, ndoc FROM ts_stat($$
        SELECT to_tsvector('simple', name || ' ' || coalesce(category, ''))
        FROM product WHERE status = 'active'
        UNION ALL (SELECT to_tsvector('simple', description)
            FROM product WHERE status = 'active' ORDER BY created_at DESC, sku DESC LIMIT 20000)$$)
    WHERE length(word) >= 3 AND word !~ '[0-9]' ORDER BY ndoc DESC, word LIMIT 50000
"""


@dataclass(frozen=True)
class Lexicon:
    """In how many names and descriptions each word is, and the words by alphabet."""

    counts: Mapping[str, int]
    words: Sequence[str]

    def starting_with(self, prefix: str) -> Sequence[str]:
        first, last = bisect_left(self.words, prefix), bisect_left(self.words, prefix + _LAST_CHARACTER)
        return self.words[first:last]

    def completions(self, prefix: str, most: int) -> list[str]:
        """The commonest words that start so; the word itself, if it is one, is the first."""
        return self._commonest(self.starting_with(prefix), prefix, most)

    def near_completions(self, prefix: str, most: int) -> list[str]:
        """The commonest words whose beginning is nearest to a misspelt one; the first letter is right."""
        starts = {word[: len(prefix)] for word in self.starting_with(prefix[0])}
        near = process.extract(
            prefix, starts, scorer=OSA.distance, score_cutoff=max_distance(prefix), limit=None
        )
        nearest = min((apart for _, apart, _ in near), default=0)
        found = [word for start, apart, _ in near if apart == nearest for word in self.starting_with(start)]
        return self._commonest(found, prefix, most)

    def _commonest(self, words: Sequence[str], first: str, most: int) -> list[str]:
        return nsmallest(most, words, key=lambda word: (word != first, -self.counts[word], word))


class Vocabulary:
    """The catalogue's words, read again when a search needs them and they are older than `age` seconds."""

    def __init__(self, engine: AsyncEngine, *, age: float) -> None:
        self._engine = engine
        self._lexicon = Kept(self._read, age=age)

    async def lexicon(self) -> Lexicon:
        return await self._lexicon.get()

    async def _read(self) -> Lexicon:
        counts: dict[str, int] = {}
        async for some in _slices(await fetch(self._engine, _WORDS)):
            counts.update((row["word"], row["ndoc"]) for row in some)
        return Lexicon(counts, sorted(counts))


async def correct(words: Mapping[str, int], q: str) -> dict[str, str]:
    """Maps each word of the search that the catalogue does not have to the nearest that it has. `words` maps
    the catalogue's words to how many products have them."""
    wrong = {word.lower() for word in WORD.findall(q)} - words.keys()
    tried = sorted(word for word in wrong if len(word) >= SHORTEST)[:_MOST]
    nearest = {word: await _nearest(words, word) for word in tried}
    return {word: right for word, right in nearest.items() if right is not None}


def respell(q: str, corrected: Mapping[str, str]) -> str:
    """The search with its words replaced; quotes and operators stay as they are."""
    return WORD.sub(lambda match: corrected.get(match[0].lower(), match[0]), q)


def max_distance(word: str) -> int:
    """How many letters of a word may be wrong."""
    return _MAX_DISTANCE if len(word) >= _LONG else 1


async def _nearest(words: Mapping[str, int], word: str) -> str | None:
    """Of equally near words the commonest."""
    near: list[tuple[int, int, str]] = []
    async for some in _slices([*words]):
        found = process.extract(word, some, scorer=OSA.distance, score_cutoff=max_distance(word), limit=None)
        near += ((apart, -words[other], other) for other, apart, _ in found)
    return min(near)[2] if near else None


async def _slices(items: Sequence[T]) -> AsyncIterator[Sequence[T]]:
    """The items, `SLICE` at a time; other tasks get a turn after each."""
    for start in range(0, len(items), SLICE):
        yield items[start : start + SLICE]
        await asyncio.sleep(0)
