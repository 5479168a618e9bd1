"""Access tokens, which every service verifies by itself (RFC 9068), and refresh tokens, which are stored as
hashes."""

import base64
import binascii
import secrets
import time
from dataclasses import dataclass, field
from typing import Any, Self
from uuid import UUID, uuid4

from auth.domain import SCOPES, Account, secret_hash
from auth.keys import Keys

CLIENT = "storefront"  # the only client
_SECRET_BYTES = 32


@dataclass(frozen=True)
class AccessTokens:
    """Issues access tokens; `access_seconds` and `guest_seconds` are their lifetimes."""

    keys: Keys
    issuer: str
    audience: str
    access_seconds: float
    guest_seconds: float

    def for_account(self, account: Account) -> str:
        return self._issue(account.account_id, account.role, self.access_seconds, {"email": account.email})

    def for_guest(self, guest_id: UUID) -> str:
        """Guests are not stored: a guest is only this token."""
        return self._issue(guest_id, "guest", self.guest_seconds, {})

    def _issue(self, subject: UUID, role: str, lifetime: float, more: dict[str, Any]) -> str:
        now = int(time.time())
        claims = {
            "iss": self.issuer,
            "aud": self.audience,
            "sub": str(subject),
            "iat": now,
            "exp": now + int(lifetime),
            "jti": uuid4().hex,
            "client_id": CLIENT,
            "role": role,
            **({"scope": SCOPES[role]} if SCOPES[role] else {}),
            **more,
        }
        return self.keys.current.sign(claims)


def mailed_token_hash(token: str) -> bytes:
    """What is stored of a token that is mailed."""
    return secret_hash(token.encode())


def new_mailed_token() -> str:
    """Text that fits into a link."""
    return secrets.token_urlsafe(_SECRET_BYTES)


def new_secret() -> bytes:
    return secrets.token_bytes(_SECRET_BYTES)


@dataclass(frozen=True)
class RefreshToken:
    """Opaque to clients: a session's id and a secret."""

    session_id: UUID
    secret: bytes = field(repr=False)

    @classmethod
    def new(cls, session_id: UUID) -> Self:
        return cls(session_id, new_secret())

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """`None` for text that is not a refresh token."""
        try:
            raw = base64.b64decode(text, altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            return None
        return cls(UUID(bytes=raw[:16]), raw[16:]) if len(raw) == 16 + _SECRET_BYTES else None

    @property
    def hash(self) -> bytes:
        return secret_hash(self.secret)

    def __str__(self) -> str:
        return base64.urlsafe_b64encode(self.session_id.bytes + self.secret).decode()
