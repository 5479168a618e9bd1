"""How long it took until checkouts ended again."""

from lab.chaos.memory import Checkout
from lab.chaos.plan import Fault
from lab.chaos.recovery import Injected, Recovery, longest_pause, recoveries

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
    assert recovery(checkout(111, None)).alone is None


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


STALL, MAIL = Fault(5, "stall-broker", "order", 9), Fault(5, "mail-slow", "mailbox", 9)


def alone(*others: tuple[Fault, float, float], paid: float = 130) -> float | None:
    """What the fault that was over at 110 is blamed for, beside others that began and were over then."""
    injected = [Injected(FAULT, 100, 110), *(Injected(*other) for other in others)]
    return recoveries(injected, [checkout(111, paid)])[0].alone


def test_a_fault_by_itself_is_blamed_for_all_of_the_wait() -> None:
    assert alone() == 20
    assert alone((STALL, 80, 105)) == 20, "what was over before is not to blame"
    assert alone((STALL, 131, 140)) == 20, "nor what came afterwards"


def test_from_where_another_fault_goes_on_the_wait_is_the_others() -> None:
    assert alone((STALL, 117, 118)) == 7


def test_a_fault_that_ends_while_another_goes_on_is_not_blamed() -> None:
    assert alone((STALL, 105, 112)) is None
    assert alone((STALL, 90, 112)) is None


def test_what_can_hold_no_order_is_neither_blamed_nor_an_excuse() -> None:
    assert alone((MAIL, 105, 125)) == 20
    [one] = recoveries([Injected(MAIL, 100, 110)], [checkout(111, 130)])
    assert one.alone is None
    assert not Fault(1, "kill-service", "notification-2", 0).can_hold_orders


def test_the_order_that_was_held_is_the_first_that_was_accepted_and_paid() -> None:
    held, later = checkout(112, 131), checkout(115, 120)
    held.order_ids, later.order_ids = {"first"}, {"later"}
    never = checkout(111, 113, "cancelled")
    assert recovery(later, held, never).held == "first"
