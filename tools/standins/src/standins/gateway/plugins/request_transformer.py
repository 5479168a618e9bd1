"""request-transformer: removes headers before the request reaches the service."""

from typing import Literal

from standins.gateway.exchange import Answer, Exchange, Headers
from standins.gateway.strict import Strict


class Remove(Strict):
    headers: list[str]


class Config(Strict):
    remove: Remove


class Entry(Strict):
    name: Literal["request-transformer"]
    config: Config


class RequestTransformer:
    priority = 801

    def __init__(self, config: Config) -> None:
        self._remove = frozenset(name.lower().encode() for name in config.remove.headers)

    async def access(self, exchange: Exchange) -> Answer | None:
        exchange.removed |= self._remove
        for name in self._remove & exchange.upstream.keys():
            del exchange.upstream[name]
        return None

    def decorate(self, exchange: Exchange, headers: Headers) -> None:
        """Adds nothing."""
