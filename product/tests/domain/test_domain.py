"""Stock is never oversold or lost, in whatever sequence events arrive."""

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts import Line, StockRejected, StockReleased, StockReserved
from contracts.testing import line, order_created
from product.domain import BelowZero, Hold, NeverReserved, Stock

ORDER = UUID(int=7)
NOW = datetime(2026, 1, 1, tzinfo=UTC)
DEADLINE = NOW + timedelta(minutes=15)


def stocked(**pieces: int) -> dict[str, Stock]:
    return {sku: Stock(sku, on_hand=n, received=n) for sku, n in pieces.items()}


def place(
    order_id: UUID, lines: list[Line], stocks: dict[str, Stock]
) -> tuple[Hold, StockReserved | StockRejected | None]:
    return Hold.place(order_created(order_id=order_id, lines=tuple(lines), deadline=DEADLINE), stocks, NOW)


def test_all_lines_are_reserved() -> None:
    stocks = stocked(lamp=3, vase=1)
    hold, event = place(ORDER, [line("lamp", 2), line("vase", 1)], stocks)
    assert event == StockReserved(order_id=ORDER)
    assert hold.lines == {"lamp": 2, "vase": 1}
    assert (stocks["lamp"].on_hand, stocks["lamp"].reserved) == (1, 2)
    assert (stocks["vase"].on_hand, stocks["vase"].reserved) == (0, 1)


def test_one_short_line_reserves_none_and_is_named() -> None:
    stocks = stocked(lamp=3, vase=1)
    hold, event = place(ORDER, [line("lamp", 2), line("vase", 2)], stocks)
    assert isinstance(event, StockRejected)
    assert [(s.sku, s.wanted, s.available) for s in event.short] == [("vase", 2, 1)]
    assert hold.state == "rejected"
    assert stocks["lamp"].on_hand == 3


def test_unknown_and_retired_products_are_out_of_stock() -> None:
    stocks = {"old": Stock("old", on_hand=5, received=5, status="retired")}
    _, event = place(ORDER, [line("old", 1), line("none", 1)], stocks)
    assert isinstance(event, StockRejected)
    assert [(s.sku, s.available) for s in event.short] == [("old", 0), ("none", 0)]


def test_two_lines_of_one_product_need_their_sum() -> None:
    _, event = place(ORDER, [line("lamp", 2), line("lamp", 2)], stocked(lamp=3))
    assert isinstance(event, StockRejected)


def test_what_was_reserved_is_sold() -> None:
    stocks = stocked(lamp=3)
    hold, _ = place(ORDER, [line("lamp", 2)], stocks)
    hold.sell(stocks)
    assert (stocks["lamp"].on_hand, stocks["lamp"].reserved, stocks["lamp"].sold) == (1, 0, 2)


def test_selling_twice_sells_once() -> None:
    stocks = stocked(lamp=3)
    hold, _ = place(ORDER, [line("lamp", 2)], stocks)
    hold.sell(stocks)
    hold.sell(stocks)
    assert stocks["lamp"].sold == 2


def test_what_was_reserved_is_released() -> None:
    stocks = stocked(lamp=3)
    hold, _ = place(ORDER, [line("lamp", 2)], stocks)
    assert hold.release(stocks) == StockReleased(order_id=ORDER, restocked=False)
    assert (stocks["lamp"].on_hand, stocks["lamp"].reserved) == (3, 0)


def test_what_was_sold_is_restocked() -> None:
    stocks = stocked(lamp=3)
    hold, _ = place(ORDER, [line("lamp", 2)], stocks)
    hold.sell(stocks)
    assert hold.release(stocks) == StockReleased(order_id=ORDER, restocked=True)
    assert (stocks["lamp"].on_hand, stocks["lamp"].sold) == (3, 0)


