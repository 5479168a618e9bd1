"""The HTTP problems of carts: clients tell them apart by their `type`."""

from collections.abc import Iterator
from contextlib import contextmanager

from cart.domain import MOST_LINES, MOST_PIECES, Full, Merged, Stale, TooManyPieces
from chassis.http.problems import Conflict, NotFound, Problem, Unprocessable


class NotForSale(NotFound):
    """404: no such product, or retired."""

    type = "/problems/not-for-sale"
    title = "Not for sale"


class SomeNotForSale(Unprocessable):
    """422: some of the products do not exist or are retired; `skus` names them."""

    type = "/problems/not-for-sale"
    title = "Not for sale"


class CartFull(Conflict):
    """409: the cart has the maximum number of lines."""

    type = "/problems/cart-full"
    title = "The cart is full"


class LineFull(Conflict):
    """409: the cart would have more pieces of the product than a line can have; `quantity` are in it."""

    type = "/problems/too-many-pieces"
    title = "Too many pieces of a product"


class CartMoved(Conflict):
    """409: the guest has logged in, and the cart was moved to the account."""

    type = "/problems/cart-moved"
    title = "The cart has moved to an account"


class CartChanged(Problem):
    """412: the cart is not as `If-Match` expects it; `version` is its version now."""

    status = 412
    type = "/problems/cart-changed"
    title = "The cart has changed"


@contextmanager
def as_problems() -> Iterator[None]:
    """Turns what the domain refuses into problems."""
    try:
        yield
    except Full:
        raise CartFull(f"It has the maximum of {MOST_LINES} lines.") from None
    except TooManyPieces as refused:
        detail = f"A line has at most {MOST_PIECES} pieces, and {refused.pieces} are in the cart."
        raise LineFull(detail, quantity=refused.pieces) from None
    except Merged:
        raise CartMoved("Use the account's token.") from None
    except Stale as refused:
        raise CartChanged("Read the cart again.", version=refused.version) from None
