"""Accounts and the sessions that a login begins, and what may be done with them."""

import hmac
import unicodedata
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

from contracts import mail_address

Role = Literal["shopper", "admin"]
SCOPES = {
    "guest": "",
    "shopper": "account:read",
    "admin": "account:read catalogue:write orders:read-all orders:fulfil orders:refund",
}
"""What a role may do beyond what is its own; a cart and orders of one's own need none."""
Renewal = Literal["renewed", "over", "reused"]


class WeakPassword(ValueError):
    """The password is its owner's address, or part of it."""


@dataclass(eq=False)
class Account:
    """Somebody who can log in. `email` is in the form that `address` gives."""

    account_id: UUID
    email: str
    password_hash: str
    role: str
    registered_at: datetime


@dataclass(eq=False)
class Session:
    """A login and the refresh tokens that descend from it: the family, of which only the latest is good.

    A token of the family that is not the latest was used before, by its owner or by a thief: nobody can
    tell which, so the session ends for both. Source: RFC 9700, section 4.14.
    """

    session_id: UUID
    account_id: UUID
    secret_hash: bytes
    started_at: datetime
    expires_at: datetime
    ended_at: datetime | None = None

    def renew(
        self, presented: bytes, successor: bytes, now: datetime, idle: timedelta, longest: timedelta
    ) -> Renewal:
        """Exchange one token hash for its successor's; at most `idle` may pass until the next time."""
        if self.ended_at is not None or self.expires_at <= now:
            return "over"
        if not hmac.compare_digest(self.secret_hash, presented):
            self.end(now)
            return "reused"
        self.secret_hash = successor
        self.expires_at = min(now + idle, self.started_at + longest)
        return "renewed"

    def end(self, now: datetime) -> None:
        self.ended_at = self.ended_at or now


def address(text: str) -> str:
    """How an address is kept and compared: two that differ in case only are one account.

    Raises ValueError, saying why, for what is no address that every mail server takes.
    """
    return mail_address(text).lower()


def address_tried(text: str) -> str:
    """The same for a login, where what is no address is nobody's."""
    try:
        return address(text)
    except ValueError:
        return text.lower()


def passphrase(text: str) -> str:
    """The password whichever keyboard typed it. Source: NIST SP 800-63B, section 3.1.1.2."""
    return unicodedata.normalize("NFKC", text)


def check_password(password: str, email: str) -> None:
    """Raises WeakPassword."""
    if password.lower() in (email, email.partition("@")[0]):
        raise WeakPassword
