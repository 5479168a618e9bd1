"""Compares mail addresses and counts networks without storing either in readable form."""

import hmac

import structlog
from pydantic import SecretStr

from chassis.http.origin import Origin
from chassis.messaging.encryption import Cipher, KeyedHash, NotDecryptable

log = structlog.get_logger()


class Addresses:
    """Compares addresses in the form of `contracts.text`; as with accounts, case does not matter."""

    def __init__(self, cipher: Cipher) -> None:
        self._cipher = cipher
        self._dummy = cipher.encrypt("nobody@shop.invalid")

    def is_contact(self, email: str, contact: str | None) -> bool:
        """Whether the encrypted `contact` is this address. Without a contact it takes the same time, so that
        the time does not tell whether there is one."""
        try:
            decrypted = self._cipher.decrypt(contact or self._dummy)
        except NotDecryptable:
            log.exception("contact is encrypted with a key that CONTACT_KEY lacks")
            return False
        is_same = hmac.compare_digest(decrypted.lower().encode(), email.lower().encode())
        return is_same and contact is not None


class Networks:
    """Hashes the networks that orders are placed from. `keys` is the setting that encrypts contacts; with a
    new first key all counts start again."""

    def __init__(self, keys: SecretStr) -> None:
        self._hash = KeyedHash(keys, b"order networks")

    def hash(self, origin: Origin) -> bytes | None:
        """16 bytes; `None` if the client's address is unknown, so that all such clients do not count as one
        network."""
        if not origin.is_known:
            return None
        return self._hash.digest(origin.network)
