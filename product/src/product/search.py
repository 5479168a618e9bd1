"""Searches: misspelt words are corrected by those that the catalogue has, and only so many searches run at
once.

Comparing a word with a large catalogue's vocabulary takes 10 to 20 ms of CPU, and no thread would help, since
the library holds the interpreter's lock. So it is done in slices, between which the event loop does other
work.
"""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TypeVar

from rapidfuzz import process
from rapidfuzz.distance import OSA
from sqlalchemy.ext.asyncio import AsyncEngine

from chassis.errors import Unavailable
from chassis.http.problems import Unprocessable
from chassis.storage.raw_sql import fetch
from product.catalogue import Catalogue, Page
from product.schemas import ListParameters

T = TypeVar("T")

_WORD = re.compile(r"[^\W\d_]+")
_SHORTEST = 4
_LONG = 6
_MAX_DISTANCE = 2  # wrong letters in a word of at least `_LONG` letters; 1 in a shorter one
_MOST = 5  # words that are corrected in one search: each is compared with the whole vocabulary
SLICE = 1000  # words of the vocabulary, for which the event loop is blocked for less than a millisecond

# The commonest words of active products, unstemmed: the search column has only stems.
_WORDS = """
    SELECT word, ndoc FROM ts_stat($$
        SELECT to_tsvector('simple', name || ' ' || coalesce(category, '') || ' ' || description)
        FROM product WHERE status = 'active'$$)
    WHERE length(word) >= 3 AND word !~ '[0-9]' ORDER BY ndoc DESC, word LIMIT 50000
"""


class SearchLimit:
    """Runs at most `at_once` lists and searches at a time, so that a checkout's reads always find a
    connection. The others wait for up to `timeout` seconds."""

    def __init__(self, at_once: int, timeout: float) -> None:
        self._slots = asyncio.Semaphore(at_once)
        self._timeout = timeout

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """Wait for a free slot and occupy it. Raises Unavailable when none becomes free in time."""
        try:
            async with asyncio.timeout(self._timeout):
                await self._slots.acquire()
        except TimeoutError:
            raise Unavailable("Too many searches at once.", retry_after=1) from None
        try:
            yield
        finally:
            self._slots.release()


class Vocabulary:
    """The catalogue's words, read again when a search needs them and they are older than `age` seconds."""

    def __init__(self, engine: AsyncEngine, *, age: float) -> None:
        self._engine = engine
        self._age = age
        self._read_at = float("-inf")
        self._words: dict[str, int] = {}
        self._one_at_a_time = asyncio.Lock()

    async def words(self) -> Mapping[str, int]:
        """Maps each word to how many products have it."""
        async with self._one_at_a_time:
            if time.monotonic() - self._read_at > self._age:
                rows = await fetch(self._engine, _WORDS)
                self._words = {}
                async for some in _slices(rows):
                    self._words.update((row["word"], row["ndoc"]) for row in some)
                self._read_at = time.monotonic()
        return self._words


async def search(
    catalogue: Catalogue, vocabulary: Vocabulary, wanted: ListParameters
) -> tuple[Page, dict[str, str]]:
    """The page, and the misspelt words with their corrections if only a corrected search finds anything.
    Raises BadCursor, Unprocessable."""
    if wanted.sort == "relevance" and wanted.q is None:
        raise Unprocessable("`sort=relevance` needs a search: give `q`.")
    page = await catalogue.page(wanted)
    if page.items or wanted.q is None or wanted.cursor is not None:
        return page, {}
    corrected = await correct(await vocabulary.words(), wanted.q)
    if corrected:
        page = await catalogue.page(wanted.model_copy(update={"q": respell(wanted.q, corrected)}))
    return page, corrected if page.items else {}


async def correct(words: Mapping[str, int], q: str) -> dict[str, str]:
    """Maps each word of the search that the catalogue does not have to the nearest that it has. `words` maps
    the catalogue's words to how many products have them."""
    wrong = {word.lower() for word in _WORD.findall(q)} - words.keys()
    tried = sorted(word for word in wrong if len(word) >= _SHORTEST)[:_MOST]
    nearest = {word: await _nearest(words, word) for word in tried}
    return {word: right for word, right in nearest.items() if right is not None}


def respell(q: str, corrected: Mapping[str, str]) -> str:
    """The search with its words replaced; quotes and operators stay as they are."""
    return _WORD.sub(lambda match: corrected.get(match[0].lower(), match[0]), q)


async def _nearest(words: Mapping[str, int], word: str) -> str | None:
    """Of equally near words the commonest."""
    distance = _MAX_DISTANCE if len(word) >= _LONG else 1
    near: list[tuple[int, int, str]] = []
    async for some in _slices([*words]):
        found = process.extract(word, some, scorer=OSA.distance, score_cutoff=distance, limit=None)
        near += ((apart, -words[other], other) for other, apart, _ in found)
    return min(near)[2] if near else None


async def _slices(items: Sequence[T]) -> AsyncIterator[Sequence[T]]:
    """The items, `SLICE` at a time; other tasks get a turn after each."""
    for start in range(0, len(items), SLICE):
        yield items[start : start + SLICE]
        await asyncio.sleep(0)
