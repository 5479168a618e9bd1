"""correlation-id: one id for a request, made here or taken from the client as it is."""

from typing import Literal
from uuid import uuid4

from standins.gateway.exchange import Answer, Exchange, Headers
from standins.gateway.strict import Strict


class Config(Strict):
    header_name: str
    generator: Literal["uuid"]
    echo_downstream: Literal[True]


class Entry(Strict):
    name: Literal["correlation-id"]
    config: Config


class CorrelationId:
    priority = 100001

    def __init__(self, config: Config) -> None:
        self._header = config.header_name.lower().encode()

    async def access(self, exchange: Exchange) -> Answer | None:
        if not exchange.headers.get(self._header):
            exchange.upstream[self._header] = _new()
        return None

    def decorate(self, exchange: Exchange, headers: Headers) -> None:
        given = exchange.headers.get(self._header) or exchange.upstream.get(self._header)
        headers[self._header] = given or _new()


def _new() -> bytes:
    return str(uuid4()).encode()
