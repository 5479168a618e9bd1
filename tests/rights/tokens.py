"""Tokens that each have one thing wrong with them; all the rest is as auth would have it."""

import json
import time
from typing import Any
from uuid import uuid4

from joserfc.jwk import ECKey

from shop.keys.verifiers import AUDIENCE, ISSUER
from tests.forging import signed

EVERYTHING = "account:read catalogue:write orders:read-all orders:fulfil orders:refund"
WRONG = ("unscoped", "expired", "audience", "issuer", "none", "confused", "type", "kid", "forged")


class Mint:
    """Has auth's own signing key, and may do with it what auth never would."""

    def __init__(self, signing_keys: str) -> None:
        self.key = ECKey.import_key(json.loads(signing_keys)["keys"][0])

    def token(self, subject: str, wrong: str | None = None, **claims: Any) -> str:
        """An all-powerful token for this subject, spoilt in the way that a column of the table names."""
        now = int(time.time())
        header: dict[str, Any] = {"alg": "ES256", "typ": "at+jwt", "kid": self.key.kid}
        body = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": subject,
            "iat": now,
            "exp": now + 600,
            "jti": uuid4().hex,
            "role": "admin",
            "scope": EVERYTHING,
            "email": "ada@example.com",
        }
        key = self.key
        match wrong:
            case "unscoped":
                del body["scope"]
            case "expired":
                body |= {"iat": now - 660, "exp": now - 60}
            case "audience":
                body["aud"] = f"{AUDIENCE}-of-another"
            case "issuer":
                body["iss"] = "https://somebody.example"
            case "none":
                header["alg"] = "none"
            case "confused":
                header["alg"] = "HS256"
            case "type":
                header["typ"] = "JWT"
            case "kid":
                key = ECKey.generate_key("P-256", auto_kid=True)
                header["kid"] = key.kid
            case "forged":
                key = ECKey.generate_key("P-256")
        return signed(header, body | claims, key, header["alg"])
