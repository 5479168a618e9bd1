"""An issuer of access tokens, for tests: it publishes keys like the real one, and can be made unavailable."""

import asyncio
import json
from base64 import urlsafe_b64encode
from typing import Any
from uuid import UUID

import httpx
from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey
from joserfc.jws import JWSRegistry

from chassis.http.identity import TokenVerifier

ADA = UUID("a0a0a0a0-0000-4000-8000-000000000001")
NOW = 1_800_000_000.0
ALGORITHM = "ES256"


class Issuer:
    """Publishes keys like the real one, and can be made unavailable."""

    def __init__(self) -> None:
        self.now = NOW
        self.keys: list[ECKey | RSAKey] = [new_key("one")]
        self.more: list[Any] = []
        self.away = False
        self.asked = 0
        self.was_asked = asyncio.Event()
        self.http = httpx.AsyncClient(transport=httpx.MockTransport(self._answer))

    async def _answer(self, request: httpx.Request) -> httpx.Response:
        self.asked += 1
        self.was_asked.set()
        await asyncio.sleep(0)
        if self.away:
            raise httpx.ConnectError("refused", request=request)
        published = [key.as_dict(private=False) for key in self.keys]
        return httpx.Response(200, json={"keys": [*self.more, *published]})

    def token(
        self, header: dict[str, Any] | None = None, key: ECKey | RSAKey | None = None, **claims: Any
    ) -> str:
        key = key or self.keys[0]
        wanted = {
            "iss": "https://issuer",
            "aud": "rooms",
            "sub": str(ADA),
            "role": "guest",
            "exp": self.now + 60,
        }
        wanted = {name: value for name, value in (wanted | claims).items() if value is not None}
        header = {"alg": ALGORITHM, "typ": "at+jwt", "kid": key.kid} | (header or {})
        return jwt.encode(header, wanted, key, [header["alg"]])

    def verifier(self, **settings: Any) -> TokenVerifier:
        where = ("http://issuer/jwks", "https://issuer", "rooms")
        return TokenVerifier(*where, http=self.http, clock=lambda: self.now, **settings)


def part(value: object) -> str:
    return urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def signature(key: ECKey | RSAKey, signed: str) -> str:
    """Signs any header, including those that joserfc refuses."""
    raw = JWSRegistry.algorithms[ALGORITHM].sign(signed.encode(), key)
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


def new_key(kid: str) -> ECKey:
    return ECKey.generate_key("P-256", {"kid": kid, "use": "sig", "alg": ALGORITHM})
