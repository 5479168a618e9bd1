"""Tokens made by hand, for they may be wrong in any way."""

import hashlib
import hmac
import json
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from typing import Any

from joserfc.jwk import ECKey
from joserfc.jws import JWSRegistry


def signed(header: Mapping[str, Any], claims: Mapping[str, Any], key: ECKey, algorithm: str) -> str:
    """A compact JWS, also by algorithms that are a bad idea and whatever the header says of them."""
    text = f"{_part(header)}.{_part(claims)}"
    return f"{text}.{_encoded(_signature(algorithm, text.encode(), key))}"


def _signature(algorithm: str, text: bytes, key: ECKey) -> bytes:
    match algorithm:
        case "none":
            return b""
        case "HS256":
            return hmac.new(key.as_pem(private=False), text, hashlib.sha256).digest()
    return JWSRegistry.algorithms[algorithm].sign(text, key)


def _part(members: Mapping[str, Any]) -> str:
    return _encoded(json.dumps(members).encode())


def _encoded(binary: bytes) -> str:
    return urlsafe_b64encode(binary).rstrip(b"=").decode()
