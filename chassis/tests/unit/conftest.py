"""An issuer of access tokens, for tests: it publishes keys like the real one, and can be made unavailable."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any
from uuid import UUID

import httpx
import pytest

from chassis.http.identity import TokenVerifier
from chassis.http.jwks import PublishedKeys
from chassis.testing import TokenMint, signing_key
from chassis.testing.tokens import SigningKey

ADA = UUID("a0a0a0a0-0000-4000-8000-000000000001")
NOW = 1_800_000_000.0


class Issuer:
    """Publishes keys like the real one, and can be made unavailable."""

    def __init__(self) -> None:
        self.now = NOW
        self.keys: list[SigningKey] = [signing_key("one")]
        self.more: list[Any] = []
        self.is_down = False
        self.fetches = 0
        self.was_fetched = asyncio.Event()
        self.http = httpx.AsyncClient(transport=httpx.MockTransport(self._answer))

    async def _answer(self, request: httpx.Request) -> httpx.Response:
        self.fetches += 1
        self.was_fetched.set()
        await asyncio.sleep(0)
        if self.is_down:
            raise httpx.ConnectError("refused", request=request)
        published = [key.as_dict(private=False) for key in self.keys]
        return httpx.Response(200, json={"keys": [*self.more, *published]})

    def token(self, *, key: SigningKey | None = None, role: str | None = "guest", **wanted: Any) -> str:
        """Ada's token as `TokenMint.token` makes it, signed with the first key or another."""
        mint = TokenMint("https://issuer", "rooms", key=key or self.keys[0], clock=lambda: self.now)
        return mint.token(ADA, lifetime=60, role=role, **wanted)

    def verifier(
        self, algorithms: Sequence[str] = ("ES256",), remember: int = 4096, **fetching: float
    ) -> TokenVerifier:
        """`fetching`: see `PublishedKeys`."""
        keys = PublishedKeys("http://issuer/jwks", http=self.http, clock=lambda: self.now, **fetching)  # type: ignore[arg-type]
        return TokenVerifier(keys, "https://issuer", "rooms", algorithms=algorithms, remember=remember)


@pytest.fixture
async def issuer() -> AsyncIterator[Issuer]:
    issuer = Issuer()
    yield issuer
    await issuer.http.aclose()
