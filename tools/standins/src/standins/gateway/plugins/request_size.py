"""request-size-limiting: refuses a body by its declared length, or by its real one where none is declared."""

from typing import Literal

from pydantic import Field

from standins.gateway.answers import message
from standins.gateway.body import TooLarge, read_body
from standins.gateway.exchange import Answer, Exchange, Headers
from standins.gateway.strict import Strict

_UNITS = {"bytes": 1, "kilobytes": 2**10, "megabytes": 2**20}


class Config(Strict):
    allowed_payload_size: int = Field(gt=0)
    size_unit: Literal["bytes", "kilobytes", "megabytes"]
    require_content_length: Literal[False]


class Entry(Strict):
    name: Literal["request-size-limiting"]
    config: Config


class RequestSize:
    priority = 951

    def __init__(self, config: Config) -> None:
        self._limit = config.allowed_payload_size * _UNITS[config.size_unit]

    async def access(self, exchange: Exchange) -> Answer | None:
        declared = exchange.headers.get(b"content-length")
        if declared is None and b"transfer-encoding" in exchange.headers:
            return await self._measure(exchange)
        if declared is None or int(declared) <= self._limit:
            return None
        waits = exchange.headers.get(b"expect", b"").strip().lower() == b"100-continue"
        return message(exchange, 417 if waits else 413, "Request size limit exceeded")

    async def _measure(self, exchange: Exchange) -> Answer | None:
        try:
            exchange.body = await read_body(exchange.receive, self._limit)
        except TooLarge:
            return message(exchange, 413, "Request size limit exceeded")
        return None

    def decorate(self, exchange: Exchange, headers: Headers) -> None:
        """Adds nothing."""
