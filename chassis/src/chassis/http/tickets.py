"""Short texts that open one thing for a while, made and read by whoever has the key.

The key is derived from one that a service has anyway, for one purpose (RFC 5869), so that a ticket for
another purpose is none. It is encrypted and authenticated deterministically (AES-SIV, RFC 5297): nobody
reads or changes it, and the same content with the same end is the same ticket.
"""

import base64
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from pydantic import SecretStr

LONGEST = 512
_KEY_BYTES = 32
_TAG_BYTES = 16


class BadTicket(ValueError):
    """It was not made with one of these keys for this purpose, or was changed since."""


class TicketExpired(BadTicket):
    """It was good until a moment that has passed."""


class Tickets:
    """Tickets for one `purpose`: made with the first key, read with any of them. To rotate: as with `Cipher`,
    whose keys these are."""

    def __init__(self, keys: Sequence[str], purpose: str, *, clock: Callable[[], float] = time.time) -> None:
        self._ciphers = [AESSIV(_derived(key, purpose)) for key in keys]
        self._clock = clock

    @classmethod
    def of(cls, keys: SecretStr, purpose: str) -> Self:
        """With the keys of a setting (see `EncryptionKeys`)."""
        return cls(keys.get_secret_value().split(","), purpose)

    def issue(self, content: Mapping[str, Any], until: float) -> str:
        """A ticket with this content, JSON, good until a moment in seconds of the epoch."""
        text = orjson.dumps([int(until), content])
        return _written(self._ciphers[0].encrypt(text, None))

    def read(self, ticket: str) -> dict[str, Any]:
        """Its content. Raises BadTicket, TicketExpired."""
        until, content = orjson.loads(self._opened(ticket))
        if self._clock() >= until:
            raise TicketExpired("the ticket has expired")
        found: dict[str, Any] = content
        return found

    def _opened(self, ticket: str) -> bytes:
        sealed = _read(ticket)
        for cipher in self._ciphers:
            try:
                return cipher.decrypt(sealed, None)
            except InvalidTag:
                continue
        raise BadTicket("no ticket of ours")


def _derived(key: str, purpose: str) -> bytes:
    hkdf = HKDF(algorithm=SHA256(), length=_KEY_BYTES, salt=None, info=purpose.encode())
    return hkdf.derive(base64.urlsafe_b64decode(key))


def _written(sealed: bytes) -> str:
    return base64.urlsafe_b64encode(sealed).decode().rstrip("=")


def _read(ticket: str) -> bytes:
    """Of the several texts that base64 would read alike, only the one that was written is a ticket."""
    if len(ticket) <= LONGEST and ticket.isascii():
        try:
            sealed = base64.b64decode(ticket + "=" * (-len(ticket) % 4), b"-_", validate=True)
        except ValueError:
            sealed = b""
        if _written(sealed) == ticket and len(sealed) >= _TAG_BYTES:
            return sealed
    raise BadTicket("no ticket of ours")
