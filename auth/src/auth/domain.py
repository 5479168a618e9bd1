"""Accounts, and the sessions that logins start."""

import hashlib
import hmac
import unicodedata
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

from contracts import mail_address

Role = Literal["shopper", "warehouse", "admin"]
SCOPES = {
    "guest": "",
    "shopper": "account:read account:write",
    "warehouse": "orders:read-all orders:fulfil",
    "admin": "account:read account:write catalogue:write orders:read-all orders:fulfil orders:refund",
}
"""The scopes of each role. A shopper's own cart and orders need none."""
MOST_ADDRESSES = 20
"""That an account may keep."""
Refusal = Literal["over", "reused"]
Purpose = Literal["reset password", "confirm address"]


@dataclass(eq=False)
class Account:
    """An account that can log in. `email` is normalised by `address`."""

    account_id: UUID
    email: str
    password_hash: str
    role: str
    registered_at: datetime
    email_verified_at: datetime | None = None

    def confirm(self, now: datetime) -> None:
        """The owner has used a token that was mailed to the address."""
        self.email_verified_at = self.email_verified_at or now


@dataclass(eq=False)
class MailedToken:
    """Its holder reads the account's mail. It can be used once, for its purpose."""

    token_hash: bytes
    account_id: UUID
    purpose: Purpose
    expires_at: datetime


@dataclass(frozen=True)
class SessionRules:
    """A session lasts for `idle` between two refreshes, and for `longest` in all. For `grace` after a refresh
    the token that was exchanged gives its successor once more."""

    idle: timedelta
    longest: timedelta
    grace: timedelta

    def first_expiry(self, now: datetime) -> datetime:
        return now + min(self.idle, self.longest)


@dataclass(eq=False)
class Session:
    """A login and its family of refresh tokens, of which only the latest is valid.

    If another token of the family is presented, it was used before, by its owner or by a thief. Which of them
    cannot be known, so the session ends for both. Source: RFC 9700, section 4.14.

    Two tabs that refresh at once, or a browser that lost the answer and asks again, are no theft: for the
    rules' `grace`, the token before the latest gives the latest again. The secret of a successor is derived
    from that of its predecessor and from `successor_salt`, which is new with each refresh. So nothing that is
    stored gives a token away: the salt is useless without the predecessor, and the predecessor without it.
    """

    session_id: UUID
    account_id: UUID
    secret_hash: bytes
    started_at: datetime
    expires_at: datetime
    ended_at: datetime | None = None
    successor_salt: bytes | None = None
    renewed_at: datetime | None = None

    def renew(self, secret: bytes, salt: bytes, now: datetime, rules: SessionRules) -> bytes | Refusal:
        """Exchange a token's secret for its successor's, or say why not. `salt` has to be random."""
        if self.ended_at is not None or self.expires_at <= now:
            return "over"
        if self._is_latest(secret):
            successor = _successor(secret, salt)
            self.secret_hash, self.successor_salt, self.renewed_at = secret_hash(successor), salt, now
            self.expires_at = min(now + rules.idle, self.started_at + rules.longest)
            return successor
        latest = self._latest_after(secret)
        if latest is not None and self.renewed_at is not None and now < self.renewed_at + rules.grace:
            return latest
        self.end(now)
        return "reused"

    def is_held_by(self, secret: bytes) -> bool:
        """Whether it is the secret of the latest token, or of the one before it."""
        return self._is_latest(secret) or self._latest_after(secret) is not None

    def _latest_after(self, secret: bytes) -> bytes | None:
        """The latest token's secret, if this is its predecessor's."""
        successor = _successor(secret, self.successor_salt) if self.successor_salt else None
        return successor if successor is not None and self._is_latest(successor) else None

    def _is_latest(self, secret: bytes) -> bool:
        return hmac.compare_digest(self.secret_hash, secret_hash(secret))

    def end(self, now: datetime) -> None:
        self.ended_at = self.ended_at or now


def secret_hash(secret: bytes) -> bytes:
    """What is stored of a token's secret, which is random, so that a fast hash is enough."""
    return hashlib.sha256(secret).digest()


def _successor(secret: bytes, salt: bytes) -> bytes:
    return hmac.digest(salt, secret, "sha256")


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