def test_releasing_twice_puts_back_once() -> None:
    stocks = stocked(lamp=3)
    hold, _ = place(ORDER, [line("lamp", 2)], stocks)
    hold.release(stocks)
    assert hold.release(stocks) is None
    assert stocks["lamp"].on_hand == 3


def test_a_released_hold_sells_nothing() -> None:
    stocks = stocked(lamp=3)
    hold, _ = place(ORDER, [line("lamp", 2)], stocks)
    hold.release(stocks)
    hold.sell(stocks)
    assert (stocks["lamp"].on_hand, stocks["lamp"].sold) == (3, 0)


def test_selling_a_rejected_order_raises() -> None:
    hold, _ = place(ORDER, [line("lamp", 2)], {})
    with pytest.raises(NeverReserved):
        hold.sell({})


def test_only_pieces_on_hand_can_be_written_off() -> None:
    stocks = stocked(lamp=3)
    place(ORDER, [line("lamp", 2)], stocks)
    with pytest.raises(BelowZero):
        stocks["lamp"].adjust(-2)
    assert stocks["lamp"].received == 3


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["place", "sell", "release", "adjust"]), st.integers(0, 3), st.integers(-4, 4)
        ),
        max_size=40,
    )
)
def test_no_sequence_of_events_oversells_or_leaks(actions: list[tuple[str, int, int]]) -> None:
    stock = Stock("lamp", on_hand=5, received=5)
    stocks, holds, adjusted = {"lamp": stock}, dict[int, Hold](), 5
    for action, number, n in actions:
        hold = holds.get(number)
        if action == "place" and hold is None:
            holds[number], _ = place(uuid4(), [line("lamp", abs(n) + 1)], stocks)
        elif action == "sell" and hold is not None and hold.state not in ("rejected", "waiting"):
            hold.sell(stocks)
        elif action == "release" and hold is not None:
            hold.release(stocks)
        elif action == "adjust" and stock.on_hand + n >= 0:
            stock.adjust(n)
            adjusted += n
        for one in holds.values():
            if one.order_id in stock.orders_to_recheck():
                one.recheck(stocks, NOW)
        assert min(stock.on_hand, stock.reserved, stock.sold) >= 0
        assert stock.on_hand + stock.reserved + stock.sold == stock.received == adjusted
        held = dict.fromkeys(("reserved", "sold"), 0)
        for one in holds.values():
            if one.state in held:
                held[one.state] += one.lines["lamp"]
        assert held == {"reserved": stock.reserved, "sold": stock.sold}
        waiting = {one.order_id: one.lines["lamp"] for one in holds.values() if one.state == "waiting"}
        assert stock.waiting == waiting
        assert all(stock.on_hand < n <= stock.on_hand + stock.reserved for n in waiting.values())


def test_only_events_that_are_still_true_are_republished() -> None:
    stocks = stocked(lamp=3)
    before, after = DEADLINE - timedelta(seconds=1), DEADLINE
    hold, event = place(ORDER, [line("lamp", 2)], stocks)
    assert hold.events_to_republish(before) == [event]
    assert hold.events_to_republish(after) == [], "payment must not capture money for it any more"
    released = hold.release(stocks)
    assert hold.events_to_republish(before) == [released]

    sold, _ = place(ORDER, [line("lamp", 2)], stocks)
    sold.sell(stocks)
    assert sold.events_to_republish(before) == []
    restocked = sold.release(stocks)
    assert sold.events_to_republish(after) == [restocked]

    rejected, short = place(ORDER, [line("lamp", 4)], stocks)
    assert rejected.events_to_republish(after) == [short]
    assert Hold(ORDER, "refused").events_to_republish(before) == []


def test_nudges_of_a_stuck_hold_are_limited_and_double_their_pause() -> None:
    hold, now, minute = Hold(ORDER, "reserved"), DEADLINE, timedelta(minutes=1)
    assert [hold.count_nudge(now, minute, 2) for _ in range(4)] == [True, True, False, False]
    assert hold.nudge_at == now + 4 * minute
