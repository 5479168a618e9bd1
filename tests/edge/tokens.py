"""Tokens good and bad, made by hand so that they can be wrong in any way a table asks for."""

import hashlib
import hmac
import json
import time
from base64 import urlsafe_b64encode
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from joserfc.jwk import ECKey

CURRENT, OTHER, STRANGER = (
    ECKey.generate_key("P-256", {"kid": kid}) for kid in ("current", "other", "stranger")
)
KEY_SET = {"keys": [key.as_dict(private=False) for key in (CURRENT, OTHER)]}
_KEYS = {"current": CURRENT, "other": OTHER, "stranger": STRANGER}


def token(wish: dict[str, Any] | str) -> str:
    """The token that a table describes: a text as it is, or what differs from a good one.

    `signed_by` names the key, `alg` the algorithm, `kid` and `payload_kid` stand in header and claims, `exp`
    is seconds from now or anything that is not a number, `header` and `claims` come on top; None leaves a
    member out.
    """
    if isinstance(wish, str):
        return wish
    signed_by = wish.get("signed_by", "current")
    algorithm = wish.get("alg", "ES256")
    header = {"alg": algorithm, "typ": "at+jwt", "kid": wish.get("kid", signed_by), **wish.get("header", {})}
    exp = wish.get("exp", 600)
    claims = {
        "sub": "1",
        "exp": int(time.time()) + exp if isinstance(exp, int) else exp,
        "kid": wish.get("payload_kid"),
        **wish.get("claims", {}),
    }
    signed = f"{_part(header)}.{_part(claims)}"
    return f"{signed}.{_encode(_signature(algorithm, signed.encode(), _KEYS[signed_by]))}"


def _part(members: dict[str, Any]) -> str:
    return _encode(json.dumps({name: value for name, value in members.items() if value is not None}).encode())


def _encode(binary: bytes) -> str:
    return urlsafe_b64encode(binary).rstrip(b"=").decode()


def _signature(algorithm: str, signed: bytes, key: ECKey) -> bytes:
    if algorithm == "none":
        return b""
    if algorithm == "HS256":
        return hmac.new(key.as_pem(private=False), signed, hashlib.sha256).digest()
    assert key.private_key is not None
    r, s = decode_dss_signature(key.private_key.sign(signed, ECDSA(SHA256())))
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")
