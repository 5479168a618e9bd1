"""Products counted in memory: each facet with all filters but its own, compared with counting one by one."""

from typing import NamedTuple

from hypothesis import given
from hypothesis import strategies as st

from product.browsing_schemas import Filters
from product.counts import Shelf, Shelves, tally
from product.price_ranges import ranges

BOUNDS = [10, 20]


class Thing(NamedTuple):
    category: str | None
    in_stock: bool
    price: int


things = st.lists(
    st.builds(Thing, st.sampled_from(["glass", "wood", None]), st.booleans(), st.integers(0, 30)), max_size=30
)
prices = st.none() | st.integers(0, 30)
filters = st.builds(
    Filters,
    category=st.sampled_from([None, "glass", "wood"]),
    in_stock=st.none() | st.booleans(),
    price_min=prices,
    price_max=prices,
)


def shelved(things: list[Thing]) -> Shelves:
    kinds = {(thing.category, thing.in_stock) for thing in things}
    shelves = [
        Shelf(*kind, sorted(thing.price for thing in things if thing[:2] == kind), None) for kind in kinds
    ]
    return Shelves(shelves, "GBP", BOUNDS)


def count(things: list[Thing], wanted: Filters) -> int:
    return sum(
        wanted.category in (None, thing.category)
        and wanted.in_stock in (None, thing.in_stock)
        and (wanted.price_min is None or thing.price >= wanted.price_min)
        and (wanted.price_max is None or thing.price <= wanted.price_max)
        for thing in things
    )


@given(things, filters)
def test_each_facet_counts_what_its_filter_would_list(things: list[Thing], wanted: Filters) -> None:
    counted = tally(shelved(things).cells(wanted), wanted, BOUNDS)

    def listed(**changed: object) -> int:
        return count(things, wanted.model_copy(update=changed))

    assert counted["total"] == listed()
    assert {one["category"]: one["count"] for one in counted["categories"]} == {
        name: listed(category=name) for name in ("glass", "wood") if listed(category=name)
    }
    assert [one["count"] for one in counted["prices"]] == [
        listed(price_min=first, price_max=last) for first, last in ranges(BOUNDS)
    ]
    assert (counted["in_stock"], counted["out_of_stock"]) == (listed(in_stock=True), listed(in_stock=False))


def test_the_largest_categories_come_first() -> None:
    shelves = Shelves(
        [Shelf(name, True, [1] * n, None) for name, n in (("b", 2), ("a", 2), ("c", 3))], None, []
    )
    wanted = Filters()
    counted = tally(shelves.cells(wanted), wanted, [])
    assert [one["category"] for one in counted["categories"]] == ["c", "a", "b"]
