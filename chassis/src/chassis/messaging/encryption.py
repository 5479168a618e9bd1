"""Encrypts personal data in events, so that neither queues nor logs contain it in plain text, hashes it, and
makes tickets: short encrypted texts that grant access to one thing until they expire.

A ticket's key is derived from a key that the service has anyway, separately for each purpose (RFC 5869), so
that a ticket for one purpose is invalid for another. A ticket is encrypted and authenticated
deterministically (AES-SIV, RFC 5297): it cannot be read or changed without the key, and equal contents with
the same expiry give the same ticket.
"""

import base64
import time
from collections.abc import Callable, Mapping, Sequence
from hashlib import blake2b
from typing import Annotated, Any, Self

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from pydantic import AfterValidator, SecretStr

LONGEST = 512
_KEY_BYTES = 32
_TAG_BYTES = 16


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


class BadTicket(ValueError):
    """The ticket was not made with one of these keys for this purpose, or was changed afterwards."""


class TicketExpired(BadTicket):
    """The ticket has expired."""


class Tickets:
    """Makes and reads tickets.

    `keys`: Fernet keys, as for `Cipher`, and rotated like them: the first makes tickets, all of them read.
    `purpose`: any text; a ticket for another purpose is invalid.
    `clock`: the time in seconds since the epoch.
    """

    def __init__(self, keys: Sequence[str], purpose: str, *, clock: Callable[[], float] = time.time) -> None:
        self._ciphers = [AESSIV(_derived(key, purpose)) for key in keys]
        self._clock = clock

    @classmethod
    def of(cls, keys: SecretStr, purpose: str) -> Self:
        """Tickets with the keys of a setting (see `EncryptionKeys`)."""
        return cls(keys.get_secret_value().split(","), purpose)

    def issue(self, content: Mapping[str, Any], until: float) -> str:
        """A ticket with this JSON content. `until`: its expiry, in seconds since the epoch."""
        text = orjson.dumps([int(until), content])
        return _encoded(self._ciphers[0].encrypt(text, None))

    def read(self, ticket: str) -> dict[str, Any]:
        """The ticket's content. Raises BadTicket, TicketExpired."""
        until, content = orjson.loads(self._decrypted(ticket))
        if self._clock() >= until:
            raise TicketExpired("the ticket has expired")
        result: dict[str, Any] = content
        return result

    def _decrypted(self, ticket: str) -> bytes:
        encrypted = _decoded(ticket)
        for cipher in self._ciphers:
            try:
                return cipher.decrypt(encrypted, None)
            except InvalidTag:
                continue
        raise BadTicket("not a valid ticket")


def _derived(key: str, purpose: str) -> bytes:
    hkdf = HKDF(algorithm=SHA256(), length=_KEY_BYTES, salt=None, info=purpose.encode())
    return hkdf.derive(base64.urlsafe_b64decode(key))


def _encoded(encrypted: bytes) -> str:
    return base64.urlsafe_b64encode(encrypted).decode().rstrip("=")


def _decoded(ticket: str) -> bytes:
    """Base64 decodes several texts to the same bytes; only the one that `_encoded` makes is accepted."""
    if len(ticket) <= LONGEST and ticket.isascii():
        try:
            encrypted = base64.b64decode(ticket + "=" * (-len(ticket) % 4), b"-_", validate=True)
        except ValueError:
            encrypted = b""
        if _encoded(encrypted) == ticket and len(encrypted) >= _TAG_BYTES:
            return encrypted
    raise BadTicket("not a valid ticket")
