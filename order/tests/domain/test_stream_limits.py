"""The limits on open event streams, and which stream is displaced."""

from dataclasses import dataclass, field
from itertools import count
from uuid import UUID

import pytest

from order.streams import Full, StreamLimits

ADA, BOB, EVE = UUID(int=1), UUID(int=2), UUID(int=3)
LANTERN = UUID(int=7)


@dataclass(frozen=True)
class Stream:
    caller: UUID
    order_id: UUID = LANTERN
    number: int = field(default_factory=count().__next__)


def limits(*, per_order: int = 100, per_caller: int = 100, most: int = 100) -> StreamLimits[Stream]:
    return StreamLimits(per_order=per_order, per_caller=per_caller, most=most)


def test_beyond_the_limit_per_order_the_callers_oldest_stream_of_it_is_displaced() -> None:
    open_streams = limits(per_order=2)
    elsewhere = Stream(ADA, UUID(int=8))
    first, second, third = Stream(ADA), Stream(ADA), Stream(ADA)
    assert [open_streams.admit(one) for one in (elsewhere, first, second, third)] == [None, None, None, first]
    assert set(open_streams) == {elsewhere, second, third}


def test_beyond_the_limit_per_caller_its_oldest_stream_is_displaced() -> None:
    open_streams = limits(per_caller=2)
    others = Stream(BOB)
    streams = [Stream(ADA, UUID(int=n)) for n in range(3)]
    assert [open_streams.admit(one) for one in (others, *streams)] == [None, None, None, streams[0]]


def test_beyond_the_total_limit_the_caller_with_the_most_loses_one() -> None:
    open_streams = limits(most=4)
    eves = [Stream(EVE) for _ in range(3)]
    for one in (*eves, Stream(BOB)):
        open_streams.admit(one)
    assert open_streams.admit(Stream(ADA)) is eves[0]
    assert len(open_streams) == 4


def test_no_caller_is_left_with_fewer_streams_than_the_new_one() -> None:
    open_streams = limits(most=4)
    own = Stream(EVE)
    for one in (own, Stream(EVE), Stream(ADA), Stream(BOB)):
        open_streams.admit(one)
    assert open_streams.admit(Stream(EVE)) is own


def test_a_caller_without_streams_is_refused_only_if_every_other_has_one() -> None:
    open_streams = limits(most=2)
    open_streams.admit(Stream(ADA))
    open_streams.admit(Stream(BOB))
    with pytest.raises(Full):
        open_streams.admit(Stream(EVE))
    assert len(open_streams) == 2


def test_discarding_a_stream_twice_frees_it_once() -> None:
    open_streams = limits(most=1)
    first = Stream(ADA)
    open_streams.admit(first)
    open_streams.discard(first)
    open_streams.discard(first)
    assert len(open_streams) == 0
    assert open_streams.admit(Stream(BOB)) is None
