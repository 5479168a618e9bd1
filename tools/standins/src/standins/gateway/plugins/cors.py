"""cors: answers every preflight with 200 and names the origin only when it is one of several configured ones.

With a single configured origin Kong returns that origin in every response, so at least two are needed.
"""

from typing import Annotated, Literal

from pydantic import Field

from standins.gateway.exchange import Answer, Exchange, Headers, Method, Plugin, Strict

Origin = Annotated[str, Field(pattern=r"^https?://[A-Za-z0-9.-]+(:[0-9]+)?$")]


class Config(Strict):
    origins: list[Origin] = Field(min_length=2)
    methods: list[Method] = Field(min_length=1)
    headers: list[str] = Field(min_length=1)
    exposed_headers: list[str] = Field(min_length=1)
    max_age: int
    credentials: Literal[False]
    preflight_continue: Literal[False]


class Cors(Plugin):
    priority = 2000

    def __init__(self, config: Config) -> None:
        self._origins = frozenset(origin.encode() for origin in config.origins)
        self._exposed = ",".join(config.exposed_headers).encode()
        self._preflight = {
            b"vary": b"Origin",
            b"access-control-allow-headers": ",".join(config.headers).encode(),
            b"access-control-allow-methods": ",".join(config.methods).encode(),
            b"access-control-max-age": str(config.max_age).encode(),
        }

    async def access(self, exchange: Exchange) -> Answer | None:
        asked = exchange.headers
        if exchange.method != "OPTIONS" or not asked.get(b"origin"):
            return None
        if b"access-control-request-method" not in asked:
            return None
        exchange.notes[self] = "preflight"
        headers = dict(self._preflight)
        self._allow(asked[b"origin"], headers)
        return Answer(200, headers)

    def decorate(self, exchange: Exchange, headers: Headers) -> None:
        if self in exchange.notes:
            return
        vary = headers.get(b"vary")
        headers[b"vary"] = vary + b", Origin" if vary else b"Origin"
        headers.pop(b"access-control-allow-origin", None)
        self._allow(exchange.headers.get(b"origin", b""), headers)
        headers[b"access-control-expose-headers"] = self._exposed

    def _allow(self, origin: bytes, headers: Headers) -> None:
        if origin in self._origins:
            headers[b"access-control-allow-origin"] = origin
