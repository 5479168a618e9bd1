"""Encrypts personal data in events, so that neither queues nor logs contain it in plain text."""

from collections.abc import Sequence
from hashlib import blake2b
from typing import Annotated, Self

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from pydantic import AfterValidator, SecretStr


class BadKey(ValueError):
    """No key was given, or one is not a Fernet key (32 bytes, URL-safe base64)."""


class NotDecryptable(ValueError):
    """The text was not encrypted with any of these keys, or was changed afterwards."""


class Cipher:
    """Encrypts short texts with the first key, and decrypts texts that any of the keys encrypted.

    To rotate keys: put the new key first in every service, and remove the old one when no text that it
    encrypted is left. Source: https://github.com/fernet/spec (AES-128-CBC with HMAC-SHA256).
    """

    def __init__(self, keys: Sequence[str]) -> None:
        """Raises BadKey."""
        if not keys:
            raise BadKey("a cipher needs at least one Fernet key")
        try:
            self._fernet = MultiFernet([Fernet(key) for key in keys])
        except ValueError as error:
            raise BadKey("not a Fernet key: 32 bytes in URL-safe base64 are needed") from error

    @classmethod
    def of(cls, keys: SecretStr) -> Self:
        """A cipher with the keys of a setting (see `EncryptionKeys`). Raises BadKey."""
        return cls(keys.get_secret_value().split(","))

    def encrypt(self, text: str) -> str:
        """The encrypted text. Encrypting the same text twice gives two different results."""
        return self._fernet.encrypt(text.encode()).decode()

    def decrypt(self, encrypted: str) -> str:
        """The original text. Raises NotDecryptable."""
        try:
            return self._fernet.decrypt(encrypted.encode()).decode()
        except InvalidToken as error:
            raise NotDecryptable("not encrypted with any of these keys") from error


class KeyedHash:
    """Hashes personal data, so that equal texts can be counted and compared where none of them can be read.

    `keys`: a setting (see `EncryptionKeys`); the first key counts, so that a new one makes all hashes new.
    `purpose`: at most 16 bytes; hashes for different purposes cannot be compared.
    """

    def __init__(self, keys: SecretStr, purpose: bytes) -> None:
        first = keys.get_secret_value().split(",")[0]
        self._key = blake2b(first.encode(), person=purpose).digest()

    def digest(self, text: str) -> bytes:
        """16 bytes."""
        return blake2b(text.encode(), key=self._key, digest_size=16).digest()


def _usable(keys: SecretStr) -> SecretStr:
    Cipher.of(keys)
    return keys


EncryptionKeys = Annotated[SecretStr, AfterValidator(_usable)]
"""A setting: one Fernet key, or several, comma-separated: the first encrypts, all of them decrypt."""
