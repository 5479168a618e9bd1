"""What the rules of orders refuse. The routes turn what a client can cause into HTTP problems."""

from collections.abc import Mapping, Sequence

from contracts import Money, format_amount


class OrderError(Exception):
    """The base of order's errors, besides HTTP problems."""


class Impossible(OrderError):
    """Two events about an order contradict each other: an operator has to investigate."""


class NotOrderable(OrderError):
    """The cart cannot be ordered. `errors` names the refused lines, if it is because of lines."""

    def __init__(self, reason: str, errors: Sequence[Mapping[str, str]] = ()) -> None:
        super().__init__(reason)
        self.errors = errors


class TotalOutOfRange(NotOrderable):
    """The total is more, or less, than can be charged; all amounts in minor units."""

    def __init__(self, total: Money, minimum: int, maximum: int) -> None:
        amount, least, most = (format_amount(one, total.currency) for one in (total.amount, minimum, maximum))
        limit = f"the maximum is {most}" if total.amount > maximum else f"the minimum is {least}"
        super().__init__(f"The total is {amount}; {limit}.")
        self.total = total
        self.minimum = minimum
        self.maximum = maximum


class NotAllowed(OrderError):
    """The order cannot be cancelled, fulfilled, returned or refunded as requested; the message says why."""


class NotPaid(NotAllowed):
    """The order is not paid, or was cancelled since."""


class NotFulfilled(NotAllowed):
    """The order was not fulfilled yet: cancel it instead."""


class CannotBeCancelled(NotAllowed):
    """The order was fulfilled, or returned in part: it cannot be cancelled, only returned."""


class PeriodOver(NotAllowed):
    """The period for cancelling or returning is over."""


class NothingToRefund(NotAllowed):
    """The pieces to refund were free; goods without a price come back by a return."""


class Closed(NotAllowed):
    """The return has already ended in another way."""


class TooMuch(NotAllowed):
    """More than is left of a line, as `errors` says, or of the money."""

    def __init__(self, reason: str, errors: Sequence[Mapping[str, str]] = ()) -> None:
        super().__init__(reason)
        self.errors = errors


class Unknown(NotAllowed):
    """The order has no such return, or no such failed refund."""
