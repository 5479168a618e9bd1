"""The keys of access tokens: a private JWK set from a file. The first signs, all are published.

To rotate: append the new key, restart; once every verifier has fetched it (`PUBLISHED_SECONDS`) move it to
the front, restart; drop the old one when the last token that it signed has expired.
"""

import json
from pathlib import Path
from typing import Any, Self

import orjson
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey

ALGORITHM = "ES256"
PUBLISHED_SECONDS = 300


class BadSigningKeys(ValueError):
    """The file holds no usable key set; the text says what to put right."""


class SigningKeys:
    """Signs with the first of `keys`. `published` is the public JWK set as JSON."""

    def __init__(self, keys: list[ECKey]) -> None:
        self._signer = keys[0]
        self._header = {"alg": ALGORITHM, "typ": "at+jwt", "kid": keys[0].kid}
        public = [{**key.as_dict(private=False), "use": "sig", "alg": ALGORITHM} for key in keys]
        self.published = orjson.dumps({"keys": public})

    @classmethod
    def read(cls, path: Path) -> Self:
        """Raises BadSigningKeys."""
        try:
            text = path.read_text()
        except OSError as error:
            raise BadSigningKeys(f"cannot read {path}: {error.strerror}") from error
        return cls.parse(text, str(path))

    @classmethod
    def parse(cls, text: str, origin: str) -> Self:
        """Of a JWK set as JSON. Raises BadSigningKeys, which names the origin."""
        try:
            keys = [_imported(entry) for entry in json.loads(text)["keys"]]
        except (KeyError, TypeError, ValueError, JoseError) as error:
            raise BadSigningKeys(f"{origin} must hold a JWK set of P-256 keys: {error}") from error
        if not keys or not keys[0].is_private:
            raise BadSigningKeys(f"the first key in {origin} must be a private one, to sign with")
        return cls(keys)

    def sign(self, claims: dict[str, Any]) -> str:
        """An access token as of RFC 9068 with these claims."""
        return jwt.encode(self._header, claims, self._signer, algorithms=[ALGORITHM])


def _imported(entry: dict[str, Any]) -> ECKey:
    key = ECKey.import_key(entry)
    if key.curve_name != "P-256":
        raise BadSigningKeys(f"{ALGORITHM} does not sign with curve {key.curve_name}")
    key.ensure_kid()
    return key
