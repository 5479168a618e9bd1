"""How HTTP tells that something of an order cannot go back: each reason is a problem of its own."""

from collections.abc import Iterator
from contextlib import contextmanager

from chassis.http.problems import Conflict, NotFound
from order import returns


class NotPaid(Conflict):
    """409: only a paid order is fulfilled, returned or refunded."""

    type = "/problems/order-not-paid"
    title = "The order is not paid"


class NotFulfilled(Conflict):
    """409: the goods have not left, so nothing can come back; the order is to be cancelled."""

    type = "/problems/order-not-fulfilled"
    title = "Cancel the order instead"


class Fulfilled(Conflict):
    """409: the goods have left, or came back in part; a return is to be requested."""

    type = "/problems/order-fulfilled"
    title = "Request a return instead"


class TooLate(Conflict):
    """409: it is longer ago than the shop takes orders back."""

    type = "/problems/too-late-to-return"
    title = "Too late to return the order"


class TooMuch(Conflict):
    """409: more than is left, of a line or of the money; `errors` names the lines."""

    type = "/problems/more-than-is-left"
    title = "More than is left"


class Closed(Conflict):
    """409: this return has ended otherwise."""

    type = "/problems/return-closed"
    title = "The return has ended"


_PROBLEMS = {
    returns.NotPaid: NotPaid,
    returns.NotFulfilled: NotFulfilled,
    returns.Fulfilled: Fulfilled,
    returns.PeriodOver: TooLate,
    returns.Closed: Closed,
}


@contextmanager
def told() -> Iterator[None]:
    """Raises the problem for what the domain refuses."""
    try:
        yield
    except returns.Unknown as unknown:
        raise NotFound(str(unknown)) from None
    except returns.TooMuch as refused:
        raise TooMuch(str(refused), errors=refused.errors) from None
    except returns.NotReturnable as refused:
        raise _PROBLEMS[type(refused)](str(refused)) from None
