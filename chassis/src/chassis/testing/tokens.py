"""Mints access tokens for tests: valid ones as the issuer's, and ones with a fault."""

import hashlib
import hmac
import json
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any
from uuid import UUID, uuid4

from joserfc.jwk import ECKey, RSAKey
from joserfc.jws import JWSRegistry

ALGORITHM = "ES256"
SigningKey = ECKey | RSAKey


class Fault(StrEnum):
    """The one thing that is wrong with a token."""

    EXPIRED = "expired"
    OTHER_AUDIENCE = "audience"
    OTHER_ISSUER = "issuer"
    UNSIGNED = "none"
    HS256_WITH_PUBLIC_KEY = "confused"  # the classic mix-up: the secret is what everybody has
    OTHER_TYPE = "type"
    UNKNOWN_KEY = "kid"
    WRONG_SIGNATURE = "forged"  # by another key under the issuer's `kid`


class TokenMint:
    """An issuer of access tokens.

    `issuer`, `audience`: what the tokens name.
    `key`: signs; unless given, a new one.
    `clock`: the time in seconds since the epoch.
    """

    def __init__(
        self,
        issuer: str,
        audience: str,
        *,
        key: SigningKey | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.key = key or signing_key()
        self._issuer = issuer
        self._audience = audience
        self._clock = clock

    @property
    def jwks(self) -> dict[str, Any]:
        """The JWK Set that verifies the tokens."""
        return {"keys": [self.key.as_dict(private=False)]}

    def token(
        self,
        subject: UUID | str,
        *scopes: str,
        lifetime: int = 600,
        fault: Fault | None = None,
        header: Mapping[str, Any] | None = None,
        algorithm: str = ALGORITHM,
        **claims: Any,
    ) -> str:
        """A token for `subject` with these scopes.

        `lifetime`: in seconds.
        `fault`: what is wrong with it.
        `header`: members of the header to change; `None` leaves one out.
        `algorithm`: signs, and is named in the header.
        `claims`: further claims, or replacements of the usual ones; `None` leaves one out.
        """
        now = int(self._clock())
        key, members = self.key, {"alg": algorithm, "typ": "at+jwt", "kid": self.key.kid}
        usual: dict[str, Any] = {
            "iss": self._issuer,
            "aud": self._audience,
            "sub": str(subject),
            "iat": now,
            "exp": now + lifetime,
            "jti": uuid4().hex,
            "scope": " ".join(scopes) or None,
        }
        match fault:
            case Fault.EXPIRED:
                usual |= {"iat": now - 660, "exp": now - 60}
            case Fault.OTHER_AUDIENCE:
                usual["aud"] = f"{self._audience}-of-another"
            case Fault.OTHER_ISSUER:
                usual["iss"] = "https://somebody.example"
            case Fault.UNSIGNED:
                members["alg"] = algorithm = "none"
            case Fault.HS256_WITH_PUBLIC_KEY:
                members["alg"] = algorithm = "HS256"
            case Fault.OTHER_TYPE:
                members["typ"] = "JWT"
            case Fault.UNKNOWN_KEY:
                key = signing_key()
                members["kid"] = key.kid
            case Fault.WRONG_SIGNATURE:
                key = signing_key()
        return signed(_given(members | dict(header or {})), _given(usual | claims), key, algorithm)


def signing_key(kid: str | None = None) -> ECKey:
    """A new private key with this id, or an id of its own."""
    return ECKey.generate_key("P-256", {"kid": kid or uuid4().hex, "use": "sig", "alg": ALGORITHM})


def signed(
    header: Mapping[str, Any] | str,
    claims: Mapping[str, Any] | str,
    key: SigningKey,
    algorithm: str = ALGORITHM,
) -> str:
    """A compact JWS (RFC 7515), also by an algorithm that nobody should use and with a header that names
    another. A text is signed as it is."""
    text = f"{_part(header)}.{_part(claims)}"
    return f"{text}.{_encoded(_signature(algorithm, text.encode(), key))}"


def _signature(algorithm: str, text: bytes, key: SigningKey) -> bytes:
    match algorithm:
        case "none":
            return b""
        case "HS256":
            return hmac.digest(key.as_pem(private=False), text, hashlib.sha256)
    return JWSRegistry.algorithms[algorithm].sign(text, key)


def _given(members: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}


def _part(document: Mapping[str, Any] | str) -> str:
    return _encoded((document if isinstance(document, str) else json.dumps(document)).encode())


def _encoded(binary: bytes) -> str:
    return urlsafe_b64encode(binary).rstrip(b"=").decode()
