"""Searches, facets and suggestions: misspelt words are corrected by those that the catalogue has, and only so
many run at once."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from chassis.errors import Unavailable
from chassis.http.problems import Unprocessable
from contracts import is_sku
from product.browsing_schemas import MOST_SUGGESTIONS, Filters, ListParameters
from product.catalogue import Catalogue, Page
from product.counts import Counts
from product.vocabulary import SHORTEST, Vocabulary, correct, respell

_TOKEN = re.compile(r"[^\W_]+")
_MOST_WORDS = 6  # of what is typed, the last ones
_COMPLETIONS = 5
_RANKED = 200


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


async def search(
    catalogue: Catalogue, vocabulary: Vocabulary, wanted: ListParameters
) -> tuple[Page, dict[str, str]]:
    """The page, and the misspelt words with their corrections if only a corrected search finds anything.
    Raises BadCursor, Unprocessable."""
    if wanted.sort == "relevance" and wanted.q is None:
        raise Unprocessable("`sort=relevance` needs a search: give `q`.")
    page = await catalogue.page(wanted)
    if page.items or page.cursor or wanted.q is None or wanted.cursor is not None:
        return page, {}
    corrected = await correct((await vocabulary.lexicon()).counts, wanted.q)
    if corrected:
        page = await catalogue.page(wanted.model_copy(update={"q": respell(wanted.q, corrected)}))
    return page, corrected if page.items else {}


async def facets(counts: Counts, vocabulary: Vocabulary, wanted: Filters) -> dict[str, Any]:
    """Facets, corrected as the list with these filters is."""
    found = await counts.facets(wanted)
    if wanted.q is None or found["total"] or found["capped"]:
        return {**found, "corrected": {}}
    if corrected := await correct((await vocabulary.lexicon()).counts, wanted.q):
        again = await counts.facets(wanted.model_copy(update={"q": respell(wanted.q, corrected)}))
        if again["total"]:
            return {**again, "corrected": corrected}
    return {**found, "corrected": {}}


async def suggest(
    catalogue: Catalogue, vocabulary: Vocabulary, typed: str
) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """The products that a shopper may be typing the name or the stock code of, the best first, and the
    misspelt words with their corrections."""
    code = typed.strip()
    coded = await catalogue.by_code(code, MOST_SUGGESTIONS) if is_sku(code) else []
    if coded and not code.isalpha():  # no word
        return coded, {}
    named, corrected = await _named(catalogue, vocabulary, typed)
    if coded and corrected:  # what is no word is the beginning of a code
        return coded, {}
    shown = {one["sku"] for one in named}
    return [*named, *(one for one in coded if one["sku"] not in shown)][:MOST_SUGGESTIONS], corrected


async def _named(
    catalogue: Catalogue, vocabulary: Vocabulary, typed: str
) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """The products whose names may be meant.

    The search column has stems, in which what is half typed need not occur: `nest` does not start with
    `nesti`. So the last word is completed by the catalogue's own words, and these are searched for.
    """
    words = [word for word in _TOKEN.findall(typed.lower()) if word != "or"][-_MOST_WORDS:]
    if not words:
        return [], {}
    lexicon = await vocabulary.lexicon()
    *before, last = words
    corrected = await correct(lexicon.counts, " ".join(before))
    completed = lexicon.completions(last, _COMPLETIONS)
    if not completed and len(last) >= SHORTEST:
        completed = lexicon.near_completions(last, _COMPLETIONS)
        corrected |= dict(zip([last], completed, strict=False))
    beginning = " ".join(corrected.get(word, word) for word in before)
    q = " or ".join(f"{beginning} {word}" for word in completed or [last])
    items = await catalogue.best(q, MOST_SUGGESTIONS, _RANKED)
    return items, corrected if items else {}
