"""Accounts, and the sessions that logins start."""

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
"""The scopes of each role. A shopper's own cart and orders need none."""
Renewal = Literal["renewed", "over", "reused"]


@dataclass(eq=False)
class Account:
    """An account that can log in. `email` is normalised by `address`."""

    account_id: UUID
    email: str
    password_hash: str
    role: str
    registered_at: datetime


@dataclass(eq=False)
class Session:
    """A login and its family of refresh tokens, of which only the latest is valid.

    If another token of the family is presented, it was used before, by its owner or by a thief. Which of them
    cannot be known, so the session ends for both. Source: RFC 9700, section 4.14.
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
        """Replace a token's hash by its successor's, which is valid for `idle`, within `longest` since the
        login."""
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
    """Normalise a mail address as it is stored and compared: case is ignored.

    Raises ValueError, with the reason, for text that is not an address that every mail server accepts.
    """
    return mail_address(text).lower()


def login_address(text: str) -> str:
    """Normalise the user name of a login, where invalid text is an unknown user."""
    try:
        return address(text)
    except ValueError:
        return text.lower()


def normalised_password(text: str) -> str:
    """Normalise a password, so that any keyboard gives the same text. Source: NIST SP 800-63B, section
    3.1.1.2."""
    return unicodedata.normalize("NFKC", text)


def is_address(password: str, email: str) -> bool:
    """Whether the password is the mail address or its local part, which are guessed first."""
    return password.lower() in (email, email.partition("@")[0])
