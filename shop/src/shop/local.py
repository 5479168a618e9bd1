"""The shop on this machine, where a package that runs one is installed: it is found by its entry point."""

from contextlib import AbstractContextManager
from importlib.metadata import entry_points
from typing import Protocol

from shop.errors import ShopError
from shop.place import Place
from shop.secrets import Secrets

GROUP = "shop.local"


class LocalShop(Place, Protocol):
    """A place whose programs and files can be reached, as well as its addresses."""

    @property
    def secrets(self) -> Secrets: ...

    def addresses(self, service: str) -> dict[str, str]:
        """The base URL of every copy of a service, by the copy's name."""

    def alone(self) -> AbstractContextManager[None]:
        """Nobody else changes it meanwhile. Raises ShopError when somebody does already."""

    def is_running(self) -> bool: ...

    def reload_gateway(self) -> None:
        """Render the gateway's file with the keys as they are, and have it read."""

    def exported(self) -> dict[str, str]:
        """What an operator elsewhere has to be told, by the names of `shop.elsewhere`."""


def local_shop() -> LocalShop:
    """Raises ShopError when there is none, or nothing installed that would run one."""
    for found in entry_points(group=GROUP):
        local: LocalShop = found.load()()
        return local
    raise ShopError("SHOP_URL is not set, and no shop can run here: `shop env` beside one says what it is")
