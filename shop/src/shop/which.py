"""Which shop a command is about: one that is named, one that the environment names, or the stack here."""

import os

from shop.elsewhere import Elsewhere, told
from shop.errors import ShopError
from shop.local import LocalShop, local_shop


def shop_at(url: str | None = None) -> LocalShop | Elsewhere:
    """The shop at `url`, else at `SHOP_URL`, else the stack. Raises ShopError when there is no such thing."""
    if url is None and os.environ.get("SHOP_URL") and os.environ.get("SHOP_STACK"):
        raise ShopError("SHOP_URL names one shop and --stack or SHOP_STACK another: give one of them")
    if url is None and not os.environ.get("SHOP_URL"):
        return local_shop()
    return Elsewhere(told(url=url))
