"""Personal data crosses the broker sealed, so that neither queues nor logs hold it in the clear."""

from collections.abc import Sequence
from typing import Annotated, Self

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from pydantic import AfterValidator, SecretStr


class BadKey(ValueError):
    """No key was given, or one is no Fernet key (32 bytes, URL-safe base64)."""


class NotDecryptable(ValueError):
    """The text was not sealed with any of these keys, or was changed since."""


class Cipher:
    """Seals short texts with the first key and opens what any of the keys sealed.

    To rotate: put the new key first everywhere, and drop the old one when nothing sealed with it is left.
    Source: https://github.com/fernet/spec (AES-128-CBC with HMAC-SHA256).
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
        """With the keys of a setting (see `EncryptionKeys`). Raises BadKey."""
        return cls(keys.get_secret_value().split(","))

    def encrypt(self, text: str) -> str:
        """The text, unreadable without a key. Sealing twice gives two different results."""
        return self._fernet.encrypt(text.encode()).decode()

    def decrypt(self, sealed: str) -> str:
        """The text again. Raises NotDecryptable."""
        try:
            return self._fernet.decrypt(sealed.encode()).decode()
        except InvalidToken as error:
            raise NotDecryptable("not sealed with a key that is known here") from error


def _usable(keys: SecretStr) -> SecretStr:
    Cipher.of(keys)
    return keys


EncryptionKeys = Annotated[SecretStr, AfterValidator(_usable)]
"""A setting: one Fernet key, or several with commas between; the first seals, all of them open."""
