"""The limits on open event streams, and which stream is displaced."""

from uuid import UUID

import pytest
from cryptography.fernet import Fernet

from chassis.messaging.encryption import Cipher
from order.bank_page import Actions
from order.streams import Full, Reader, Stream, StreamLimits

ADA, BOB, EVE = UUID(int=1), UUID(int=2), UUID(int=3)
LANTERN = UUID(int=7)
ACTIONS = Actions(Cipher([Fernet.generate_key().decode()]))


def stream(caller: UUID, order_id: UUID = LANTERN) -> Stream:
    return Stream(order_id, [], 0, ACTIONS, reader=Reader(caller, 0), until=0)


def limits(*, per_order: int = 100, per_caller: int = 100, most: int = 100) -> StreamLimits:
    return StreamLimits(per_order=per_order, per_caller=per_caller, most=most)


def test_beyond_the_limit_per_order_the_callers_oldest_stream_of_it_is_displaced() -> None:
    open_streams = limits(per_order=2)
    elsewhere = stream(ADA, UUID(int=8))
    first, second, third = stream(ADA), stream(ADA), stream(ADA)
    assert [open_streams.admit(one) for one in (elsewhere, first, second, third)] == [None, None, None, first]
    assert set(open_streams) == {elsewhere, second, third}


def test_beyond_the_limit_per_caller_its_oldest_stream_is_displaced() -> None:
    open_streams = limits(per_caller=2)
    others = stream(BOB)
    streams = [stream(ADA, UUID(int=n)) for n in range(3)]
    assert [open_streams.admit(one) for one in (others, *streams)] == [None, None, None, streams[0]]


def test_beyond_the_total_limit_the_caller_with_the_most_loses_one() -> None:
    open_streams = limits(most=4)
    eves = [stream(EVE) for _ in range(3)]
    for one in (*eves, stream(BOB)):
        open_streams.admit(one)
    assert open_streams.admit(stream(ADA)) is eves[0]
    assert len(open_streams) == 4


def test_no_caller_is_left_with_fewer_streams_than_the_new_one() -> None:
    open_streams = limits(most=4)
    own = stream(EVE)
    for one in (own, stream(EVE), stream(ADA), stream(BOB)):
        open_streams.admit(one)
    assert open_streams.admit(stream(EVE)) is own


def test_a_caller_without_streams_is_refused_only_if_every_other_has_one() -> None:
    open_streams = limits(most=2)
    open_streams.admit(stream(ADA))
    open_streams.admit(stream(BOB))
    with pytest.raises(Full):
        open_streams.admit(stream(EVE))
    assert len(open_streams) == 2


def test_discarding_a_stream_twice_frees_it_once() -> None:
    open_streams = limits(most=1)
    first = stream(ADA)
    open_streams.admit(first)
    open_streams.discard(first)
    open_streams.discard(first)
    assert len(open_streams) == 0
    assert open_streams.admit(stream(BOB)) is None
