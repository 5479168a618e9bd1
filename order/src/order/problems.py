"""The HTTP problems of orders: clients tell them apart by their `type`."""

from collections.abc import Iterator
from contextlib import contextmanager

from chassis.http.problems import (
    Conflict,
    Forbidden,
    NotFound,
    Problem,
    TooManyRequests,
    Unauthenticated,
    Unprocessable,
)
from order import errors


class CartNotOrderable(Unprocessable):
    """422: the cart cannot be ordered."""

    type = "/problems/cart-not-orderable"
    title = "The cart cannot be ordered"


class TotalNotChargeable(Unprocessable):
    """422: the total is more, or less, than can be charged; `amount`, `minimum` and `maximum` are minor units
    of `currency`."""

    type = "/problems/total-not-chargeable"
    title = "The total cannot be charged"


class TotalChanged(Conflict):
    """409: the total is higher than expected, or the cart has other lines. It has the current total and
    lines, so that the page can show them."""

    type = "/problems/total-changed"
    title = "The cart or its total has changed"


class CartOrdered(Conflict):
    """409: this cart already has an order, pending or paid."""

    type = "/problems/cart-already-ordered"
    title = "The cart has been ordered"


class PlaceAgain(Conflict):
    """409: other orders of the cart were placed and cancelled at the same time, in every attempt."""

    type = "/problems/place-again"
    title = "The order could not be placed at this moment"

    def __init__(self) -> None:
        super().__init__(
            "Other orders of this cart are being placed and cancelled.", headers={"Retry-After": "1"}
        )


class TooManyOpen(Conflict):
    """409: the shopper has the maximum number of pending orders."""

    type = "/problems/too-many-open-orders"
    title = "Too many open orders"


class TooManyPieces(Conflict):
    """409: the guest has the maximum number of pieces of a product in pending orders."""

    type = "/problems/too-many-open-pieces"
    title = "Too many pieces in open orders"


class TooManyDeclined(TooManyRequests):
    """429: too many payments of the shopper, or from the same network, were declined."""

    type = "/problems/too-many-declined"
    title = "Too many declined payments"


class TooManyLines(TooManyRequests):
    """429: the shopper has ordered too many lines in the last minute."""

    type = "/problems/too-many-lines"
    title = "Too many lines in a minute"


class TooManyLargeOrders(TooManyRequests):
    """429: the shared rate of large orders is used up."""

    type = "/problems/too-many-large-orders"
    title = "Too many large orders"


class TooManyLookups(TooManyRequests):
    """429: too many lookups of this number, or from this network, have failed; this one was not made."""

    type = "/problems/too-many-attempts"


class BadLink(Unprocessable):
    """422: the token is invalid, or the order was deleted."""

    type = "/problems/claim-link-not-valid"
    title = "The link is not valid"


class LinkExpired(Problem):
    """410: the link has expired."""

    status = 410
    type = "/problems/claim-link-expired"
    title = "The link has expired"


class LinkUsed(Conflict):
    """409: the order belongs to another account."""

    type = "/problems/claim-link-used"
    title = "The order belongs to an account already"


class AnothersAddress(Forbidden):
    """403: the order has another address than the account."""

    type = "/problems/claim-needs-the-address"
    title = "The account has another address than the order"


class BadStreamTicket(Unauthenticated):
    """401: tampered with, expired, or for another order; the response does not say which."""

    type = "/problems/ticket-not-valid"
    title = "The ticket is not valid"

    def __init__(self) -> None:
        super().__init__("The ticket has expired or is not for this order: get a new one.")


def invalid(pointer: str, detail: str) -> Unprocessable:
    """422: the field of the body at the JSON `pointer` is not valid."""
    errors = [{"pointer": pointer, "detail": detail}]
    return Unprocessable("The request is not valid.", errors=errors)


_NOT_RETURNABLE = {
    errors.NotPaid: ("order-not-paid", "The order is not paid"),
    errors.NotFulfilled: ("order-not-fulfilled", "Cancel the order instead"),
    errors.CannotBeCancelled: ("order-fulfilled", "Request a return instead"),
    errors.PeriodOver: ("too-late-to-return", "Too late to return the order"),
    errors.NothingToRefund: ("nothing-to-refund", "Nothing to refund"),
    errors.Closed: ("return-closed", "The return has ended"),
    errors.TooMuch: ("more-than-is-left", "More than is left"),
}


@contextmanager
def as_problems() -> Iterator[None]:
    """Turns a NotAllowed into its problem: 404 for an unknown return or refund, otherwise 409."""
    try:
        yield
    except errors.Unknown as unknown:
        raise NotFound(str(unknown)) from None
    except errors.NotAllowed as refused:
        kind, title = _NOT_RETURNABLE[type(refused)]
        problem = Conflict(str(refused), type=f"/problems/{kind}", title=title)
        if isinstance(refused, errors.TooMuch):
            problem.extensions["errors"] = refused.errors
        raise problem from None
