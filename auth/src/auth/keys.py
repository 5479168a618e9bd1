"""The signing keys of access tokens: a private JWK set. The first key signs, all are published.

To rotate: append the new key; once every verifier can have fetched it (`PUBLISHED_SECONDS`) move it to the
front; remove the old one when the last token that it signed has expired. A changed file is read at once.
"""

import json
import os
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, Self

import orjson
import structlog
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey

log = structlog.get_logger()

ALGORITHM = "ES256"
PUBLISHED_SECONDS = 300
_PUBLIC = ("kty", "crv", "x", "y", "kid")


class BadSigningKeys(ValueError):
    """The text is not a usable key set; the message says why."""


class Keys(ABC):
    """A source of signing keys."""

    @property
    @abstractmethod
    def current(self) -> "SigningKeys":
        """The keys that are used now."""


class SigningKeys(Keys):
    """Signs with the first of `keys`. `published` is the public JWK set as JSON."""

    def __init__(self, keys: list[ECKey]) -> None:
        self._signer = keys[0]
        self._header = {"alg": ALGORITHM, "typ": "at+jwt", "kid": keys[0].kid}
        self.kids = [key.kid for key in keys]
        members = [key.as_dict(private=False) for key in keys]
        public = [{name: value for name, value in one.items() if name in _PUBLIC} for one in members]
        self.published = orjson.dumps({"keys": [{**one, "use": "sig", "alg": ALGORITHM} for one in public]})

    @classmethod
    def read(cls, path: Path) -> Self:
        """Raises BadSigningKeys."""
        try:
            text = path.read_text()
        except OSError as error:
            raise BadSigningKeys(f"cannot read {path}: {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise BadSigningKeys(f"{path} is not text") from error
        return cls.parse(text, str(path))

    @classmethod
    def parse(cls, text: str, origin: str) -> Self:
        """Parse a JWK set in JSON. Raises BadSigningKeys, which names the origin."""
        try:
            keys = [_imported(entry) for entry in json.loads(text)["keys"]]
        except (KeyError, TypeError, ValueError, RecursionError, JoseError) as error:
            raise BadSigningKeys(f"{origin} must hold a JWK set of P-256 keys: {error}") from error
        if not keys or not keys[0].is_private:
            raise BadSigningKeys(f"the first key in {origin} must be a private one, to sign with")
        if len({key.kid for key in keys}) < len(keys):
            raise BadSigningKeys(f"two keys in {origin} have the same kid")
        signing_keys = cls(keys)
        try:
            signing_keys.sign({})
        except JoseError as error:
            raise BadSigningKeys(f"the first key in {origin} does not sign: {error}") from error
        return signing_keys

    @property
    def current(self) -> Self:
        """Itself: only a file's keys change."""
        return self

    def sign(self, claims: dict[str, Any]) -> str:
        """Sign an access token (RFC 9068) with these claims."""
        return jwt.encode(self._header, claims, self._signer, algorithms=[ALGORITHM])


class KeyFile(Keys):
    """The current keys of a file. If the file becomes unusable, those that were read last stay."""

    def __init__(self, path: Path) -> None:
        """Raises BadSigningKeys."""
        self._path = path
        self._stamp = _stamp(path)
        self._keys = SigningKeys.read(path)

    @property
    def current(self) -> SigningKeys:
        stamp = _stamp(self._path)
        if stamp != self._stamp:
            self._stamp = stamp
            try:
                self._keys = SigningKeys.read(self._path)
            except BadSigningKeys as error:
                log.error("signing keys unusable, previous ones kept", error=str(error))
            else:
                log.warning("signing keys changed", kids=self._keys.kids)
        return self._keys


def _stamp(path: Path) -> tuple[int, int, int] | None:
    """Changes whenever the file is written or replaced; `None` without a file."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size


def _imported(entry: dict[str, Any]) -> ECKey:
    key = ECKey.import_key(entry)
    if key.curve_name != "P-256":
        raise BadSigningKeys(f"{ALGORITHM} does not sign with curve {key.curve_name}")
    key.ensure_kid()
    return key
