"""Who is calling: nothing is believed but an access token that this service has verified itself."""

import asyncio
import json
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any
from uuid import UUID

import httpx
import structlog
from fastapi import Depends, Request
from fastapi.security import HTTPBearer, OAuth2PasswordBearer
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import Key, KeySet

from chassis.problems import Forbidden, Unauthenticated, Unavailable

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Principal:
    """The caller, as the token says: `id` is its `sub`, `token` the token itself, to pass on."""

    id: UUID
    role: str
    email: str | None
    token: str = field(repr=False)


class TokenVerifier:
    """Verifies access tokens against the issuer's published keys. Source: RFC 9068, RFC 8725.

    Times are in seconds. Keys are fetched when first needed, and again in the background once older than
    `max_age`; a `kid` that is not known has them fetched again, at most every `refetch_every`. While the
    issuer does not answer, the keys at hand are good for `stale_for`. Up to `remember` verified tokens are
    kept until they expire, because verifying a signature costs more than anything else about a request.
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
        max_age: float = 300,
        refetch_every: float = 10,
        stale_for: float = 86_400,
        remember: int = 4096,
        timeout: float = 2,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._issuer = issuer
        self._audience = audience
        self._algorithms = tuple(algorithms)
        self._leeway = leeway
        self._remember = remember
        self._clock = clock
        self._verified: OrderedDict[str, tuple[Principal, float]] = OrderedDict()
        self._keys = _Keys(jwks_url, http, max_age, refetch_every, stale_for, timeout, clock)
        self._keys.on_change = self._verified.clear

    async def verify(self, token: str) -> Principal:
        """The caller that the token names. Raises Unauthenticated, or Unavailable while there are no keys."""
        known = self._verified.get(token)
        if known is not None and self._clock() < known[1]:
            self._verified.move_to_end(token)
            return known[0]
        principal, until = await self._verify(token)
        self._verified[token] = principal, until
        if len(self._verified) > self._remember:
            self._verified.popitem(last=False)
        return principal

    async def aclose(self) -> None:
        """Close the HTTP client, unless it was given."""
        await self._keys.aclose()

    async def _verify(self, token: str) -> tuple[Principal, float]:
        try:
            signed = jws.extract_compact(token.encode())
            header = signed.headers()
            if str(header.get("typ")).lower() not in ("at+jwt", "application/at+jwt"):
                raise _refused("not an access token")
            key = await self._keys.get(header.get("kid"))
            if not jws.validate_compact(signed, key, self._algorithms):
                raise _refused("bad signature")
            claims = json.loads(signed.payload)
        except (JoseError, ValueError) as error:
            raise _refused("malformed or not signed by a key known here") from error
        return self._principal(claims, token)

    def _principal(self, claims: Any, token: str) -> tuple[Principal, float]:
        try:
            audience = claims["aud"]
            until = float(claims["exp"]) + self._leeway
            caller = Principal(UUID(claims["sub"]), claims["role"], claims.get("email"), token)
            begins = float(claims.get("nbf", 0)) - self._leeway
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise _refused("a claim is missing or malformed") from error
        if claims.get("iss") != self._issuer:
            raise _refused("wrong issuer")
        if self._audience not in (audience if isinstance(audience, list) else [audience]):
            raise _refused("wrong audience")
        if not isinstance(caller.role, str) or not caller.role:
            raise _refused("a claim is missing or malformed")
        if not begins <= self._clock() < until:
            raise _refused("expired or not valid yet")
        return caller, until


def _refused(why: str) -> Unauthenticated:
    return Unauthenticated(f"The token is {why}.", error="invalid_token")


class _Keys:
    def __init__(
        self,
        url: str,
        http: httpx.AsyncClient | None,
        max_age: float,
        refetch_every: float,
        stale_for: float,
        timeout: float,
        clock: Callable[[], float],
    ) -> None:
        self._url = url
        self._http = http or httpx.AsyncClient()
        self._owned = http is None
        self._max_age = max_age
        self._refetch_every = refetch_every
        self._stale_for = stale_for
        self._timeout = timeout
        self._clock = clock
        self._keys: dict[str, Key] = {}
        self._fetched = self._tried = float("-inf")
        self._fetching: asyncio.Task[None] | None = None
        self.on_change: Callable[[], None] = lambda: None

    async def get(self, kid: object) -> Key:
        if not isinstance(kid, str):
            raise _refused("signed by a key without a name")
        age = self._clock() - self._fetched
        if age > self._stale_for or kid not in self._keys:
            await self._refetch()
        elif age > self._max_age:
            self._begin()
        if self._clock() - self._fetched > self._stale_for:
            raise Unavailable("The keys that tokens are verified with cannot be had.", retry_after=1)
        if kid not in self._keys:
            raise _refused("signed by an unknown key")
        return self._keys[kid]

    async def _refetch(self) -> None:
        fetching = self._begin()
        if fetching is not None:
            await asyncio.shield(fetching)

    def _begin(self) -> asyncio.Task[None] | None:
        if self._fetching is None and self._clock() - self._tried >= self._refetch_every:
            self._tried = self._clock()
            self._fetching = asyncio.create_task(self._fetch())
        return self._fetching

    async def _fetch(self) -> None:
        try:
            response = await self._http.get(self._url, timeout=self._timeout)
            response.raise_for_status()
            keys = {key.kid: key for key in KeySet.import_key_set(response.json()) if key.kid}
        except (httpx.HTTPError, JoseError, ValueError, KeyError, TypeError) as error:
            log.warning("no keys from the issuer", url=self._url, error=repr(error))
            return
        finally:
            self._fetching = None
        if keys.keys() != self._keys.keys():
            self.on_change()
        self._keys = keys
        self._fetched = self._clock()

    async def aclose(self) -> None:
        if self._fetching is not None:
            self._fetching.cancel()
        if self._owned:
            await self._http.aclose()


_oauth2 = OAuth2PasswordBearer(tokenUrl="/v1/token", scheme_name="password", auto_error=False)
_bearer = HTTPBearer(bearerFormat="JWT", scheme_name="bearer", auto_error=False)


async def principal(request: Request, _password: Annotated[str | None, Depends(_oauth2)] = None) -> Principal:
    """The verified caller of this request, by `app.state.verifier`. Raises Unauthenticated."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise Unauthenticated("An access token is needed.")
    verifier: TokenVerifier = request.app.state.verifier
    return await verifier.verify(token.strip())


Caller = Annotated[Principal, Depends(principal)]


def require(*roles: str) -> Callable[[Principal], Awaitable[Principal]]:
    """A dependency that lets these roles pass: `Annotated[Principal, Depends(require("admin"))]`."""

    async def permitted(caller: Caller) -> Principal:
        if caller.role not in roles:
            raise Forbidden("This is not for your role.")
        return caller

    return permitted
