"""Whether an order was placed with a mail address: order keeps the address sealed, and compares it here."""

import hmac

import structlog

from chassis.messaging.sealed import NotSealed, Seal

log = structlog.get_logger()


class Addresses:
    """Compares addresses in the form of `contracts.mail_address`, in any case, as accounts are told apart."""

    def __init__(self, seal: Seal) -> None:
        self._seal = seal
        self._nobodys = seal.seal("nobody@shop.invalid")

    def is_contact(self, email: str, contact: str | None) -> bool:
        """Whether the address is the sealed contact. Where there is none, it takes as long to say so."""
        try:
            opened = self._seal.open(contact or self._nobodys)
        except NotSealed:
            log.exception("contact sealed with another key than CONTACT_KEY")
            return False
        is_same = hmac.compare_digest(opened.lower().encode(), email.lower().encode())
        return is_same and contact is not None
