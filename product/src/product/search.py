"""Searches that forgive: what finds nothing as written is tried again with its words corrected."""

from dataclasses import replace

from chassis.problems import Unprocessable
from product.catalogue import Catalogue, Found, Sought
from product.spelling import Vocabulary, correct, respell


async def search(
    catalogue: Catalogue, vocabulary: Vocabulary, sought: Sought
) -> tuple[Found, dict[str, str]]:
    """What is found, and the words that had to be corrected for it. Raises BadCursor, Unprocessable."""
    if sought.sort == "relevance" and sought.q is None:
        raise Unprocessable("Only a search can be sorted by relevance.")
    found = await catalogue.page(sought)
    if found.items or sought.q is None or sought.cursor is not None:
        return found, {}
    corrected = correct(await vocabulary.words(), sought.q)
    if corrected:
        found = await catalogue.page(replace(sought, q=respell(sought.q, corrected)))
    return found, corrected if found.items else {}
