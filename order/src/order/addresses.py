"""Whether an order was placed with a mail address: order keeps the address sealed, and compares it here."""

import hmac

import structlog

from chassis.messaging.encryption import Cipher, NotDecryptable

log = structlog.get_logger()


class Addresses:
    """Compares addresses in the form of `contracts.mail_address`, in any case, as accounts are told apart."""

    def __init__(self, cipher: Cipher) -> None:
        self._cipher = cipher
        self._nobodys = cipher.encrypt("nobody@shop.invalid")

    def is_contact(self, email: str, contact: str | None) -> bool:
        """Whether the address is the sealed contact. Where there is none, it takes as long to say so."""
        try:
            opened = self._cipher.decrypt(contact or self._nobodys)
        except NotDecryptable:
            log.exception("contact sealed with another key than CONTACT_KEY")
            return False
        is_same = hmac.compare_digest(opened.lower().encode(), email.lower().encode())
        return is_same and contact is not None
