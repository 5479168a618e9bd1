"""Asks every verifier of tokens whether it accepts one signed by a given key."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from uuid import uuid4

import httpx
from joserfc import jwt
from joserfc.jwk import ECKey

from shop.errors import ShopError
from shop.keys.ring import SigningKey
from shop.targets import LocalTarget

ISSUER = "saga-shop"
AUDIENCE = "saga-shop"
_TOKEN_SECONDS = 60
_ANSWER_SECONDS = 5
_PAUSE_SECONDS = 0.5
# Paths where a guest's valid token gets 200 or 403, never 401.
_PATHS = {
    "auth": "/v1/users/me",
    "product": "/v1/products?status=retired",
    "cart": "/v1/cart/lines",
    "order": "/v1/orders",
}


@dataclass(frozen=True)
class Verifiers:
    """`urls` by verifier: every copy of a service, and the gateway.

    `timeout` is seconds: a service asks auth for keys that it does not know every ten at most.
    """

    urls: Mapping[str, str]
    http: httpx.AsyncClient
    timeout: float = 45

    @classmethod
    def of(cls, stack: LocalTarget, http: httpx.AsyncClient) -> "Verifiers":
        urls = {"gateway": f"{stack.gateway_url}{_PATHS['cart']}"}
        for service, path in _PATHS.items():
            for copy, address in stack.addresses(service).items():
                urls[copy] = f"{address}{path}"
        return cls(urls, http)

    async def until_all_accept(self, key: SigningKey) -> None:
        """Raises ShopError if a verifier still does not."""
        await self._until(key, taken=True)

    async def until_none_accepts(self, key: SigningKey) -> None:
        """Makes verifiers fetch the current keys. Raises ShopError if one still accepts this key."""
        await self._until(key, taken=False)

    async def who_accepts(self, key: SigningKey) -> Mapping[str, bool | None]:
        """By verifier; `None` if its answer does not tell."""
        token = _token(key)
        answers = await asyncio.gather(*(self._accepts(url, token) for url in self.urls.values()))
        return dict(zip(self.urls, answers, strict=True))

    async def _until(self, key: SigningKey, *, taken: bool) -> None:
        deadline = time.monotonic() + self.timeout
        while others := [name for name, takes in (await self.who_accepts(key)).items() if takes is not taken]:
            if time.monotonic() > deadline:
                state = "not accepted yet" if taken else "still accepted"
                raise ShopError(f"{key.kid} is {state} by {', '.join(others)}: see their logs, and try again")
            if not taken:
                await self.who_accepts(SigningKey.made(int(time.time())))
            await asyncio.sleep(_PAUSE_SECONDS)

    async def _accepts(self, url: str, token: str) -> bool | None:
        headers = {"Authorization": f"Bearer {token}"}
        try:
            answer = await self.http.get(url, headers=headers, timeout=_ANSWER_SECONDS)
        except httpx.HTTPError:
            return None
        if answer.status_code in (200, 403):
            return True
        return False if answer.status_code == 401 else None


def _token(key: SigningKey) -> str:
    """A guest's, of nobody."""
    now = int(time.time())
    claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": str(uuid4()), "role": "guest", "jti": uuid4().hex}
    header = {"alg": "ES256", "typ": "at+jwt", "kid": key.kid}
    return jwt.encode(header, {**claims, "iat": now, "exp": now + _TOKEN_SECONDS}, ECKey.import_key(key.jwk))
