"""The catalogue that searches are measured with is the same every time, and has broad and rare words."""

from collections import Counter
from random import Random

from lab.bench.catalogue import Catalogue


def test_it_is_the_same_every_time() -> None:
    assert [*Catalogue(50).rows()] == [*Catalogue(50).rows()]
    assert [sku for sku, _ in Catalogue(50).stock()] == [row[0] for row in Catalogue(50).rows()]


def test_some_words_are_in_many_products_and_most_in_few() -> None:
    words = Counter(
        word for _, name, *_ in Catalogue(2000).rows() for word in dict.fromkeys(name.lower().split())
    )
    counts = sorted(words.values(), reverse=True)
    assert counts[0] > 200
    assert counts[len(counts) // 2] < 5


def test_every_kind_of_request_asks_product() -> None:
    for paths in Catalogue(100).requests().values():
        assert all(path.startswith("/v1/") for path in paths(Random(1)))
