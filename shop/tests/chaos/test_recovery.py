"""How long it took until checkouts ended again."""

from shop.chaos.plan import Fault
from shop.chaos.recovery import Injected, Recovery, longest_pause, recoveries
from shop.chaos.witness import Checkout

FAULT = Fault(3, "kill-broker", "rabbitmq", 0)


def checkout(
    accepted: float, ended: float | None, status: str = "paid", method: str = "pm_card_visa"
) -> Checkout:
    return Checkout("k", "t", "a@example.com", method, accepted_at=accepted, ended_at=ended, status=status)


def recovery(*checkouts: Checkout) -> Recovery:
    [one] = recoveries([Injected(FAULT, 100, 110)], checkouts)
    return one


def test_it_is_over_when_an_order_placed_since_was_paid() -> None:
    before, cancelled = checkout(105, 112), checkout(111, 113, "cancelled")
    assert recovery(before, cancelled, checkout(111, 114.5), checkout(112, 119)).until_paid == 4.5


def test_the_backlog_is_gone_when_all_that_were_pending_have_ended() -> None:
    assert recovery(checkout(90, 109), checkout(95, 131.2), checkout(111, 150)).until_caught_up == 21.2


def test_no_backlog_takes_no_time() -> None:
    assert recovery(checkout(90, 109)).until_caught_up == 0


def test_what_nobody_saw_the_end_of_has_no_time() -> None:
    assert recovery(checkout(95, None)) == Recovery(FAULT, None, None)


def test_the_longest_pause_is_between_two_that_were_paid() -> None:
    checkouts = [
        checkout(1, 20),
        checkout(1, 5),
        checkout(1, 12, "cancelled"),
        checkout(1, 7.5),
        checkout(1, None),
    ]
    assert longest_pause(checkouts) == 12.5
    assert longest_pause([]) == 0


def test_a_card_that_is_slow_by_itself_does_not_count() -> None:
    assert recovery(checkout(95, 190, method="pm_card_sandbox_captureThenTimeout_1")).until_caught_up == 0
