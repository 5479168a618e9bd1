"""Tickets: short encrypted texts that grant access to one thing until they expire.

The key is derived from a key that the service has anyway, separately for each purpose (RFC 5869), so that a
ticket for one purpose is invalid for another. A ticket is encrypted and authenticated deterministically
(AES-SIV, RFC 5297): it cannot be read or changed without the key, and equal contents with the same expiry
give the same ticket.
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
