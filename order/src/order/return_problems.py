"""The HTTP problems for what the domain refuses about cancelling, fulfilling, returning and refunding."""

from collections.abc import Iterator
from contextlib import contextmanager

from chassis.http.problems import Conflict, NotFound
from order import returns


class NotPaid(Conflict):
    """409: only a paid order can be fulfilled, returned or refunded."""

    type = "/problems/order-not-paid"
    title = "The order is not paid"


class NotFulfilled(Conflict):
    """409: the order was not fulfilled yet: cancel it instead."""

    type = "/problems/order-not-fulfilled"
    title = "Cancel the order instead"


class Fulfilled(Conflict):
    """409: the order was fulfilled, or returned in part: request a return instead."""

    type = "/problems/order-fulfilled"
    title = "Request a return instead"


class TooLate(Conflict):
    """409: the period for cancelling or returning is over."""

    type = "/problems/too-late-to-return"
    title = "Too late to return the order"


class TooMuch(Conflict):
    """409: more than is left of a line, or of the money; `errors` names the lines."""

    type = "/problems/more-than-is-left"
    title = "More than is left"


class NothingToRefund(Conflict):
    """409: the lines to refund were free; goods without a price come back by a return."""

    type = "/problems/nothing-to-refund"
    title = "Nothing to refund"


class Closed(Conflict):
    """409: this return has already ended in another way."""

    type = "/problems/return-closed"
    title = "The return has ended"


_PROBLEMS = {
    returns.NotPaid: NotPaid,
    returns.NotFulfilled: NotFulfilled,
    returns.Fulfilled: Fulfilled,
    returns.PeriodOver: TooLate,
    returns.NothingToRefund: NothingToRefund,
    returns.Closed: Closed,
}


@contextmanager
def as_problems() -> Iterator[None]:
    """Turns a NotReturnable into its problem."""
    try:
        yield
    except returns.Unknown as unknown:
        raise NotFound(str(unknown)) from None
    except returns.TooMuch as refused:
        raise TooMuch(str(refused), errors=refused.errors) from None
    except returns.NotReturnable as refused:
        raise _PROBLEMS[type(refused)](str(refused)) from None
