"""Authenticates callers by access tokens, which every service verifies itself."""

import math
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated
from uuid import UUID

import structlog
from fastapi import Depends, Request
from fastapi.openapi.models import OAuth2, OAuthFlowPassword, OAuthFlows
from fastapi.security.base import SecurityBase
from joserfc import jws
from joserfc.errors import JoseError

from chassis.http.claims import BadToken, RejectedTokenLog, claims_of, header_of
from chassis.http.jwks import PublishedKeys
from chassis.http.problems import Forbidden, Unauthenticated
from chassis.http.provided import registry

log = structlog.get_logger()
_TYPES = frozenset({"at+jwt", "application/at+jwt"})
_LEEWAY_SECONDS = 10  # by which clocks may differ
_NOT_OURS = "The token is not an access token of this issuer."


@dataclass(frozen=True, slots=True)
class Principal:
    """The caller, from a verified token.

    `id`: the account (`sub`).
    `token`: the token itself, for calls to other services on the caller's behalf.
    `scopes`: permissions beyond the caller's own data.
    `until`: when the token expires, in seconds since the epoch; event streams end then.
    """

    id: UUID
    role: str
    email: str | None
    token: str = field(repr=False)
    scopes: frozenset[str] = frozenset()
    until: float = field(default=math.inf, compare=False)


class TokenVerifier:
    """Verifies access tokens with the keys that the issuer publishes. Source: RFC 9068, RFC 8725.

    `keys`: the keys that the issuer publishes.
    `issuer`, `audience`: the values that a token has to have.
    `algorithms`: the signature algorithms that are accepted.
    `remember`: the maximum number of verified tokens that are cached until they expire, because callers
        repeat their token and each verification costs 70 µs.
    """

    def __init__(
        self,
        keys: PublishedKeys,
        issuer: str,
        audience: str,
        *,
        algorithms: Sequence[str] = ("ES256",),
        remember: int = 4096,
    ) -> None:
        self._keys = keys
        self._clock = keys.clock
        self._issuer = issuer
        self._audience = audience
        self._algorithms = tuple(algorithms)
        self._remember = remember
        self._verified: OrderedDict[str, tuple[Principal, float]] = OrderedDict()
        self._rejected = RejectedTokenLog()
        keys.on_change = self._verified.clear

    async def verify(self, token: str) -> Principal:
        """The caller that the token identifies. Raises Unauthenticated, or Unavailable without keys."""
        known = self._verified.get(token)
        if known is not None and self._clock() < known[1] and self._keys.refresh_if_old():
            self._verified.move_to_end(token)
            return known[0]
        header: dict[str, object] = {}
        try:
            header = header_of(token)
            caller, until = self._read(await self._payload(token, header), token)
        except BadToken as bad:
            self._rejected.record(bad.reason, header.get("kid"))
            raise Unauthenticated(str(bad), error="invalid_token") from bad
        self._verified[token] = caller, until
        if len(self._verified) > self._remember:
            self._verified.popitem(last=False)
        return caller

    async def _payload(self, token: str, header: Mapping[str, object]) -> bytes:
        """The signed payload. The algorithm has to be one of ours and the key's: the token has no choice."""
        if str(header.get("typ")).lower() not in _TYPES:
            raise BadToken("type", _NOT_OURS)
        if "crit" in header:  # lists extensions that a verifier has to support: we support none
            raise BadToken("crit", _NOT_OURS)
        algorithm, kid = header.get("alg"), header.get("kid")
        if algorithm not in self._algorithms:
            raise BadToken("algorithm", _NOT_OURS)
        key = await self._keys.get(kid) if isinstance(kid, str) else None
        if key is None:
            raise BadToken("key", _NOT_OURS)
        try:
            signed = jws.extract_compact(token.encode())
            genuine = key.alg in (None, algorithm) and jws.validate_compact(signed, key, self._algorithms)
        except (JoseError, ValueError) as error:
            raise BadToken("malformed", _NOT_OURS) from error
        if not genuine:
            raise BadToken("signature", _NOT_OURS)
        return signed.payload or b""

    def _read(self, payload: bytes, token: str) -> tuple[Principal, float]:
        claims = claims_of(payload, self._issuer, self._audience)
        until = claims.until + _LEEWAY_SECONDS
        if not claims.since - _LEEWAY_SECONDS <= self._clock() < until:
            raise BadToken("time", "The token has expired, or is not valid yet.")
        return Principal(claims.subject, claims.role, claims.email, token, claims.scopes, until), until


class OutOfScope(Forbidden):
    """403 with the challenge of RFC 6750, section 3.1."""

    type = "/problems/insufficient-scope"
    title = "Insufficient Scope"

    def __init__(self, scope: str) -> None:
        challenge = f'Bearer error="insufficient_scope", scope="{scope}"'
        super().__init__(f"This requires the scope {scope}.", headers={"WWW-Authenticate": challenge})


class _Authenticated(SecurityBase):
    """The dependency that authenticates the caller, and also the security scheme in the OpenAPI document: a
    second dependency would cost CPU on every request."""

    def __init__(self, scope: str | None = None) -> None:
        self.model = OAuth2(flows=OAuthFlows(password=OAuthFlowPassword(tokenUrl="/v1/token")))
        self.scheme_name = "password"
        self._scope = scope

    async def __call__(self, request: Request) -> Principal:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise Unauthenticated("An access token is required.")
        caller = await registry(request.app)[TokenVerifier].verify(token.strip())
        if self._scope is not None and self._scope not in caller.scopes:
            log.warning("scope refused", account=str(caller.id), role=caller.role, needed=self._scope)
            raise OutOfScope(self._scope)
        return caller


principal = _Authenticated()
"""`await principal(request)`: the caller, verified by the service's `TokenVerifier`. Raises Unauthenticated,
Unavailable."""

Caller = Annotated[Principal, Depends(principal)]


def require(scope: str) -> Callable[[Request], Awaitable[Principal]]:
    """A dependency that requires a scope of the caller's token: `Depends(require("rooms:write"))`.

    Raises OutOfScope if the token does not have it.
    """
    return _Authenticated(scope)
