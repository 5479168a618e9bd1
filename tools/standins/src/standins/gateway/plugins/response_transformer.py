"""response-transformer: adds headers that an answer lacks, the gateway's own answers included."""

from typing import Annotated, Literal

from pydantic import Field

from standins.gateway.exchange import Answer, Exchange, Headers
from standins.gateway.strict import Strict

HeaderLine = Annotated[str, Field(pattern=r"^[A-Za-z0-9-]+:[^:\s].*$")]


class Add(Strict):
    headers: list[HeaderLine]


class Config(Strict):
    add: Add


class Entry(Strict):
    name: Literal["response-transformer"]
    config: Config


class ResponseTransformer:
    priority = 800

    def __init__(self, config: Config) -> None:
        lines = [line.split(":", 1) for line in config.add.headers]
        self._add = {name.lower().encode(): value.encode() for name, value in lines}

    async def access(self, exchange: Exchange) -> Answer | None:
        return None

    def decorate(self, exchange: Exchange, headers: Headers) -> None:
        for name, value in self._add.items():
            headers.setdefault(name, value)
