"""Who is calling: nothing is believed but an access token that this service has verified itself."""

import json
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any
from uuid import UUID

import httpx
from fastapi import Depends, Request
from fastapi.openapi.models import OAuth2, OAuthFlowPassword, OAuthFlows
from fastapi.security.base import SecurityBase
from joserfc import jws
from joserfc.errors import JoseError

from chassis.jwks import PublishedKeys
from chassis.problems import Forbidden, Unauthenticated

_TYPES = frozenset({"at+jwt", "application/at+jwt"})


@dataclass(frozen=True, slots=True)
class Principal:
    """The caller, as the token says: `id` is its `sub`, `token` the token itself, to pass on."""

    id: UUID
    role: str
    email: str | None
    token: str = field(repr=False)


class TokenVerifier:
    """Verifies access tokens against the issuer's published keys. Source: RFC 9068, RFC 8725.

    Seconds: `leeway` for clocks that differ, the rest as PublishedKeys has it. Up to `remember` verified
    tokens are kept until they expire: a caller sends the same one again and again, and each costs 70 µs.
    """

    def __init__(
        self,
        jwks_url: str,
        issuer: str,
        audience: str,
        *,
        algorithms: Sequence[str] = ("ES256",),
        http: httpx.AsyncClient | None = None,
        leeway: float = 10,
        timeout: float = 2,
        max_age: float = 300,
        refetch_every: float = 10,
        retry_every: float = 1,
        stale_for: float = 86_400,
        remember: int = 4096,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._issuer = issuer
        self._audience = audience
        self._algorithms = tuple(algorithms)
        self._leeway = leeway
        self._remember = remember
        self._clock = clock
        self._verified: OrderedDict[str, tuple[Principal, float]] = OrderedDict()
        self._http = http or httpx.AsyncClient()
        self._owns_http = http is None
        self._keys = PublishedKeys(
            jwks_url,
            self._http,
            clock,
            on_change=self._verified.clear,
            timeout=timeout,
            max_age=max_age,
            refetch_every=refetch_every,
            retry_every=retry_every,
            stale_for=stale_for,
        )

    async def verify(self, token: str) -> Principal:
        """The caller that the token names. Raises Unauthenticated, or Unavailable while there are no keys."""
        known = self._verified.get(token)
        if known is not None and self._clock() < known[1]:
            self._verified.move_to_end(token)
            return known[0]
        caller, until = self._read(await self._authentic(token), token)
        self._verified[token] = caller, until
        if len(self._verified) > self._remember:
            self._verified.popitem(last=False)
        return caller

    async def aclose(self) -> None:
        """Close the HTTP client, unless it was given."""
        await self._keys.aclose()
        if self._owns_http:
            await self._http.aclose()

    async def _authentic(self, token: str) -> Any:
        try:
            signed = jws.extract_compact(token.encode())
            header = signed.headers()
            kid, kind = header.get("kid"), str(header.get("typ")).lower()
            key = await self._keys.get(kid) if isinstance(kid, str) and kind in _TYPES else None
            if key is None or not jws.validate_compact(signed, key, self._algorithms):
                raise _refused("no access token of this issuer")
            return json.loads(signed.payload or b"")
        except (JoseError, ValueError) as error:
            raise _refused("malformed") from error

    def _read(self, claims: Any, token: str) -> tuple[Principal, float]:
        try:
            audience = claims["aud"]
            until = float(claims["exp"]) + self._leeway
            since = float(claims.get("nbf", 0)) - self._leeway
            caller = Principal(UUID(claims["sub"]), claims["role"], claims.get("email"), token)
            role_is_text = isinstance(caller.role, str) and bool(caller.role)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise _refused("without a claim that it needs") from error
        if claims.get("iss") != self._issuer or not role_is_text:
            raise _refused("no access token of this issuer")
        if self._audience not in (audience if isinstance(audience, list) else [audience]):
            raise _refused("meant for another audience")
        if not since <= self._clock() < until:
            raise _refused("expired, or not valid yet")
        return caller, until


def _refused(why: str) -> Unauthenticated:
    return Unauthenticated(f"The token is {why}.", error="invalid_token")


class _Authenticated(SecurityBase):
    """One dependency that is the security scheme, too: each further dependency costs every request CPU."""

    def __init__(self, roles: tuple[str, ...] = ()) -> None:
        self.model = OAuth2(flows=OAuthFlows(password=OAuthFlowPassword(tokenUrl="/v1/token")))
        self.scheme_name = "password"
        self._roles = roles

    async def __call__(self, request: Request) -> Principal:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise Unauthenticated("An access token is needed.")
        verifier: TokenVerifier = request.app.state.verifier
        caller = await verifier.verify(token.strip())
        if self._roles and caller.role not in self._roles:
            raise Forbidden("Your role may not do this.")
        return caller


principal = _Authenticated()
"""`await principal(request)`: the caller, by `app.state.verifier`. Raises Unauthenticated, Unavailable."""

Caller = Annotated[Principal, Depends(principal)]


def require(*roles: str) -> Callable[[Request], Awaitable[Principal]]:
    """A dependency for callers of these roles: `Annotated[Principal, Depends(require("admin"))]`.

    Raises Forbidden for any other role.
    """
    return _Authenticated(roles)
