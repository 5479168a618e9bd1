"""jwt: checks signature, algorithm and expiry by `kid`, with Kong's messages.

Audience, issuer and type are not its concern: the services check them.
"""

import re
import time
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal

from pydantic import Field

from standins.gateway.answers import refusal
from standins.gateway.exchange import Answer, Exchange, Headers
from standins.gateway.keys import Credential, Mistake, Token, parse
from standins.gateway.strict import Strict

_BEARER = re.compile(rb"\s*[Bb]earer\s+(.+)")
_REMEMBERED = 4096
_IDENTITY = frozenset(
    (b"x-consumer-id", b"x-consumer-custom-id", b"x-consumer-username", b"x-credential-identifier")
)


class Config(Strict):
    uri_param_names: Annotated[list[str], Field(max_length=0)]
    cookie_names: Annotated[list[str], Field(max_length=0)]
    header_names: list[Literal["authorization"]] = Field(min_length=1, max_length=1)
    key_claim_name: Literal["kid"]
    claims_to_verify: list[Literal["exp"]] = Field(min_length=1, max_length=1)
    secret_is_base64: Literal[False]
    run_on_preflight: Literal[True]


class Entry(Strict):
    name: Literal["jwt"]
    config: Config


class Jwt:
    priority = 1450

    def __init__(self, credentials: Mapping[str, Credential], clock: Callable[[], float] = time.time) -> None:
        self._credentials = credentials
        self._clock = clock
        # Exact: under unchanged keys a right signature stays right, and `exp` is looked at each time.
        self._verified: dict[bytes, tuple[Any, Credential]] = {}

    async def access(self, exchange: Exchange) -> Answer | None:
        found = _BEARER.match(exchange.headers.get(b"authorization", b""))
        if found is None:
            return refusal(401, {"message": "Unauthorized"}, {b"www-authenticate": b"Bearer"})
        try:
            credential = self._check(found[1])
        except Mistake as mistake:
            return refusal(401, mistake.content, {b"www-authenticate": b'Bearer error="invalid_token"'})
        exchange.removed |= _IDENTITY
        exchange.upstream |= credential.headers
        return None

    def decorate(self, exchange: Exchange, headers: Headers) -> None:
        """Adds nothing."""

    def _check(self, raw: bytes) -> Credential:
        known = self._verified.get(raw)
        if known is None:
            token = parse(raw)
            known = (token.claims.get("exp"), self._credential(token))
            if len(self._verified) >= _REMEMBERED:
                self._verified.pop(next(iter(self._verified)))
            self._verified[raw] = known
        _not_expired(known[0], self._clock())
        return known[1]

    def _credential(self, token: Token) -> Credential:
        kid = token.claims.get("kid", token.header.get("kid"))
        if kid is None:
            raise Mistake({"message": "No mandatory 'kid' in claims"})
        if kid == "":
            raise Mistake({"message": "Invalid 'kid' in claims"})
        credential = self._credentials.get(kid) if isinstance(kid, str) else None
        if credential is None:
            raise Mistake({"message": "No credentials found for given 'kid'"})
        credential.verify(token)
        return credential


def _not_expired(exp: Any, now: float) -> None:
    if not isinstance(exp, int | float) or isinstance(exp, bool):
        raise Mistake({"exp": "must be a number"})
    if exp <= int(now):
        raise Mistake({"exp": "token expired"})
