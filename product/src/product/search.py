"""Searches with spelling correction, and a limit on how many run at once."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

from chassis.errors import Unavailable
from chassis.http.problems import Unprocessable
from product.catalogue import Catalogue, Criteria, Page
from product.spelling import Vocabulary, correct, respell


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
    catalogue: Catalogue, vocabulary: Vocabulary, criteria: Criteria
) -> tuple[Page, dict[str, str]]:
    """The page, and the misspelt words with their corrections if only a corrected search finds anything.
    Raises BadCursor, Unprocessable."""
    if criteria.sort == "relevance" and criteria.q is None:
        raise Unprocessable("`sort=relevance` needs a search: give `q`.")
    page = await catalogue.page(criteria)
    if page.items or criteria.q is None or criteria.cursor is not None:
        return page, {}
    corrected = correct(await vocabulary.words(), criteria.q)
    if corrected:
        page = await catalogue.page(replace(criteria, q=respell(criteria.q, corrected)))
    return page, corrected if page.items else {}
