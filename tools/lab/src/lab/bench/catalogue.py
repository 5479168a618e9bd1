"""A large made-up catalogue, the same every time, and what shoppers ask of it.

As in a language, a few words are in many products and most words in few (Zipf's law). So searches for broad
words, which are the hard ones, are among those that are measured.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from random import Random
from urllib.parse import urlencode

_BROAD = [
    *("set", "red", "white", "small", "glass", "wooden", "vintage", "heart", "blue", "box"),
    *("design", "large", "pack", "paper", "metal"),
]
_SYLLABLES = [consonant + vowel for consonant in "bdfklmnprst" for vowel in "aeo"]
_WORDS = 8000
_CATEGORIES = 40
_SORTS = ("name", "price", "-price", "newest")

Row = tuple[str, str, str, str, str, int, str]
"""sku, name, description, category, currency, price in minor units, picture."""


@dataclass(frozen=True)
class Catalogue:
    """`products` of them, from a seed."""

    products: int
    seed: int = 1

    @cached_property
    def words(self) -> list[str]:
        """The commonest first."""
        dice = Random(self.seed)
        made = {"".join(dice.choices(_SYLLABLES, k=dice.randint(2, 4))) for _ in range(2 * _WORDS)}
        return [*_BROAD, *sorted(made, key=lambda word: (dice.random(), word))][:_WORDS]

    @cached_property
    def _weights(self) -> Sequence[float]:
        return [*accumulate(1 / (rank + 3) for rank in range(len(self.words)))]

    def rows(self) -> Iterator[Row]:
        dice = Random(self.seed)
        for number in range(self.products):
            name = " ".join(self._some(dice, dice.randint(3, 6))).capitalize()
            price = min(int(dice.lognormvariate(6.5, 1)) + 50, 9_999_999)
            description = " ".join(self._some(dice, 20))
            picture = f"/pictures/{number}.svg"
            yield f"P{number:07}", name, description, self._category(dice), "GBP", price, picture

    def stock(self) -> Iterator[tuple[str, int]]:
        """sku and pieces; of one product in ten there are none."""
        dice = Random(self.seed)
        return ((f"P{n:07}", 0 if dice.random() < 0.1 else 50) for n in range(self.products))

    def requests(self) -> dict[str, Callable[[Random], list[str]]]:
        """By name, what makes the paths that a page needs at once."""
        return {
            "list": lambda dice: [self._list(dice)],
            "categories": lambda _: ["/v1/categories"],
            "search": lambda dice: [f"/v1/products?{urlencode(self._search(dice))}"],
            "sorted search": lambda dice: [
                f"/v1/products?{urlencode(self._search(dice) | {'sort': dice.choice(_SORTS)})}"
            ],
            "search and facets": self._search_and_facets,
            "suggestions": lambda dice: [f"/v1/products/suggestions?{urlencode({'q': self._typed(dice)})}"],
            "product": lambda dice: [f"/v1/products/P{dice.randrange(self.products):07}"],
        }

    def _list(self, dice: Random) -> str:
        wanted = {"sort": dice.choice(_SORTS)}
        if dice.random() < 0.7:
            wanted["category"] = self._category(dice)
        if dice.random() < 0.3:
            wanted["in_stock"] = "true"
        if dice.random() < 0.2:
            low = dice.randrange(3000)
            wanted |= {"price_min": str(low), "price_max": str(low + dice.randrange(2000))}
        return f"/v1/products?{urlencode(wanted)}"

    def _search(self, dice: Random) -> dict[str, str]:
        wanted = {"q": " ".join(self._some(dice, dice.choice((1, 1, 2))))}
        if dice.random() < 0.3:
            wanted["category"] = self._category(dice)
        if dice.random() < 0.2:
            wanted |= {"price_max": str(dice.randrange(200, 3000)), "in_stock": "true"}
        return wanted

    def _search_and_facets(self, dice: Random) -> list[str]:
        query = urlencode(self._search(dice))
        return [f"/v1/products?{query}", f"/v1/products/facets?{query}"]

    def _typed(self, dice: Random) -> str:
        """One word in five has two letters exchanged."""
        [word] = self._some(dice, 1)
        typed = word[: dice.randint(1, len(word))]
        if len(typed) > 3 and dice.random() < 0.2:
            at = dice.randrange(1, len(typed) - 1)
            typed = typed[:at] + typed[at + 1] + typed[at] + typed[at + 2 :]
        return typed

    def _some(self, dice: Random, count: int) -> list[str]:
        return dice.choices(self.words, cum_weights=self._weights, k=count)

    def _category(self, dice: Random) -> str:
        return f"category {min(int(dice.expovariate(0.1)), _CATEGORIES - 1):02}"
