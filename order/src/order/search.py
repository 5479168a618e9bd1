"""What staff search orders by, beside what every shopper can list her own by.

An address is searched by its SHA-256, so that no address is in a URL, which gateways and browsers log. Who
guesses an address can compute that, too; so the database has it hashed again, with a key.
"""

import hashlib

from pydantic import SecretStr

from chassis.messaging.encryption import Cipher, KeyedHash, NotDecryptable

UNREADABLE = b""
"""In place of the hash of an address that none of the keys decrypts."""


class ContactHashes:
    """Hashes the addresses that orders are placed with. `keys` is the setting that encrypts contacts: the
    first key hashes new orders, and a search looks for the hashes with each of them."""

    def __init__(self, keys: SecretStr) -> None:
        each = keys.get_secret_value().split(",")
        self._hashes = [KeyedHash(SecretStr(key), b"order contacts") for key in each]
        self._cipher = Cipher.of(keys)

    def of_address(self, email: str) -> bytes:
        """The hash that a new order is stored with. Case does not matter, as with accounts."""
        return self._hashes[0].digest(hashlib.sha256(email.lower().encode()).hexdigest())

    def of_contact(self, contact: str) -> bytes:
        """Likewise, of an encrypted address."""
        try:
            return self.of_address(self._cipher.decrypt(contact))
        except NotDecryptable:
            return UNREADABLE

    def wanted(self, email_sha256: str) -> list[bytes]:
        """All hashes that an order with this address may be stored with."""
        return [one.digest(email_sha256) for one in self._hashes]
