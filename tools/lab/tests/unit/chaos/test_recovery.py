"""How long the shop took to recover from each fault."""

from lab.chaos.history import Checkout
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


def test_new_orders_recover_when_one_placed_since_is_paid() -> None:
    before, cancelled = checkout(105, 112), checkout(111, 113, "cancelled")
    assert recovery(before, cancelled, checkout(111, 114.5), checkout(112, 119)).until_paid == 4.5


def test_the_backlog_is_worked_off_when_all_pending_orders_have_ended() -> None:
    assert recovery(checkout(90, 109), checkout(95, 131.2), checkout(111, 150)).until_caught_up == 21.2


def test_no_backlog_takes_no_time() -> None:
    assert recovery(checkout(90, 109)).until_caught_up == 0


def test_a_recovery_that_did_not_end_has_no_time() -> None:
    assert recovery(checkout(95, None)) == Recovery(FAULT, None, None)
    assert recovery(checkout(111, None)).alone is None


def test_the_longest_pause_is_between_two_payments() -> None:
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
    """The wait that counts as that of the fault that was over at 110; others began and were over then."""
    injected = [Injected(FAULT, 100, 110), *(Injected(*other) for other in others)]
    return recoveries(injected, [checkout(111, paid)])[0].alone


def test_all_of_the_wait_counts_as_a_single_faults() -> None:
    assert alone() == 20
    assert alone((STALL, 80, 105)) == 20, "what was over before does not count"
    assert alone((STALL, 131, 140)) == 20, "nor what began afterwards"


def test_once_another_fault_begins_the_wait_counts_as_its() -> None:
    assert alone((STALL, 117, 118)) == 7


def test_no_wait_counts_for_a_fault_that_another_outlasts() -> None:
    assert alone((STALL, 105, 112)) is None
    assert alone((STALL, 90, 112)) is None


def test_faults_that_delay_no_order_do_not_count() -> None:
    assert alone((MAIL, 105, 125)) == 20
    [one] = recoveries([Injected(MAIL, 100, 110)], [checkout(111, 130)])
    assert one.alone is None
    assert not Fault(1, "kill-service", "notification-2", 0).can_delay_orders


def test_the_delayed_order_is_the_first_that_was_accepted_and_paid() -> None:
    held, later = checkout(112, 131), checkout(115, 120)
    held.order_ids, later.order_ids = {"first"}, {"later"}
    never = checkout(111, 113, "cancelled")
    assert recovery(later, held, never).held == "first"
