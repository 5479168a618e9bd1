"""request-size-limiting, request-transformer and response-transformer, as far as a shop needs them."""

from typing import Annotated, Literal

from pydantic import Field

from standins.gateway.exchange import Answer, Exchange, Headers, Plugin, Strict, TooLarge

_UNITS = {"bytes": 1, "kilobytes": 2**10, "megabytes": 2**20}
HeaderLine = Annotated[str, Field(pattern=r"^[A-Za-z0-9-]+:[^:\s].*$")]


class SizeConfig(Strict):
    allowed_payload_size: int = Field(gt=0)
    size_unit: Literal["bytes", "kilobytes", "megabytes"]
    require_content_length: Literal[False]


class RequestSize(Plugin):
    priority = 951

    def __init__(self, config: SizeConfig) -> None:
        self._limit = config.allowed_payload_size * _UNITS[config.size_unit]

    async def access(self, exchange: Exchange) -> Answer | None:
        declared = exchange.headers.get(b"content-length")
        if declared is None and b"transfer-encoding" in exchange.headers:
            try:
                exchange.body = await exchange.read_body(self._limit)
            except TooLarge:
                return exchange.message(413, "Request size limit exceeded")
            return None
        if declared is None or int(declared) <= self._limit:
            return None
        waits = exchange.headers.get(b"expect", b"").strip().lower() == b"100-continue"
        return exchange.message(417 if waits else 413, "Request size limit exceeded")


class Remove(Strict):
    headers: list[str]


class RequestConfig(Strict):
    remove: Remove


class RequestTransformer(Plugin):
    priority = 801

    def __init__(self, config: RequestConfig) -> None:
        self._remove = frozenset(name.lower().encode() for name in config.remove.headers)

    async def access(self, exchange: Exchange) -> Answer | None:
        exchange.removed |= self._remove
        for name in self._remove & exchange.upstream.keys():
            del exchange.upstream[name]
        return None


class Add(Strict):
    headers: list[HeaderLine]


class ResponseConfig(Strict):
    add: Add


class ResponseTransformer(Plugin):
    priority = 800

    def __init__(self, config: ResponseConfig) -> None:
        lines = [line.split(":", 1) for line in config.add.headers]
        self._add = {name.lower().encode(): value.encode() for name, value in lines}

    def decorate(self, exchange: Exchange, headers: Headers) -> None:
        for name, value in self._add.items():
            headers.setdefault(name, value)
