"""Who gets a place for an event stream, and who gives way."""

from dataclasses import dataclass, field
from itertools import count
from uuid import UUID

import pytest

from order.places import Full, Places

ADA, BOB, EVE = UUID(int=1), UUID(int=2), UUID(int=3)
LANTERN = UUID(int=7)


@dataclass(frozen=True)
class Stream:
    caller: UUID
    order_id: UUID = LANTERN
    number: int = field(default_factory=count().__next__)


def places(*, per_order: int = 100, per_caller: int = 100, most: int = 100) -> Places[Stream]:
    return Places(per_order=per_order, per_caller=per_caller, most=most)


def test_one_too_many_of_an_order_takes_the_place_of_the_callers_oldest_of_it() -> None:
    taken = places(per_order=2)
    elsewhere = Stream(ADA, UUID(int=8))
    first, second, third = Stream(ADA), Stream(ADA), Stream(ADA)
    assert [taken.admit(one) for one in (elsewhere, first, second, third)] == [None, None, None, first]
    assert set(taken) == {elsewhere, second, third}


def test_one_too_many_of_a_caller_takes_the_place_of_its_oldest() -> None:
    taken = places(per_caller=2)
    others = Stream(BOB)
    streams = [Stream(ADA, UUID(int=n)) for n in range(3)]
    assert [taken.admit(one) for one in (others, *streams)] == [None, None, None, streams[0]]


def test_when_all_places_are_taken_whoever_has_the_most_gives_way() -> None:
    taken = places(most=4)
    eves = [Stream(EVE) for _ in range(3)]
    for one in (*eves, Stream(BOB)):
        taken.admit(one)
    assert taken.admit(Stream(ADA)) is eves[0]
    assert len(taken) == 4


def test_nobody_is_left_with_fewer_than_the_newcomer() -> None:
    taken = places(most=4)
    own = Stream(EVE)
    for one in (own, Stream(EVE), Stream(ADA), Stream(BOB)):
        taken.admit(one)
    assert taken.admit(Stream(EVE)) is own


def test_who_has_none_is_turned_away_only_when_everybody_has_one() -> None:
    taken = places(most=2)
    taken.admit(Stream(ADA))
    taken.admit(Stream(BOB))
    with pytest.raises(Full):
        taken.admit(Stream(EVE))
    assert len(taken) == 2


def test_a_place_is_free_again_once_and_for_all() -> None:
    taken = places(most=1)
    first = Stream(ADA)
    taken.admit(first)
    taken.discard(first)
    taken.discard(first)
    assert len(taken) == 0
    assert taken.admit(Stream(BOB)) is None
