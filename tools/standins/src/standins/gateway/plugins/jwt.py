"""jwt: checks signature, algorithm and expiry by `kid`, with the messages of Kong and of its parser.

Audience, issuer and type are not its concern: the services check them.
"""

import binascii
import re
import time
from base64 import urlsafe_b64decode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal

import orjson
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from pydantic import Field

from standins.gateway.exchange import Answer, Exchange, Headers, Plugin, Strict, refusal

_BEARER = re.compile(rb"\s*[Bb]earer\s+(.+)")
_REMEMBERED = 4096
_IDENTITY = frozenset(
    (b"x-consumer-id", b"x-consumer-custom-id", b"x-consumer-username", b"x-credential-identifier")
)
_ES256: Final = ECDSA(SHA256())
_KONG_KNOWS: Final = frozenset(
    f"{family}{size}" for family in ("HS", "RS", "ES", "PS") for size in (256, 384, 512)
) | {"EdDSA"}


class Mistake(Exception):
    """What is wrong with a token; `content` is the body of the 401."""

    def __init__(self, content: dict[str, str]) -> None:
        super().__init__(content)
        self.content = content


@dataclass(frozen=True, slots=True)
class Token:
    header: dict[str, Any]
    claims: dict[str, Any]
    signed: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class Credential:
    """One public key of the consumer, and the headers that name the two upstream."""

    key: EllipticCurvePublicKey
    headers: Headers

    def verify(self, token: Token) -> None:
        """Raises Mistake unless the token is signed with this key by ES256."""
        if token.header["alg"] != "ES256":
            raise Mistake({"message": "Invalid algorithm"})
        raw = token.signature
        if len(raw) != 64:
            raise Mistake({"message": "Invalid signature"})
        r, s = int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big")
        try:
            self.key.verify(encode_dss_signature(r, s), token.signed, _ES256)
        except InvalidSignature:
            raise Mistake({"message": "Invalid signature"}) from None


def public_key(pem: str) -> EllipticCurvePublicKey:
    """Raises ValueError unless the PEM holds a P-256 public key."""
    key = load_pem_public_key(pem.encode())
    if not isinstance(key, EllipticCurvePublicKey) or not isinstance(key.curve, SECP256R1):
        raise ValueError("ES256 needs a P-256 public key")
    return key


def parse(raw: bytes) -> Token:
    """Raises Mistake unless `raw` has the shape of a signed token."""
    signed, _, signature = raw.rpartition(b".")
    head, _, body = signed.partition(b".")
    try:
        header, claims = orjson.loads(_decode(head)), orjson.loads(_decode(body))
        binary = _decode(signature)
    except (ValueError, binascii.Error):
        raise Mistake({"message": "Bad token; invalid JSON"}) from None
    if not isinstance(header, dict) or not isinstance(claims, dict):
        raise Mistake({"message": "Bad token; invalid JSON"})
    algorithm = header.get("alg")
    if not isinstance(algorithm, str) or algorithm not in _KONG_KNOWS:
        raise Mistake({"message": "Bad token; invalid alg"})
    return Token(header, claims, signed, binary)


def _decode(part: bytes) -> bytes:
    return urlsafe_b64decode(part + b"=" * (-len(part) % 4))


class Config(Strict):
    uri_param_names: Annotated[list[str], Field(max_length=0)]
    cookie_names: Annotated[list[str], Field(max_length=0)]
    header_names: list[Literal["authorization"]] = Field(min_length=1, max_length=1)
    key_claim_name: Literal["kid"]
    claims_to_verify: list[Literal["exp"]] = Field(min_length=1, max_length=1)
    secret_is_base64: Literal[False]
    run_on_preflight: Literal[True]


class Jwt(Plugin):
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

    def _check(self, raw: bytes) -> Credential:
        known = self._verified.get(raw)
        if known is None:
            token = parse(raw)
            known = (token.claims.get("exp"), self._credential(token))
            if len(self._verified) >= _REMEMBERED:
                self._verified.pop(next(iter(self._verified)))
            self._verified[raw] = known
        exp, credential = known
        if not isinstance(exp, int | float) or isinstance(exp, bool):
            raise Mistake({"exp": "must be a number"})
        if exp <= int(self._clock()):
            raise Mistake({"exp": "token expired"})
        return credential

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
