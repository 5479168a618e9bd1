"""Tokens taken apart and their signatures checked, with the messages of Kong's parser."""

import binascii
from base64 import urlsafe_b64decode
from dataclasses import dataclass
from typing import Any, Final

import orjson
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from standins.gateway.exchange import Headers

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
